"""The source suite passes sound sources and catches each kind of broken one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from streamflow.model.errors import RecordError
from streamflow.model.interfaces import Block, PullReader, Reader, Source
from streamflow.model.positions import Position
from streamflow.model.statistics import Progress
from streamflow.testing import FaultySource, SourceSuite

ITEMS = [*range(10), None, "last"]


# sound sources, run as a third party would run its own


class TestWaitingSource(SourceSuite):
    """A source that waits before each read, can be replayed, and may never end."""

    def make_source(self) -> Source[Any]:
        return FaultySource(ITEMS, batch=4, delay=1)

    def expected(self) -> list[Any]:
        return ITEMS

    def make_waiting_source(self) -> tuple[Source[Any], list[Any]]:
        return FaultySource(ITEMS, batch=4, endless=True), ITEMS


class TestEndlessSource(TestWaitingSource):
    def make_source(self) -> Source[Any]:
        return FaultySource(ITEMS, batch=5, endless=True, can_seek=False)


@dataclass(frozen=True, kw_only=True)
class Counted(Source[int]):
    """Read integers without ever waiting."""

    count: int

    async def open(self) -> Reader[int]:
        return CountedReader(self.count)


class CountedReader(PullReader[int]):
    def __init__(self, count: int) -> None:
        self._next, self._count = 0, count

    def pull(self, limit: int) -> Sequence[int] | None:
        start, self._next = self._next, min(self._next + limit, self._count)
        return range(start, self._next) if start < self._next else None

    def position(self) -> Position:
        return Position("counted", index=self._next)


class TestPullSource(SourceSuite):
    def make_source(self) -> Source[Any]:
        return Counted(count=11)

    def expected(self) -> list[Any]:
        return list(range(11))


class Lines(Block):
    """Hold lines, with offsets as a file's."""

    def __init__(self, lines: list[bytes], offset: int) -> None:
        self._lines, self._offset = lines, offset
        self._iterators: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def raw(self) -> Iterator[bytes]:
        return iter(self._lines)

    def consumed(self, raw: Iterator[bytes]) -> int:
        return len(self._lines) - raw.__length_hint__()  # type: ignore[attr-defined,no-any-return]

    def position(self, index: int) -> Position:
        return Position("lines", offset=self._offset + sum(map(len, self._lines[:index])))


@dataclass(frozen=True, kw_only=True)
class LinesSource(Source[int]):
    """Read numbers, one a line, in blocks of three lines."""

    text: bytes = b"".join(b"%d\n" % number for number in range(10))

    @property
    def replayable(self) -> bool:
        return True

    @property
    def decode(self) -> Callable[[bytes], int]:
        return int

    async def open(self) -> Reader[int]:
        return LinesReader(self.text)


class LinesReader(Reader[int]):
    def __init__(self, text: bytes) -> None:
        self._text, self._offset = text, 0

    async def read(self, limit: int) -> Lines | None:
        await asyncio.sleep(0)
        lines = self._text[self._offset :].splitlines(keepends=True)[:3]
        block = Lines(lines, self._offset)
        self._offset += sum(map(len, lines))
        return block if lines else None

    def position(self) -> Position:
        return Position("lines", offset=self._offset)

    async def seek(self, position: Position) -> None:
        self._offset = position.offset or 0


class TestBlockSource(SourceSuite):
    def make_source(self) -> Source[Any]:
        return LinesSource()

    def expected(self) -> list[Any]:
        return list(range(10))


# broken ones


@dataclass(frozen=True, kw_only=True)
class Broken(Source[int]):
    """Be sound but for one defect."""

    defect: str
    endless: bool = False
    shared: list[Any] = field(default_factory=list, compare=False)

    @property
    def bounded(self) -> bool:
        return not self.endless

    @property
    def replayable(self) -> bool:
        return self.defect != "seeks though not replayable"

    async def open(self) -> Reader[int]:
        return BrokenReader(self)


class BrokenReader(Reader[int]):
    def __init__(self, source: Broken) -> None:
        self._source, self._defect = source, source.defect
        self._next = len(source.shared) if self._defect == "runs share a place" else 0
        self._ended = 0
        if self._defect == "a task is left":
            source.shared.append(asyncio.create_task(asyncio.sleep(1e9)))

    async def read(self, limit: int) -> Sequence[int] | None:
        start = self._next
        if self._defect == "loses items when cancelled":
            self._next = min(start + limit, 10)
            await asyncio.sleep(1)
        elif self._defect == "loses items when cancelled late":
            await self._arrived(start, limit)
        if start >= 10:
            return await self._end()
        if self._defect == "waits to fill" and limit > 10 and self._source.endless:
            await asyncio.get_running_loop().create_future()
        return self._batch(start, limit)

    async def _arrived(self, start: int, limit: int) -> None:
        arrival = asyncio.get_running_loop().create_future()

        def arrive() -> None:
            if not arrival.done():
                self._next = min(start + limit, 10)
                arrival.set_result(None)

        asyncio.get_running_loop().call_soon(arrive)
        await arrival

    async def _end(self) -> list[int] | None:
        if self._source.endless:
            await asyncio.get_running_loop().create_future()
        self._ended += 1
        if self._defect == "ends with an empty batch":
            return [] if self._ended == 1 else None
        return [99] if self._defect == "goes on after the end" and self._ended > 1 else None

    def _batch(self, start: int, limit: int) -> list[int]:
        more = 1 if self._defect == "more than the limit" else 0
        self._next = min(start + limit + more, 10)
        if self._defect == "runs share a place":
            self._source.shared.append(None)
        found = list(range(start, self._next))
        if self._defect == "order":
            found.reverse()
        if self._defect == "drops the last" and self._next == 10 and limit > 1:
            found.pop()
        return found

    def position(self) -> Position:
        at = Position("broken", index=self._next)
        if self._defect == "position moves":
            self._next += 1
        return at

    def progress(self) -> Progress:
        if self._defect == "goes back":
            return Progress(done=10 - self._next, unit="items")
        at = Progress(done=self._next + (self._defect == "is beyond its end"), total=10, unit="items")
        if self._defect == "moves when asked how far":
            self._next += 1
        return at

    async def seek(self, position: Position) -> None:
        if position.index is None:
            raise RecordError("no index")
        self._next = position.index + (1 if self._defect == "seeks one too far" else 0)


