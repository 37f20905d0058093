"""A source of ready batches and a sink that calls a function, for Bytewax.

Its own testing source checks each item's type, its file source decodes text line by line, its file sink syncs
each batch to the disk. These do none of it, and so show what its engine alone costs.
"""

from collections.abc import Callable, Iterator
from typing import Any

from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition


class _Batches(StatelessSourcePartition[Any]):
    def __init__(self, batches: Iterator[list[Any]]) -> None:
        self._batches = batches

    def next_batch(self) -> list[Any]:
        return next(self._batches)


class BatchSource(DynamicSource[Any]):
    """Give the batches that a function opens."""

    def __init__(self, opened: Callable[[], Iterator[list[Any]]]) -> None:
        """Keep the function: Bytewax opens a source itself, once for each worker."""
        self._open = opened

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Batches:
        """Open the batches."""
        return _Batches(self._open())


class _Calls(StatelessSinkPartition[Any]):
    def __init__(self, sink: Callable[[Any], object]) -> None:
        self._sink = sink

    def write_batch(self, items: list[Any]) -> None:
        sink = self._sink
        for item in items:
            sink(item)


class CallableSink(DynamicSink[Any]):
    """Call a function with each item."""

    def __init__(self, sink: Callable[[Any], object]) -> None:
        """Keep the function."""
        self._sink = sink

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Calls:
        """Make the worker's part."""
        return _Calls(self._sink)
