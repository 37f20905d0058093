"""The edge that spills, against a plain list of what was sent, on a real folder: crashed, restored, damaged, full."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamflow.channels.records import SEGMENT_HEADER, items_record, marker_record
from streamflow.channels.segments import SegmentFiles
from streamflow.channels.spill import Position
from streamflow.channels.spill_disk import SpillDisk
from streamflow.channels.spilling import SpillChannel
from streamflow.files.file_system import FileSystem, InputFile, OutputFile
from streamflow.files.local import LOCAL, LocalFiles
from streamflow.model.batches import Batch
from streamflow.model.errors import CheckpointDamaged, NotSerialisable, SpillDamaged
from streamflow.model.events import DiskFull, Event
from streamflow.model.markers import Barrier, Commit, EndOfStream, Idle, LatencyProbe, Marker, Watermark
from streamflow.state.encoding import decode, encode
from streamflow.testing import run

T = TypeVar("T")
Entry = Any  # an item, or a marker


def channel_in(
    folder: Path | str, cap: int = 0, *, items: int = 4, durable: bool = False, segment: int = 0, **options: Any
) -> SpillChannel:
    files: FileSystem = options.pop("files", LOCAL)
    cap = cap or (8000 if durable else 4000)  # of the former, half is for what checkpoints need
    disk = SpillDisk("edge", files, os.path.join(folder, "segments"), cap, segment_size=segment, durable=durable)
    return SpillChannel("edge", disk, encode=encode, decode=decode, items=items, bytes=1 << 20, **options)


async def settle(channel: SpillChannel) -> None:
    """Wait until the thread has nothing to do and everything that came of it is known."""
    quiet = 0
    while quiet < 4:
        thread = channel._disk._thread
        quiet = 0 if thread is not None and thread.waiting else quiet + 1
        await asyncio.sleep(0)


def on_disk(folder: Path | str) -> int:
    """Return the bytes that lie there; what is removed meanwhile counts no more."""
    return sum(LOCAL.size(str(file)) or 0 for file in Path(folder).rglob("*.spill"))


class Spilling(RuleBasedStateMachine):
    """Do anything that a producer, a consumer, checkpoints and crashes do.

    `there` is what must still come, `taken` counts what has come in this life. Of each barrier that was taken, `kept`
    says what had been sent before it and was not taken yet: what the edge must give after a crash.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.mkdtemp()
        self.lives = 0
        self.number = self.epoch = 0
        self.there: list[Entry] = []
        self.marked: dict[int, list[Entry]] = {}
        self.kept: dict[int, tuple[Any, list[Entry]]] = {}
        self.sending: asyncio.Task[None] | None = None
        self.channel: SpillChannel

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    def open(self) -> None:
        self.lives += 1
        self.channel = channel_in(
            self.home, self.cap, items=self.items, durable=self.durable, segment=self.cap // self.parts
        )
        self.do(self.channel.open())

    @property
    def home(self) -> str:
        return os.path.join(self.folder, str(self.lives))

    @initialize(
        cap=st.integers(150, 3000), items=st.integers(1, 9), parts=st.sampled_from([2, 8]), durable=st.booleans()
    )
    def begin(self, cap: int, items: int, parts: int, durable: bool) -> None:
        self.cap, self.items, self.parts, self.durable = cap, items, parts, durable
        self.open()

    # -- the producer ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.sending is None)
    @rule(count=st.integers(1, 30), width=st.sampled_from([0, 0, 10, 100, 400]))
    def send(self, count: int, width: int) -> None:
        items = [(self.number + n, "x" * width) for n in range(count)]
        self.number += count
        self.there += items
        self.sending = self.loop.create_task(self.channel.send(Batch(items)))
        self.settle()

    @rule()
    def settle(self) -> None:
        self.do(settle(self.channel))
        if self.sending is not None and self.sending.done():
            self.sending.result()
            self.sending = None

    @precondition(lambda self: self.sending is not None)
    @rule(at_once=st.booleans())
    def cancel(self, at_once: bool) -> None:
        if not at_once:
            self.settle()
        if self.sending is None:
            return
        before = self.channel.abandoned
        self.sending.cancel()
        self.do(asyncio.wait([self.sending]))
        self.do(settle(self.channel))
        self.sending = None
        lost = self.channel.abandoned - before
        items = [one for one in self.there if not isinstance(one, Marker)][-lost:] if lost else []
        self.there = [one for one in self.there if one not in items]

    @precondition(lambda self: self.sending is None)
    @rule(kind=st.sampled_from([Watermark, Watermark, Idle, LatencyProbe]), count=st.integers(1, 3))
    def mark(self, kind: Any, count: int) -> None:
        for _ in range(count):
            self.number += 1
            marker = Idle() if kind is Idle else kind(float(self.number))
            self.there.append(marker)
            self.channel.mark(marker)

    @precondition(lambda self: self.sending is None)
    @rule()
    def barrier(self) -> None:
        self.epoch += 1
        self.there.append(Barrier(self.epoch))
        self.channel.mark(Barrier(self.epoch))

    # -- the consumer ---------------------------------------------------------------------------------------------

    @rule(most=st.integers(1, 30))
    def take(self, most: int) -> None:
        async def taking() -> None:
            for _ in range(most):
                await settle(self.channel)  # what can be taken must not depend on how far a thread is
                head = self.channel.take_nowait()
                if head is None:
                    return
                for one in [head] if isinstance(head, Marker) else head.items:
                    self.came(one)

        self.do(taking())

    def came(self, one: Entry) -> None:
        if isinstance(one, Barrier):
            at = self.there.index(one)
            if not self.durable:
                assert at == 0, "a barrier has overtaken something"
            before = [e for e in self.there[:at] if not isinstance(e, (Barrier, LatencyProbe))]
            del self.there[at]
            assert not any(isinstance(e, Barrier) for e in self.there[:at])
            self.marked[one.epoch] = before
            return
        expected = self.there.pop(0)
        assert one == expected

    # -- checkpoints ----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.durable and self.sending is None)
    @rule(then=st.integers(0, 30))
    def checkpoint(self, then: int) -> None:
        self.barrier()
        for _ in range(100):
            if self.epoch in self.marked:
                break
            self.take(1)
            self.settle()
        self.snapshot()
        for _ in range(then):
            self.take(1)
            self.settle()

    @precondition(lambda self: self.durable and self.marked)
    @rule()
    def snapshot(self) -> None:
        for epoch, there in self.marked.items():
            self.kept[epoch] = self.do(self.channel.snapshot(epoch)), there
        self.marked = {}

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        oldest = data.draw(st.sampled_from(sorted(self.kept)))
        self.channel.forget(oldest, oldest)
        self.kept = {epoch: kept for epoch, kept in self.kept.items() if epoch >= oldest}
        self.marked = {epoch: kept for epoch, kept in self.marked.items() if epoch >= oldest}

    @precondition(lambda self: self.kept)
    @rule(data=st.data(), killed=st.booleans(), torn=st.integers(0, 40))
    def crash(self, data: st.DataObject, killed: bool, torn: int) -> None:
        epoch = data.draw(st.sampled_from(sorted(self.kept)))
        old, home = self.channel, self.home
        if killed:  # what lies there is what the next life finds, with the beginning of a last write
            shutil.copytree(home, os.path.join(self.folder, str(self.lives + 1)))
            self.end_sending()
            self.do(old.release())
            for file in Path(self.folder, str(self.lives + 1)).rglob("*.spill"):
                needed = [p[3] for kept, _ in self.kept.values() if kept for p in kept["pieces"] if p[1] == file.name]
                with open(file, "r+b") as torn_file:
                    torn_file.truncate(max([0, *needed]) + torn)
        else:
            self.end_sending()
            self.do(old.release(keep=True))
            shutil.copytree(home, os.path.join(self.folder, str(self.lives + 1)))
        self.cap = max(self.cap, on_disk(os.path.join(self.folder, str(self.lives + 1))))
        plain, there = self.kept[epoch]
        self.kept = {epoch: self.kept[epoch]}  # those before it go where room is short
        self.marked = {}
        self.epoch = max(self.epoch, epoch)
        self.open()
        self.do(self.channel.restore(plain, epoch))
        self.there = list(there)
        assert self.channel.restored == sum(not isinstance(one, Marker) for one in there)

    def end_sending(self) -> None:
        if self.sending is not None:
            self.sending.cancel()
            self.do(asyncio.wait([self.sending]))
            self.sending = None

    # -- what always holds ----------------------------------------------------------------------------------------

    @invariant()
    def the_cap_and_the_books_hold(self) -> None:
        if not hasattr(self, "channel"):
            return
        found = self.channel.statistics()
        assert on_disk(self.home) <= self.cap
        assert found.spilled_high_water <= self.cap
        if self.sending is None:
            self.do(settle(self.channel))
            found = self.channel.statistics()
            assert found.conserved
            assert found.queued == sum(not isinstance(one, Marker) for one in self.there)
            assert found.spilled_bytes == on_disk(self.home)
        # One that is larger passes alone.
        assert found.high_water <= self.items

    def teardown(self) -> None:
        if hasattr(self, "channel"):
            for _ in range(10_000):  # everything comes
                self.settle()
                if not self.there and self.sending is None:
                    break
                self.take(30)
            assert self.there == []
            self.settle()
            found = self.channel.statistics()
            assert found.conserved
            if not self.durable:
                assert found.spilled_bytes == 0
            self.do(self.channel.release())
            assert not os.path.exists(os.path.join(self.home, "segments"))
        self.loop.close()
        shutil.rmtree(self.folder)

    @rule()
    def close(self) -> None:
        """End the consumer, and begin again somewhere else."""
        self.channel.close()
        self.settle()
        assert self.sending is None
        found = self.channel.statistics()
        assert found.conserved
        assert found.queued == 0
        self.do(self.channel.send(Batch([1])))
        assert self.channel.statistics().abandoned == found.abandoned + 1
        self.do(self.channel.release())
        self.there, self.marked, self.kept = [], {}, {}
        self.open()