class BrokenSuite(SourceSuite):
    def __init__(self, defect: str) -> None:
        self.defect = defect

    def make_source(self) -> Source[Any]:
        return Broken(defect=self.defect)

    def expected(self) -> list[Any]:
        return list(range(10))

    def make_waiting_source(self) -> tuple[Source[Any], list[Any]]:
        return Broken(defect=self.defect, endless=True), list(range(10))


def test_the_broken_source_is_sound_without_a_defect(failing: Callable[[Any], dict[str, str]]) -> None:
    assert failing(BrokenSuite("none")) == {}


@pytest.mark.parametrize(
    ("defect", "caught_by"),
    [
        ("order", "test_it_reads_every_item_in_order_under_any_limit"),
        ("drops the last", "test_it_reads_every_item_in_order_under_any_limit"),
        ("more than the limit", "test_a_batch_has_from_one_to_limit_items"),
        ("ends with an empty batch", "test_it_ends_with_none_and_stays_ended"),
        ("goes on after the end", "test_it_ends_with_none_and_stays_ended"),
        ("waits to fill", "test_it_hands_on_what_is_there"),
        ("position moves", "test_asking_for_the_position_changes_nothing"),
        ("goes back", "test_how_far_it_is_never_goes_back_nor_beyond_the_end"),
        ("is beyond its end", "test_how_far_it_is_never_goes_back_nor_beyond_the_end"),
        ("moves when asked how far", "test_how_far_it_is_never_goes_back_nor_beyond_the_end"),
        ("seeks one too far", "test_it_goes_on_from_any_position"),
        ("seeks though not replayable", "test_what_cannot_be_replayed_says_so"),
        ("loses items when cancelled", "test_a_cancelled_read_loses_nothing"),
        ("loses items when cancelled late", "test_a_cancelled_read_loses_nothing"),
        ("a task is left", "test_closing_early_leaves_nothing_behind"),
        ("runs share a place", "test_two_runs_do_not_disturb_each_other"),
    ],
)
def test_a_broken_source_is_caught(defect: str, caught_by: str, failing: Callable[[Any], dict[str, str]]) -> None:
    found = failing(BrokenSuite(defect))
    assert caught_by in found, found


def test_a_pull_that_differs_from_read_is_caught(failing: Callable[[Any], dict[str, str]]) -> None:
    class Unequal(CountedReader):
        async def read(self, limit: int) -> Sequence[int] | None:
            return super().pull(limit)

        def pull(self, limit: int) -> Sequence[int] | None:
            return super().pull(1) and super().pull(limit)

    class Suite(TestPullSource):
        def make_source(self) -> Source[Any]:
            @dataclass(frozen=True, kw_only=True)
            class Described(Counted):
                async def open(self) -> Reader[int]:
                    return Unequal(self.count)

            return Described(count=11)

    assert set(failing(Suite())) == {"test_pull_does_what_read_does"}


def test_a_block_that_miscounts_is_caught(failing: Callable[[Any], dict[str, str]]) -> None:
    class Wrong(Lines):
        def position(self, index: int) -> Position:
            return super().position(index + 1)

    class WrongReader(LinesReader):
        async def read(self, limit: int) -> Lines | None:
            start, block = self._offset, await super().read(limit)
            return None if block is None else Wrong(list(block.raw()), start)

    class Suite(TestBlockSource):
        def make_source(self) -> Source[Any]:
            @dataclass(frozen=True, kw_only=True)
            class Described(LinesSource):
                async def open(self) -> Reader[int]:
                    return WrongReader(self.text)

            return Described()

    assert "test_it_goes_on_from_any_position" in failing(Suite())


def test_a_description_that_can_change_is_caught(failing: Callable[[Any], dict[str, str]]) -> None:
    class Mutable(Source[int]):
        async def open(self) -> Reader[int]:
            return CountedReader(11)

    class Suite(TestPullSource):
        def make_source(self) -> Source[Any]:
            return Mutable()

    assert set(failing(Suite())) == {"test_it_is_described_by_a_frozen_dataclass"}
