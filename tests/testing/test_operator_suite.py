"""The operator suite passes sound operators and catches each kind of broken flow."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from streamflow.testing import FaultySource, OperatorSuite

# the real engine, as a third party would hold its own operators to it


async def doubled(item: int) -> int:
    await asyncio.sleep(item % 3)
    return item * 2


class TestMap(OperatorSuite):
    def apply(self, flow: Any) -> Any:
        return flow.map(lambda item: item + 1)

    def reference(self, items: list[Any]) -> list[Any]:
        return [item + 1 for item in items]


class TestFilterAndFlatMap(OperatorSuite):
    def apply(self, flow: Any) -> Any:
        return flow.filter(lambda item: item % 2).flat_map(lambda item: [item] * (item % 5))

    def reference(self, items: list[Any]) -> list[Any]:
        return [item for item in items if item % 2 for _ in range(item % 5)]


class TestConcurrentMap(OperatorSuite):
    def apply(self, flow: Any) -> Any:
        return flow.map(doubled, concurrency=3)

    def reference(self, items: list[Any]) -> list[Any]:
        return [item * 2 for item in items]

    timed = True  # its waits are real under a plain for


class TestUnorderedMap(TestConcurrentMap):
    ordered = False

    def apply(self, flow: Any) -> Any:
        return flow.map(doubled, concurrency=3, ordered=False)


class TestBatch(OperatorSuite):
    def apply(self, flow: Any) -> Any:
        return flow.batch(3)

    def reference(self, items: list[Any]) -> list[Any]:
        return [items[start : start + 3] for start in range(0, len(items), 3)]


class TestScanBehindABuffer(OperatorSuite):
    def apply(self, flow: Any) -> Any:
        return flow.buffer(2).scan(lambda total, item: total + item, 0)

    def reference(self, items: list[Any]) -> list[Any]:
        return list(itertools.accumulate(items))


# a small engine of our own, sound or with one defect: what the suite itself is tested on


@dataclass(frozen=True)
class SmallFlow:
    """Map over a source, one task, no queue: the least that the face promises."""

    source: Any
    defect: str = "none"
    sink: Any = None

    def to(self, sink: Any) -> SmallFlow:
        return SmallFlow(self.source, self.defect, sink)

    async def collect(self) -> list[Any]:
        return [item async for item in self]

    def __iter__(self) -> Iterator[Any]:
        found = [item * 2 for item in self.source]
        return iter(found[:-1] if self.defect == "plain for drops the last" else found)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for batch in self._batches():
            for item in batch:
                yield item

    async def _batches(self) -> AsyncIterator[list[Any]]:
        reader = await self.source.open()
        try:
            while (batch := await reader.read(100)) is not None:
                found = [item * 2 for item in batch]
                if self.defect == "reverses each batch":
                    found.reverse()
                elif self.defect == "loses what comes slowly":
                    found = found if asyncio.get_running_loop().time() < 2 else found[1:]
                yield found
        finally:
            if self.defect != "the source stays open":
                await reader.close()

    async def run(self, fuse: bool = True) -> None:
        writer = await self.sink.open(self.source.bounded)
        try:
            await self._write_all(writer)
        except BaseException as error:
            await self._end(writer, error)
        else:
            await writer.finish()
        finally:
            await writer.close()

    async def _write_all(self, writer: Any) -> None:
        batches = self._batches()
        try:
            if self.defect == "a task is left when cancelled":
                await asyncio.shield(asyncio.create_task(self._pump(batches, writer)))
            else:
                await self._pump(batches, writer)
        finally:
            with suppress(RuntimeError):  # the task that was left is still in it
                await batches.aclose()  # type: ignore[attr-defined]

    async def _pump(self, batches: AsyncIterator[list[Any]], writer: Any) -> None:
        written: list[Any] = []
        async for batch in batches:
            await writer.write(batch)
            written += batch
        if self.defect == "writes twice":
            await writer.write(written)

    async def _end(self, writer: Any, error: BaseException) -> None:
        if self.defect == "an error is a success" and isinstance(error, Exception):
            await writer.finish()
            return
        if self.defect == "a partial result after an error":
            with suppress(Exception):
                await writer.write([-1])
        if self.defect == "finishes after an error":
            await writer.finish()
        elif self.defect != "never aborts":
            await writer.abort()
        if self.defect == "swallows cancellation" and isinstance(error, asyncio.CancelledError):
            return
        raise error


class SmallSuite(OperatorSuite):
    def __init__(self, defect: str) -> None:
        self.defect = defect
        self.runs = 0

    def begin(self, source: Any) -> Any:
        return SmallFlow(source, self.defect)

    def apply(self, flow: Any) -> Any:
        return flow

    def reference(self, items: list[Any]) -> list[Any]:
        return [item * 2 for item in items]


def test_a_small_sound_engine_passes(failing: Callable[[Any], dict[str, str]]) -> None:
    assert failing(SmallSuite("none")) == {}


@pytest.mark.parametrize(
    ("defect", "caught_by"),
    [
        ("reverses each batch", "test_it_gives_what_the_reference_gives_in_any_batches"),
        ("reverses each batch", "test_async_for_gives_the_same"),
        ("plain for drops the last", "test_plain_for_gives_the_same"),
        ("loses what comes slowly", "test_slow_parts_change_nothing"),
        ("writes twice", "test_slow_parts_change_nothing"),
        ("the source stays open", "test_slow_parts_change_nothing"),
        ("an error is a success", "test_an_error_above_reaches_the_caller"),
        ("an error is a success", "test_an_error_below_reaches_the_caller"),
        ("an error is a success", "test_a_lost_connection_reaches_the_caller"),
        ("a partial result after an error", "test_an_error_above_reaches_the_caller"),
        ("finishes after an error", "test_an_error_above_reaches_the_caller"),
        ("never aborts", "test_an_error_below_reaches_the_caller"),
        ("swallows cancellation", "test_cancelled_anywhere_it_leaves_nothing_behind"),
        ("a task is left when cancelled", "test_cancelled_anywhere_it_leaves_nothing_behind"),
        ("finishes after an error", "test_cancelled_anywhere_it_leaves_nothing_behind"),
        ("finishes after an error", "test_cancelled_while_its_source_hangs_it_leaves_nothing_behind"),
    ],
)
def test_a_broken_engine_is_caught(defect: str, caught_by: str, failing: Callable[[Any], dict[str, str]]) -> None:
    found = failing(SmallSuite(defect))
    assert caught_by in found, found


def test_a_flow_that_can_run_only_once_is_caught(failing: Callable[[Any], dict[str, str]]) -> None:
    class Once(SmallSuite):
        def begin(self, source: Any) -> Any:
            return OnceFlow(source)

    assert set(failing(Once("none"))) == {"test_a_flow_can_be_run_again_and_at_the_same_time"}


@dataclass(frozen=True)
class OnceFlow(SmallFlow):
    def __post_init__(self) -> None:
        if isinstance(self.source, FaultySource):
            object.__setattr__(self, "spent", [])

    async def collect(self) -> list[Any]:
        self.spent.append(None)  # type: ignore[attr-defined]
        return [] if len(self.spent) > 1 else await super().collect()  # type: ignore[attr-defined]


def test_without_order_any_order_passes_and_a_wrong_item_does_not(
    failing: Callable[[Any], dict[str, str]],
) -> None:
    suite = SmallSuite("reverses each batch")
    suite.ordered = False
    assert failing(suite) == {}
    suite = SmallSuite("plain for drops the last")
    suite.ordered = False
    assert set(failing(suite)) == {"test_plain_for_gives_the_same"}
