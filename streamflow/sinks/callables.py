"""Any function that takes an item."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeVar, cast

from streamflow.model.errors import FlowError
from streamflow.model.interfaces import InlineWriter, Writer
from streamflow.operators.callables import gives_items, is_async, name_of, require_callable
from streamflow.sinks.policed import PolicedSink

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class CallableSink(PolicedSink[T]):
    """Call `function` with each item, in order; an async one is awaited before the next item."""

    function: Callable[[T], object]
    _: KW_ONLY

    def __post_init__(self) -> None:
        super().__post_init__()
        require_callable(self.function, "to")
        if gives_items(self.function):
            raise FlowError(
                f"to({name_of(self.function)}): calling a generator function runs none of its body; use a function "
                f"without yield, or give one that makes several items to flat_map"
            )

    @property
    def inline(self) -> bool:
        """Tell whether the function is a plain one."""
        return not is_async(self.function)

    @property
    def label(self) -> str:
        """Return the name of the function."""
        return name_of(self.function)

    async def open(self, bounded: bool) -> Writer[T]:
        """Open nothing."""
        if self.inline:
            return CallableWriter(self.function)
        return AsyncCallableWriter(cast(Callable[[T], Awaitable[object]], self.function))


class CallableWriter(InlineWriter[T]):
    """Be a plain function: `put` is the function itself, which costs what a call of it costs."""

    calls_user = True

    def __init__(self, function: Callable[[T], object]) -> None:
        self._function = function
        self.put = function  # type: ignore[method-assign]

    def put(self, item: T, /) -> object:
        """Call the function."""
        return self._function(item)


class AsyncCallableWriter(Writer[T]):
    """Await a function for one item after the other."""

    def __init__(self, function: Callable[[T], Awaitable[Any]]) -> None:
        self._function = function

    async def write(self, batch: Sequence[T]) -> None:
        """Call and await for each item."""
        self.written = 0
        for item in batch:
            await self._function(item)
            self.written += 1
