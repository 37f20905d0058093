"""The contract of a sink in a run that was broken off and goes on, as tests."""

from __future__ import annotations

import os
import pickle
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from streamflow.model.interfaces import Sink, Writer
from streamflow.testing.conformance.suite import Suite, require, require_equal, skip

#: What a run does: write up to an item, prepare an epoch, save that checkpoint, commit it, finish.
Step = tuple[str, int]
#: How a run ends before its time: by nothing at all, as a crash, or by `suspend`.
End = Callable[[Writer[Any]], Any]


class ResumingSuite(Suite):
    """Hold a sink to what it promises a run that goes on from a checkpoint; a part of `SinkSuite`."""

    items: Sequence[Any] = ()

    @abstractmethod
    def make_sink(self) -> Sink[Any]:
        """Describe the sink under test over a fresh, empty target."""

    @abstractmethod
    def written(self) -> list[Any]:
        """Return the items that others see in the target of the last `make_sink()`."""

    def crash_point(self) -> Callable[[], None]:
        """Remember the target as a crash would leave it now; return what puts it back, called when nobody has it open.

        By default that is whatever is below `directories`.
        """
        if not self.directories:
            skip("crash_point() is not overridden, and there are no directories")
        return _remembered([Path(folder) for folder in self.directories])

    def test_an_unbroken_run_with_checkpoints_writes_every_item(self) -> None:
        """Take every step."""

        async def main() -> None:
            sink = self.make_sink()
            if sink.unresumable:
                skip(sink.unresumable)
            await self._take(await sink.open(True), sink, self._steps(), None, None)
            require_equal(self.written(), list(self.items), "the output of a run with checkpoints")

        self.run(main)

    def test_a_run_that_crashed_goes_on_from_its_checkpoint(self) -> None:
        """Crash after each step, go on, and finish."""
        self._require_exactly_once()
        for bounded in (True, False):
            self.run(partial(self._broken_off_anywhere, bounded, self._crash))

    def test_a_run_that_suspended_goes_on_from_its_checkpoint(self) -> None:
        """Suspend after each step, go on, and finish."""
        self._require_exactly_once()
        for bounded in (True, False):
            self.run(partial(self._broken_off_anywhere, bounded, self._suspend))

    def test_a_run_that_goes_on_may_crash_again(self) -> None:
        """Crash after each step, and again as soon as the next run has begun to go on."""
        self._require_exactly_once()
        self.run(partial(self._broken_off_anywhere, True, self._crash, twice=True))

    def test_an_at_least_once_sink_goes_on_too(self) -> None:
        """Suspend with something written after the commit, then write that again."""

        async def main() -> None:
            sink = self.make_sink()
            if sink.unresumable:
                skip(sink.unresumable)
            items = _encoded(sink, self.items)
            writer = await sink.open(True)
            await writer.prepare(0)
            await writer.write(items[:5])
            prepared = await writer.prepare(1)
            await writer.commit(1)
            await writer.write(items[5:8])
            await writer.suspend()
            await writer.close()
            writer = await sink.open(True)
            await writer.resume(prepared)
            await writer.commit(1)
            await writer.write(items[5:])
            await writer.finish()
            await writer.close()
            found = self.written()
            missing = [item for item in self.items if item not in found]
            require(not missing, f"a run that went on has lost {missing!r} of {list(self.items)!r}: {found!r}")

        self.run(main)

    def _require_exactly_once(self) -> None:
        sink = self.make_sink()
        if sink.unresumable:
            skip(sink.unresumable)
        if sink.delivery != "exactly once":
            skip("its delivery is at least once")

    def _steps(self) -> list[Step]:
        """Return a run with a checkpoint at once, one that is complete, one that is never committed, and the last."""
        third, half, most = len(self.items) // 3, len(self.items) // 2, len(self.items)
        steps = [*_checkpoint(0), ("write", third), *_checkpoint(1), ("write", half), ("prepare", 2), ("save", 2)]
        return [*steps, ("write", most), *_checkpoint(3), ("finish", 0)]

    async def _broken_off_anywhere(self, bounded: bool, end: End, twice: bool = False) -> None:
        for count in range(2, len(self._steps()) + 1):  # before that, no checkpoint knows of anything
            await self._broken_off(count, bounded, end, twice)

    async def _broken_off(self, count: int, bounded: bool, end: End, twice: bool = False) -> None:
        """Take `count` steps, end, and have other runs go on from the checkpoint that was saved last."""
        sink, steps = self.make_sink(), self._steps()
        done = steps[:count]
        saved = await self._take(await sink.open(bounded), sink, done, end, None)
        if saved is None:
            return  # a run from the start
        epoch, written, prepared = saved
        rest: list[Step] = [("commit", epoch)]
        if twice:
            await self._take(await self._resumed(sink, bounded, prepared), sink, rest, end, saved)
        if written < len(self.items):
            rest += [*_checkpoint(epoch + 1), ("write", len(self.items)), *_checkpoint(epoch + 2)]
        writer = await self._resumed(sink, bounded, prepared)
        await self._take(writer, sink, [*rest, ("finish", 0)], None, saved)
        what = f"the output of a run that was broken off after {' '.join(map(_named, done))} and went on"
        require_equal(self.written(), list(self.items), what if bounded else f"{what}, of a flow without an end")

    async def _resumed(self, sink: Sink[Any], bounded: bool, prepared: bytes) -> Writer[Any]:
        writer = await sink.open(bounded)
        try:
            await writer.resume(pickle.loads(prepared))
        except BaseException:
            await writer.close()
            raise
        return writer

    async def _take(
        self, writer: Writer[Any], sink: Sink[Any], steps: list[Step], end: End | None, saved: Any
    ) -> tuple[int, int, bytes] | None:
        """Take these steps; return the epoch, the items and what was prepared of the checkpoint that was saved last."""
        try:
            saved = await self._take_each(writer, _encoded(sink, self.items), steps, saved)
        except BaseException:
            await writer.close()
            raise
        finished = bool(steps) and steps[-1][0] == "finish"
        await (writer.close() if end is None or (finished and end == self._suspend) else end(writer))
        return saved  # type: ignore[no-any-return]

    async def _take_each(self, writer: Writer[Any], items: list[Any], steps: list[Step], saved: Any) -> Any:
        at, prepared = 0 if saved is None else saved[1], None
        for step, number in steps:
            if step == "write":
                await writer.write(items[at:number])
                at = number
            elif step == "prepare":
                prepared = await writer.prepare(number)
                require(_is_plain(prepared), f"prepare returned more than plain values: {prepared!r}")
            elif step == "save":
                saved = number, at, pickle.dumps(prepared)
            elif step == "commit":
                await writer.commit(number)
            else:
                await writer.finish()
        return saved

    async def _crash(self, writer: Writer[Any]) -> None:
        restore = self.crash_point()
        await writer.abort()
        await writer.close()
        restore()

    async def _suspend(self, writer: Writer[Any]) -> None:
        await writer.suspend()
        await writer.close()


def _checkpoint(epoch: int) -> list[Step]:
    return [("prepare", epoch), ("save", epoch), ("commit", epoch)]


def _named(step: Step) -> str:
    return step[0] if step[0] == "finish" else f"{step[0]}({step[1]})"


def _encoded(sink: Sink[Any], items: Sequence[Any]) -> list[Any]:
    encode = sink.encode
    return list(items) if encode is None else [encode(item) for item in items]


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(one) for pair in value.items() for one in pair)
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, int, float, bool, bytes)


def _remembered(folders: list[Path]) -> Callable[[], None]:
    before = {path: (path.read_bytes(), path.stat()) for path in _files(folders)}

    def restore() -> None:
        for path in list(_files(folders)):
            if path not in before:
                path.unlink()
        for path, (data, status) in before.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("r+b" if path.exists() else "wb") as file:  # the same file, where it is there still
                file.truncate(0)
                file.write(data)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    return restore


def _files(folders: list[Path]) -> Iterator[Path]:
    return (path for folder in folders for path in folder.rglob("*") if path.is_file())