TestSpilling = Spilling.TestCase
TestSpilling.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)


@pytest.mark.nightly
class TestMuchSpilling(Spilling.TestCase):
    settings = settings(max_examples=3000, stateful_step_count=100, deadline=None)


# -- one thing at a time ------------------------------------------------------------------------------------------


async def everything(channel: SpillChannel) -> list[Any]:
    """Take up to the end of the stream."""
    found: list[Any] = []
    while not isinstance(head := await channel.receive(), EndOfStream):
        found += [head] if isinstance(head, Marker) else head.items
    return found


async def spilled(channel: SpillChannel, count: int = 100) -> None:
    """Send numbers until `count` of them lie in the edge, most of them on the disk."""
    await channel.open()
    for n in range(0, count, 10):
        await channel.send(Batch(list(range(n, n + 10))))
    await settle(channel)
    assert channel.statistics().spilled > 0


def test_a_barrier_overtakes_what_is_on_the_disk_and_a_commit_everything_there(tmp_path: Path) -> None:
    async def main() -> None:
        channel = channel_in(tmp_path, durable=True)
        await spilled(channel)
        channel.mark(Watermark(5.0))
        channel.mark(Barrier(1))
        channel.mark(Commit(1))
        channel.mark(EndOfStream())
        before: list[int] = []
        while not isinstance(head := channel.take_nowait(), Barrier):
            assert isinstance(head, Batch)
            before += head.items
        assert len(before) <= 4, "only what is in memory comes before it"
        assert channel.take_nowait() == Commit(1)
        snapshot = await channel.snapshot(1)
        rest = await everything(channel)
        assert rest == [*range(len(before), 100), Watermark(5.0)]
        await settle(channel)
        assert on_disk(tmp_path), "a checkpoint needs it"
        await channel.release(keep=True)
        again = channel_in(tmp_path, durable=True)
        await again.open()
        await again.restore(decode(encode(snapshot)), 1)
        again.mark(EndOfStream())
        assert await everything(again) == rest
        again.forget(2, 2)
        await settle(again)
        assert not on_disk(tmp_path)
        assert again.statistics().conserved
        await again.release()

    run(main)


