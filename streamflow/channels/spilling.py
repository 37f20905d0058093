"""An edge that goes on to the disk when its part in memory is full.

What is sent while anything lies on the disk goes there as well, so that the order holds: the queue in memory is always
the oldest part. Markers stand in memory, each before the record that came after it; watermarks, which may be as many
as records, are written down with the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from streamflow.channels.memory import Channel
from streamflow.channels.outgoing import RECORD_ITEMS, Outgoing
from streamflow.channels.placing import Placing
from streamflow.channels.records import RECORD_HEADER, Record
from streamflow.channels.segments import Found
from streamflow.channels.sizes import size_of_items
from streamflow.channels.spill_disk import Appended, SpillDisk
from streamflow.files.file_system import FULL, SyncFailed
from streamflow.model.batches import Batch
from streamflow.model.events import DiskFull, Event
from streamflow.model.markers import Commit, Marker
from streamflow.model.statistics import EdgeStatistics

#: Seconds after which a sender that met a full disk tries again.
TRY_AGAIN = 1.0

log = logging.getLogger("streamflow.channels")


@dataclass(slots=True)
class _Writing:
    """Be a write under way, behind the first `markers` of those at the end, and who waits for it."""

    appended: Appended
    markers: int
    settled: asyncio.Future[None]
    awaited: bool = True
    error: BaseException | None = None


class SpillChannel(Channel):
    """Join two stages by a queue in memory that goes on on `disk`.

    `encode` and `decode` turn items into bytes and back. Where checkpoints need what lies there (`disk.durable`), a
    barrier overtakes what is on it, which becomes this edge's part of the checkpoint, and stays until that is
    forgotten.
    """

    def __init__(
        self,
        name: str,
        disk: SpillDisk,
        *,
        encode: Callable[[list[Any]], bytes],
        decode: Callable[[bytes], list[Any]],
        items: int,
        bytes: int,
        between: tuple[str, str] = ("", ""),
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        super().__init__(name, items=items, bytes=bytes, overflow="spill", between=between)
        self.restored = 0
        self._encode = encode
        self._decode = decode
        self._on_event = on_event
        self._disk = disk
        self._account = disk.account
        self._markers = Placing()
        self._writing: _Writing | None = None
        self._reading: asyncio.Future[list[Found]] | None = None
        self._fetched: deque[Found] = deque()
        self._trouble: BaseException | None = None
        self._disk_full = False
        disk.freed = self._wake_sender

    async def open(self) -> None:
        """Open the disk."""
        await self._disk.open()

    async def release(self, *, keep: bool = False) -> None:
        """Close, and remove the files: all of them, or (`keep`) those that no checkpoint can need."""
        self.close()
        await self._disk.release(keep=keep)

    def close(self) -> None:
        """Take no more: what is queued, here or on the disk, is abandoned."""
        if self.closed:
            return
        self.abandoned += self._account.skip()
        self._markers.clear()
        self._fetched.clear()
        super().close()
        self._disk.remove_unneeded()

    @property
    def overtaken(self) -> bool:
        """Tell whether a barrier overtakes what is on the disk."""
        return self._disk.durable

    @property
    def _all_in_memory(self) -> bool:
        """Tell whether nothing is on the disk, or on its way to or from there."""
        return self._writing is None and self._reading is None and self._account.empty

    # -- the sending side -----------------------------------------------------------------------------------------

    async def send(self, batch: Batch) -> None:
        """Put `batch` in the queue or on the disk, waiting for room there."""
        if self.closed or not (self._all_in_memory and self._put_if_room(batch)):
            await self._send_waiting(batch)

    def force(self, batch: Batch) -> None:
        """Do as `Channel` does, as long as nothing is on the disk."""
        assert self._all_in_memory, f"edge {self.name!r} spills: nothing may be forced past what is on the disk"
        super().force(batch)

    def mark(self, marker: Marker) -> None:
        """Put a marker behind what was sent; a barrier only behind what is in memory, if the edge is durable.

        A commit is for the sink alone, and has no place among the items.
        """
        if self.closed:
            return
        if self._all_in_memory or isinstance(marker, Commit):
            self._enqueue([marker])
        else:
            self._markers.add([marker])
            self._overtake()

    async def _send_waiting(self, batch: Batch) -> None:
        outgoing = Outgoing(batch, self._encode, self.name)
        try:
            while outgoing and not self.closed:
                if not self._all_in_memory:
                    await self._spill(outgoing)
                elif self._put_if_room(outgoing.first):
                    outgoing.passed()
                elif cut := self._cut(outgoing.first):
                    outgoing.cut(cut)
                else:
                    await self._spill(outgoing)
        finally:
            self._lose(outgoing.left())

    async def _spill(self, outgoing: Outgoing) -> None:
        """Write as much as there is room for; if that is nothing, wait for room."""
        most = min(self.max_bytes, self._account.segment_size) // 2
        pieces = outgoing.encoded(self.max_items // 2, most)
        appended = self._disk.append(self._markers.end, pieces)
        if appended is not None:
            taken = outgoing.take(appended.pieces)
            self._writing = _Writing(appended, len(self._markers.end), asyncio.get_running_loop().create_future())
            appended.done.add_done_callback(self._settle_write)
            if not await self._written():
                outgoing.give_back(taken)
                await self._wait_for_space()
        elif len(pieces[0].batch.items) > 1 and not self._account.could_fit(RECORD_HEADER + len(pieces[0].payload)):
            outgoing.cut(len(pieces[0].batch.items) // 2)
        else:
            await self._wait_for_room()  # one item larger than the disk may hold passes when all is empty

    # -- to the disk ----------------------------------------------------------------------------------------------

    async def _written(self) -> bool:
        """Wait for the write under way; tell whether it went well, or the disk is full. Any other error is raised."""
        writing = self._writing
        assert writing is not None
        try:
            await asyncio.wait([writing.settled])
        except asyncio.CancelledError:
            if writing.error is not None:
                self._lose(writing.appended.items)
            writing.awaited = False  # what becomes of it is counted when it is known
            raise
        if writing.error is None:
            self._disk_full = False
            return True
        error = writing.error
        if isinstance(error, OSError) and error.errno in FULL and not isinstance(error, SyncFailed):
            return False
        self._lose(writing.appended.items)
        raise writing.error

    def _settle_write(self, future: asyncio.Future[None]) -> None:
        writing, self._writing = self._writing, None
        assert writing is not None
        writing.error = future.exception()
        if writing.error is not None:
            self._account.failed()
            if not writing.awaited:
                self._lose(writing.appended.items)
        else:
            self._markers.wrote(writing.markers, self._account.sequence)
            self._account.wrote(writing.appended.size, writing.appended.records, writing.appended.items)
            self.sent += writing.appended.items
            if self.closed:
                self.abandoned += self._account.skip()
        writing.settled.set_result(None)
        self._overtake()
        self._pump()

    def _lose(self, items: int) -> None:
        """Count what was sent and got no place."""
        self.sent += items
        self.abandoned += items

    async def _wait_for_space(self) -> None:
        """Wait until the disk may have space again, or something was taken."""
        if not self._disk_full:
            self._disk_full = True
            log.warning("edge %r: no space is left in %s; its sender waits", self.name, self._disk.folder)
            if self._on_event is not None:
                self._on_event(DiskFull(edge=self.name, folder=self._disk.folder))
        if self.closed or (self._all_in_memory and not self._items):
            return  # all was taken while the disk was asked: nobody would wake us, and there is room
        timer = asyncio.get_running_loop().call_later(TRY_AGAIN, self._wake_sender)
        try:
            await self._wait_for_room()
        finally:
            timer.cancel()

    def _wake_sender(self) -> None:
        if self._sender is not None and not self._sender.done():
            self._sender.set_result(None)

    # -- from the disk --------------------------------------------------------------------------------------------

    def take_nowait(self) -> Batch | Marker | None:
        """Return what is at the head of the queue, and have what comes next brought from the disk."""
        head = super().take_nowait()
        if not self._all_in_memory:
            self._pump()
            head = head if head is not None else super().take_nowait()
        if head is None and self._trouble is not None:
            raise self._trouble
        return head

    def _pump(self) -> None:
        """Bring from the disk what there is room for in memory, and remove what has been read."""
        if self.closed or self._trouble is not None:
            return
        try:
            self._bring_some()
        except Exception as trouble:
            self._fail(trouble)
            return
        if not self._account.empty:
            if not self._fetched and self._reading is None:
                self._reading = self._disk.read()
                self._reading.add_done_callback(self._settle_read)
        elif self._writing is None:
            self._enqueue(self._markers.take_end())
            self._account.seal()
            self._wake_sender()
        self._disk.remove_unneeded()

    def _settle_read(self, future: asyncio.Future[list[Found]]) -> None:
        self._reading = None
        error = future.exception()
        if self.closed:
            return
        if error is not None:
            self._fail(error)
        else:
            self._fetched.extend(future.result())
            self._pump()

    def _fail(self, trouble: BaseException) -> None:
        """Have whoever receives raise `trouble`, behind what is in memory."""
        self._trouble = trouble
        self._arrived()

    def _bring_some(self) -> None:
        """Decode what was read, as far as memory is half empty, and a little at a time: it holds the loop."""
        self._enqueue(self._markers.before(self._account.head.sequence))
        brought = 0
        while self._fetched and brought < RECORD_ITEMS:
            if self._items * 2 > self.max_items or self._bytes * 2 > self.max_bytes:
                return
            one, after = self._fetched[0]
            self._bring(one)
            self._fetched.popleft()
            self._account.read(after, one.items)
            self._enqueue(self._markers.before(self._account.head.sequence))
            brought += one.items

    def _bring(self, one: Record) -> None:
        if one.marker is not None:
            self._enqueue([one.marker])
            return
        items = self._decode(one.payload)
        size = size_of_items(items)
        self._items += len(items)
        self._bytes += size
        self.high_water = max(self.high_water, self._items)
        self._queue.append((Batch(items), size))
        self._arrived()

    def _enqueue(self, markers: Iterable[Marker]) -> None:
        for marker in markers:
            self._queue.append(marker)
            self._arrived()

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def _overtake(self) -> None:
        """Let barriers past what is on the disk, which is theirs from now on."""
        if not self._disk.durable or self._writing is not None:
            return
        for barrier, before in self._markers.take_barriers():
            self._account.cut(barrier.epoch, before)
            self._enqueue([barrier])

    async def snapshot(self, epoch: int) -> dict[str, Any] | None:
        """Bring to the disk what barrier `epoch` overtook; return where it is, as plain values, None if it was nothing.

        Ask when the barrier has passed this edge, and before that checkpoint is forgotten.
        """
        cut = self._account.cuts.get(epoch)
        if cut is None:
            return None
        await self._disk.sync()
        return cut.plain()

    async def restore(self, snapshot: Mapping[str, Any] | None, epoch: int) -> None:
        """Begin with what `snapshot(epoch)` returned in an earlier run; the edge is open, and nothing was sent yet.

        Other files in the folder stay until no checkpoint before `epoch` is kept, which could need them; a run that
        begins afresh says so by `restore(None, 0)`, and they go.
        """
        cut = await self._disk.restore(snapshot, epoch)
        self.restored = cut.items
        self._disk.remove_unneeded()
        self._markers.add(cut.markers)
        self._pump()

    def forget(self, before: int, saved: int) -> None:
        """Take note that checkpoint `saved` is whole, and none before epoch `before` is kept any more."""
        self._account.forget(before, saved)
        self._disk.remove_unneeded()

    # -- the meter ------------------------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Return the number of items in memory and on the disk."""
        return self._items + self._account.items

    @property
    def waiting(self) -> bool:
        """Tell whether something, if only an error, is there to be received or will come from the disk."""
        return super().waiting or not self._all_in_memory or self._trouble is not None

    @property
    def receiving(self) -> bool:
        """Tell whether the receiver waits for the sender: not for the disk."""
        return super().receiving and self._all_in_memory

    def statistics(self) -> EdgeStatistics:
        """Return what this edge has seen."""
        return replace(
            super().statistics(),
            queued=self.queued,
            restored=self.restored,
            spilled=self._account.items,
            spilled_bytes=self._account.bytes,
            spilled_high_water=self._account.high_water,
            max_spilled_bytes=self._account.cap,
        )
