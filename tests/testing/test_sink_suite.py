"""The sink suite passes sound sinks and catches each kind of broken one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from streamflow.model.interfaces import InlineWriter, Sink, Writer
from streamflow.testing import FaultySink, SinkSuite

# sound sinks, run as a third party would run its own


class TestTransactionalSink(SinkSuite):
    def make_sink(self) -> Sink[Any]:
        self.sink = FaultySink[Any](delay=1)
        return self.sink

    def written(self) -> list[Any]:
        return self.sink.log.visible


@dataclass(frozen=True, kw_only=True)
class Lines(Sink[int]):
    """Write numbers to a file, one a line: under a temporary name if the flow is bounded, else in place."""

    path: Path
    defect: str = "none"

    @property
    def inline(self) -> bool:
        return self.defect != "inline is denied"

    @property
    def unresumable(self) -> str:
        return "its file is made anew by every run"

    @property
    def encode(self) -> Callable[[int], bytes]:
        return lambda number: b"%d\n" % number

    async def open(self, bounded: bool) -> Writer[bytes]:
        return LinesWriter(self.path, bounded, self.defect)


class LinesWriter(InlineWriter[bytes]):
    high_water = 16

    def __init__(self, path: Path, bounded: bool, defect: str) -> None:
        self._final, self._bounded, self._defect = path, bounded, defect
        at_once = not bounded or defect == "no temporary name"
        self._path = path if at_once else path.with_name(f".{path.name}.part")
        self._file = self._path.open("wb" if bounded else "ab", buffering=0)
        self._waiting = bytearray()
        self._batches: list[Sequence[bytes]] = []

    @property
    def pending(self) -> int:
        return len(self._waiting)

    def put(self, item: bytes) -> None:
        if not isinstance(item, bytes):
            raise TypeError("bytes only")
        self._waiting += item

    async def settle(self) -> None:
        if self._defect == "half a record when cancelled":
            self._file.write(self._waiting[:1])
            del self._waiting[:1]
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self._bounded = self._bounded and self._defect != "a cancelled write confuses the abort"
            raise
        self._file.write(self._waiting)
        self._waiting.clear()

    async def write(self, batch: Sequence[bytes]) -> None:
        if self._defect == "keeps the batch":
            self._batches.append(batch)
        elif self._defect == "written is not told":
            for item in batch:
                self.put(item)
        elif self._defect == "drops the empty batch's followers" and not batch:
            self.put = lambda item: None  # type: ignore[method-assign]
        else:
            await super().write(batch)

    async def flush(self) -> None:
        for batch in self._batches:
            self._waiting += b"".join(batch)
        self._batches.clear()
        await self.settle()
        if self._defect == "flush forgets":
            self._file.seek(0)

    async def commit(self, epoch: int) -> None:
        if self._defect == "commit is not idempotent":
            self._file.write(b"0\n")

    async def abort(self) -> None:
        self._file.close()
        if self._defect == "abort renames":
            os.replace(self._path, self._final)
        elif self._bounded and self._defect != "abort leaves the temporary file":
            self._path.unlink(missing_ok=True)

    async def finish(self) -> None:
        await self.flush()
        self._file.close()
        if self._bounded and self._defect != "finish does not rename":
            os.replace(self._path, self._final)

    async def close(self) -> None:
        if self._defect != "close leaves the file open":
            self._file.close()
        else:
            KEPT.append(os.open("/dev/null", os.O_RDONLY))


KEPT: list[int] = []


class LinesSuite(SinkSuite):
    defect = "none"

    @property
    def directories(self) -> list[Path]:  # type: ignore[override]
        return [self.folder]

    def make_sink(self) -> Sink[Any]:
        self.number = getattr(self, "number", 0) + 1
        self.path = self.folder / f"{self.number}.txt"
        return Lines(path=self.path, defect=self.defect)

    def written(self) -> list[Any]:
        return [int(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def make_bad_item(self) -> Any:
        return "no bytes"

    folder: Path


class TestLinesSink(LinesSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path


@dataclass(frozen=True, kw_only=True)
class ToList(Sink[int]):
    """Append to a list: nothing can be taken back."""

    target: list[Any] = field(default_factory=list)

    @property
    def inline(self) -> bool:
        return True

    async def open(self, bounded: bool) -> Writer[int]:
        return ToListWriter(self.target)


class ToListWriter(InlineWriter[int]):
    def __init__(self, target: list[Any]) -> None:
        self.put = target.append  # type: ignore[method-assign]

    def put(self, item: int) -> object:
        raise NotImplementedError


class TestListSink(SinkSuite):
    atomic = False

    def make_sink(self) -> Sink[Any]:
        self.sink = ToList()
        return self.sink

    def written(self) -> list[Any]:
        return self.sink.target


# broken ones


@pytest.mark.parametrize(
    ("defect", "caught_by"),
    [
        ("no temporary name", "test_nothing_bears_the_final_name_before_the_finish"),
        ("a cancelled write confuses the abort", "test_a_cancelled_write_leaves_nothing"),
        ("finish does not rename", "test_it_writes_every_item_in_order_in_any_batches"),
        ("abort renames", "test_an_abort_leaves_nothing"),
        ("abort leaves the temporary file", "test_an_abort_leaves_nothing"),
        ("flush forgets", "test_it_writes_on_after_a_flush"),
        ("keeps the batch", "test_it_does_not_keep_the_batch"),
        ("drops the empty batch's followers", "test_an_empty_batch_changes_nothing"),
        ("commit is not idempotent", "test_a_commit_may_be_repeated"),
        ("half a record when cancelled", "test_an_endless_run_that_is_cancelled_shows_whole_items_only"),
        ("written is not told", "test_an_item_it_refuses_leaves_those_before_it"),
        ("inline is denied", "test_inline_says_what_open_gives"),
        ("close leaves the file open", "test_it_writes_every_item_in_order_in_any_batches"),
    ],
)
def test_a_broken_sink_is_caught(
    defect: str, caught_by: str, tmp_path: Path, failing: Callable[[Any], dict[str, str]]
) -> None:
    suite = LinesSuite()
    suite.folder, suite.defect = tmp_path, defect
    try:
        found = failing(suite)
    finally:
        while KEPT:
            os.close(KEPT.pop())
    assert caught_by in found, found


def test_a_put_that_differs_from_write_is_caught(failing: Callable[[Any], dict[str, str]]) -> None:
    class Twice(ToListWriter):
        async def write(self, batch: Sequence[int]) -> None:
            for item in batch:
                self.put(item)

        def __init__(self, target: list[Any]) -> None:
            self.put = lambda item: target.extend([item, item])  # type: ignore[method-assign]

    class Suite(TestListSink):
        def make_sink(self) -> Sink[Any]:
            @dataclass(frozen=True, kw_only=True)
            class ToListTwice(ToList):
                async def open(self, bounded: bool) -> Writer[int]:
                    return Twice(self.target)

            self.sink = ToListTwice()
            return self.sink

    assert "test_put_does_what_write_does" in failing(Suite())


def test_an_order_that_depends_on_the_batches_is_caught(failing: Callable[[Any], dict[str, str]]) -> None:
    class Reversed(ToListWriter):
        async def write(self, batch: Sequence[int]) -> None:
            await super().write(batch[::-1])

    class Suite(TestListSink):
        def make_sink(self) -> Sink[Any]:
            @dataclass(frozen=True, kw_only=True)
            class ToListReversed(ToList):
                async def open(self, bounded: bool) -> Writer[int]:
                    return Reversed(self.target)

            self.sink = ToListReversed()
            return self.sink

    assert "test_it_writes_every_item_in_order_in_any_batches" in failing(Suite())