def test_files_of_checkpoints_before_the_one_that_is_resumed_stay_until_they_are_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        first = channel_in(tmp_path, cap=20_000, durable=True, segment=60)
        await spilled(first)
        first.mark(Barrier(1))
        older = await first.snapshot(1)
        for _ in range(10):
            first.take_nowait()
            await settle(first)
        first.mark(Barrier(2))
        newer = await first.snapshot(2)
        await first.release(keep=True)
        second = channel_in(tmp_path, cap=20_000, durable=True, segment=60)
        await second.open()
        await second.restore(newer, 2)
        second.forget(1, 2)
        await settle(second)
        await second.release(keep=True)
        third = channel_in(tmp_path, cap=20_000, durable=True, segment=60)
        await third.open()
        await third.restore(older, 1)
        assert third.queued == third.restored == older["items"]
        third.mark(EndOfStream())
        assert [one for one in await everything(third) if not isinstance(one, Barrier)][-1] == 99
        await third.release()

    run(main)


def test_a_run_that_begins_afresh_has_what_lies_there_removed(tmp_path: Path) -> None:
    async def main() -> None:
        channel = channel_in(tmp_path, durable=True)
        await spilled(channel)
        channel.mark(Barrier(1))
        await channel.release(keep=True)
        again = channel_in(tmp_path, durable=True)
        await again.open()
        assert on_disk(tmp_path)
        await again.restore(None, 0)
        await settle(again)
        assert not on_disk(tmp_path)
        await again.release(keep=True)

    run(main)
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_a_checkpoint_needs_and_is_gone_or_short_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        channel = channel_in(tmp_path, durable=True)
        await spilled(channel)
        channel.mark(Barrier(1))
        snapshot = await channel.snapshot(1)
        await channel.release(keep=True)
        assert snapshot is not None
        file = tmp_path / "segments" / snapshot["pieces"][-1][1]
        os.truncate(file, file.stat().st_size - 1)
        for what in ("bytes of", "is missing"):
            again = channel_in(tmp_path, durable=True)
            await again.open()
            with pytest.raises(CheckpointDamaged, match=f"{file.name}.*{what}"):
                await again.restore(snapshot, 1)
            await again.release(keep=True)
            file.unlink(missing_ok=True)

    run(main)


def test_every_byte_of_a_segment_that_is_damaged_is_noticed(tmp_path: Path) -> None:
    name = "00000001-0123456789abcdef.spill"
    files = SegmentFiles(LOCAL, str(tmp_path / "s"), "edge", durable=False)
    files.open()
    data = items_record(0, 3, encode([1, 2, 3])) + marker_record(1, Watermark(1.5)) + items_record(2, 1, encode(["x"]))
    files.append(name, "0123456789abcdef", 1, data)
    files.discard([])
    whole = (tmp_path / "s" / name).read_bytes()
    start = Position(1, SEGMENT_HEADER, 0)

    def read() -> list[Any]:
        """Read to the end, as often as it takes: a record that cannot be read whole is met first the next time."""
        reader, at, found = SegmentFiles(LOCAL, str(tmp_path / "s"), "edge", durable=False), start, list[Any]()
        try:
            while at.offset < len(whole):
                read = reader.read(name, at, len(whole))
                found += [one.record for one in read]
                at = read[-1].after
        finally:
            reader.discard([])
        return found

    assert [one.marker or decode(one.payload) for one in read()] == [[1, 2, 3], Watermark(1.5), ["x"]]
    damages = [
        whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :] for at in range(len(whole)) for flip in (1, 255)
    ]
    damages += [whole[:length] for length in range(len(whole))]
    for damaged in damages:
        (tmp_path / "s" / name).write_bytes(damaged)
        with pytest.raises(SpillDamaged, match=rf"{name}.*damaged at byte \d"):
            read()


class FaultyDisk(LocalFiles):
    """Raise `error` in the next `times` writes, syncs or reads, and write down what is brought to the disk."""

    def __init__(self) -> None:
        self.failing: dict[str, list[OSError]] = {"write": [], "sync": [], "read": []}
        self.synced: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def fail(self, where: str, number: int, times: int = 1) -> None:
        self.failing[where] += [OSError(number, os.strerror(number)) for _ in range(times)]

    def met(self, where: str) -> None:
        self.gate.wait(10)
        if self.failing[where]:
            raise self.failing[where].pop()

    def create(self, path: str, like: str | None = None) -> OutputFile:
        return FaultyOutput(self, super().create(path, like), path)

    def open_to_read(self, path: str) -> InputFile:
        return FaultyInput(self, super().open_to_read(path))

    def sync_directory(self, path: str) -> None:
        super().sync_directory(path)
        self.synced.append(path)


class FaultyInput(InputFile):
    def __init__(self, disk: FaultyDisk, file: InputFile) -> None:
        self.disk, self.file = disk, file

    def read_into(self, buffer: bytearray) -> int:
        self.disk.met("read")
        return self.file.read_into(buffer)

    def seek(self, offset: int) -> None:
        self.file.seek(offset)

    def close(self) -> None:
        self.file.close()


class FaultyOutput(OutputFile):
    def __init__(self, disk: FaultyDisk, file: OutputFile, path: str) -> None:
        self.disk, self.file, self.path = disk, file, path

    @property
    def length(self) -> int:
        return self.file.length

    def write(self, data: memoryview) -> None:
        self.disk.met("write")
        self.file.write(data)

    def sync(self) -> None:
        self.disk.met("sync")
        self.file.sync()
        self.disk.synced.append(self.path)

    def truncate(self, length: int) -> None:
        self.file.truncate(length)

    def close(self) -> None:
        self.file.close()


def test_what_a_checkpoint_needs_is_on_the_disk_before_it_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        disk = FaultyDisk()
        channel = channel_in(tmp_path, 20_000, durable=True, segment=100, files=disk)
        await spilled(channel)
        channel.mark(Barrier(1))
        snapshot = await channel.snapshot(1)
        assert snapshot is not None
        folder = str(tmp_path / "segments")
        assert disk.synced[0] == str(tmp_path), "the folder itself has a name"
        assert {os.path.join(folder, piece[1]) for piece in snapshot["pieces"]} < set(disk.synced)
        assert disk.synced[-1] == folder
        disk.fail("sync", errno.EIO)
        channel.mark(Barrier(2))
        with pytest.raises(OSError, match="Input/output error"):
            await channel.snapshot(2)
        await channel.release()

    run(main)


def test_a_full_disk_is_waited_for_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        disk, events = FaultyDisk(), list[Event]()
        channel = channel_in(tmp_path, files=disk, on_event=events.append)
        await channel.open()
        await channel.send(Batch([0, 1, 2, 3]))
        disk.fail("write", errno.ENOSPC, times=5)
        sending = asyncio.ensure_future(channel.send(Batch(list(range(4, 50)))))
        began = asyncio.get_running_loop().time()
        await sending
        assert asyncio.get_running_loop().time() - began == pytest.approx(5.0)
        channel.mark(EndOfStream())
        assert await everything(channel) == list(range(50))
        assert events == [DiskFull(edge="edge", folder=str(tmp_path / "segments"))]
        assert len(caplog.records) == 1
        assert channel.statistics().conserved
        await channel.release()

    run(main)


def test_while_the_disk_is_full_what_fits_passes_through_memory(tmp_path: Path) -> None:
    async def main() -> None:
        disk = FaultyDisk()
        channel = channel_in(tmp_path, files=disk)
        await channel.open()
        disk.fail("write", errno.ENOSPC, times=10_000)
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(everything(channel))
            await channel.send(Batch(list(range(50))))
            channel.mark(EndOfStream())
        assert taking.result() == list(range(50))
        await channel.release()

    run(main)


@pytest.mark.parametrize("where", ["write", "read"])
def test_any_other_error_of_the_disk_is_raised_with_the_file(tmp_path: Path, where: str) -> None:
    async def main() -> None:
        disk = FaultyDisk()
        channel = channel_in(tmp_path, files=disk)
        await channel.open()
        await channel.send(Batch([0, 1, 2, 3]))
        disk.fail(where, errno.EIO)
        with pytest.raises(OSError, match=r"edge 'edge' spills there: Input/output error.*\.spill") as caught:
            await channel.send(Batch([4]))
            await everything(channel)
        assert caught.value.errno == errno.EIO
        channel.close()
        await settle(channel)
        assert channel.statistics().conserved
        await channel.release()

    run(main)


@pytest.mark.parametrize("fails", [False, True])
def test_a_sender_that_is_cancelled_while_it_writes_is_accounted_for(tmp_path: Path, fails: bool) -> None:
    async def main() -> None:
        disk = FaultyDisk()
        channel = channel_in(tmp_path, files=disk)
        await channel.open()
        await channel.send(Batch([0, 1, 2, 3]))
        if fails:
            disk.fail("write", errno.ENOSPC)
        disk.gate.clear()
        sending = asyncio.ensure_future(channel.send(Batch([4, 5])))
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait([sending])
        channel.mark(EndOfStream())
        disk.gate.set()
        assert await everything(channel) == [0, 1, 2, 3] + ([] if fails else [4, 5])
        assert channel.statistics().abandoned == (2 if fails else 0)
        assert channel.statistics().conserved
        await channel.release()

    run(main)


def test_the_sender_is_not_said_to_be_waited_for_while_the_disk_is(tmp_path: Path) -> None:
    async def main() -> None:
        disk = FaultyDisk()
        channel = channel_in(tmp_path, cap=1000, segment=150, files=disk)
        await channel.open()
        sending = asyncio.ensure_future(channel.send(Batch([f"{n:040}" for n in range(60)])))
        await settle(channel)
        assert channel.sending
        assert not channel.receiving
        disk.gate.clear()
        while channel.take_nowait() is not None:
            pass
        assert channel.queued, "more is on the disk"
        receiving = asyncio.ensure_future(channel.receive())
        await asyncio.sleep(0)
        assert not receiving.done()
        assert not channel.receiving, "both would wait for each other, and the run be given up"
        assert channel.waiting
        disk.gate.set()
        await receiving
        sending.cancel()
        await asyncio.wait([sending])
        await channel.release()

    run(main)


def test_what_cannot_be_written_down_is_named_with_the_edge(tmp_path: Path) -> None:
    async def main() -> None:
        channel = channel_in(tmp_path)
        await channel.open()
        await channel.send(Batch([1, 2, 3, 4]))
        with pytest.raises(NotSerialisable) as refused:
            await channel.send(Batch([5, lambda: None]))
        said = str(refused.value)
        assert said.startswith("edge 'edge' spills to the disk, and an item (function) cannot go there: ")
        assert said.endswith(" cannot be written down; hand on plain data, or choose another overflow")
        assert "state" not in said, "an edge keeps none"
        assert channel.statistics().conserved
        await channel.release()

    run(main)


def test_an_item_larger_than_the_disk_part_passes_alone_through_memory(tmp_path: Path) -> None:
    async def main() -> None:
        channel = channel_in(tmp_path, cap=1000)
        await channel.open()
        items = [*range(20), "x" * 5000, *range(20)]
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(everything(channel))
            await channel.send(Batch(items))
            channel.mark(EndOfStream())
        assert taking.result() == items
        await channel.release()

    run(main)


def test_only_its_user_may_enter_the_folder_and_nothing_stays(tmp_path: Path) -> None:
    async def main() -> None:
        channel = channel_in(tmp_path)
        await spilled(channel)
        assert (tmp_path / "segments").stat().st_mode & 0o077 == 0
        await channel.release()

    run(main)
    assert list(tmp_path.iterdir()) == []
