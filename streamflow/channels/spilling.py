"""An edge that goes on to the disk when its part in memory is full.

What is sent while anything lies on the disk goes there as well, so that the order holds: the queue in memory is always
the oldest part. Markers stand in memory, each before the record that came after it; watermarks, which may be as many
as records, are written down with the next one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from streamflow.channels.memory import Channel
from streamflow.channels.records import IDLE, RECORD_HEADER, WATERMARK, Record
from streamflow.channels.sizes import size_of_items
from streamflow.channels.spill import Position
from streamflow.channels.spill_disk import SpillDisk
from streamflow.model.batches import Batch
from streamflow.model.errors import NotSerialisable
from streamflow.model.events import DiskFull, Event
from streamflow.model.markers import Barrier, Commit, Idle, Marker, Watermark
from streamflow.model.statistics import EdgeStatistics

#: The most items and bytes (estimated) of one record; they are decoded at a stretch, which holds the loop.
RECORD_ITEMS = 512
RECORD_BYTES = 1 << 18
#: Seconds after which a sender that met a full disk tries again.
TRY_AGAIN = 1.0

_FULL = (errno.ENOSPC, errno.EDQUOT)
log = logging.getLogger("streamflow.channels")


@dataclass(slots=True)
class _Writing:
    """Be a write under way: `batch`, behind the first `markers` of those that stand at the end."""

    batch: Batch
    size: int
    records: int
    markers: int
    settled: asyncio.Future[None]
    awaited: bool = True
    error: BaseException | None = None


class SpillChannel(Channel):
    """Join two stages by a queue in memory that goes on on `disk`.

    `encode` and `decode` turn items into bytes and back. Where checkpoints need what lies here (`durable`), a barrier
    overtakes what is on the disk, which becomes this edge's part of the checkpoint, and stays until that is forgotten.
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
        durable: bool = False,
        between: tuple[str, str] = ("", ""),
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        super().__init__(name, items=items, bytes=bytes, overflow="spill", between=between)
        self.durable = durable
        self.restored = 0
        self._encode = encode
        self._decode = decode
        self._on_event = on_event
        self._disk = disk
        self._account = disk.account
        #: Markers that stand before a record, and those that stand behind the last one.
        self._placed: deque[tuple[int, Marker]] = deque()
        self._tail: deque[Marker] = deque()
        self._writing: _Writing | None = None
        self._reading: asyncio.Future[tuple[list[Record], Position]] | None = None
        self._trouble: BaseException | None = None
        self._disk_full = False
        disk.freed = self._wake_sender

    async def open(self) -> None:
        """Open the disk."""
        await self._disk.open()

    async def release(self, *, keep: bool = False) -> None:
        """Close, and remove the files: all of them, or (`keep`) those that no checkpoint needs."""
        self.close()
        await self._disk.release(keep=keep)

    def close(self) -> None:
        """Take no more: what is queued, here or on the disk, is abandoned."""
        if self.closed:
            return
        self.abandoned += self._account.skip()
        self._tail.clear()
        self._placed.clear()
        super().close()
        self._disk.remove_unneeded()

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
            self._enqueue(marker)
        else:
            self._tail.append(marker)
            self._overtake()

    async def _send_waiting(self, batch: Batch) -> None:
        waiting = deque([batch])
        encoded: tuple[Batch, bytes] | None = None
        try:
            while waiting and not self.closed:
                piece = waiting[0]
                if self._all_in_memory and self._put_if_room(piece):
                    waiting.popleft()
                    continue
                cut = self._cut(piece)
                if not cut:
                    if encoded is None or encoded[0] is not piece:
                        encoded = piece, self._encoded(piece.items)
                    if not self._account.could_fit(RECORD_HEADER + len(encoded[1])):
                        cut = len(piece.items) // 2  # a single one waits until it can pass through memory alone
                    elif self._begin_to_write(*encoded):
                        waiting.popleft()
                        if not await self._written():
                            waiting.appendleft(piece)
                            await self._wait_for_space()
                        continue
                if cut:
                    waiting[0] = Batch(piece.items[cut:], piece.origin)
                    waiting.appendleft(Batch(piece.items[:cut], piece.origin))
                else:
                    await self._wait_for_room()
        finally:
            for piece in waiting:
                self._lose(piece)

    def _cut(self, batch: Batch) -> int:
        """Return after how many items to cut a batch: into what passes through memory, or into records."""
        if self._all_in_memory and not self._items:
            return super()._cut(batch)
        each = max(1, size_of_items(batch.items) // len(batch.items))
        most = max(1, min(RECORD_ITEMS, RECORD_BYTES // each, self.max_items // 2, self.max_bytes // (2 * each)))
        return most if len(batch.items) > most else 0

    def _encoded(self, items: list[Any]) -> bytes:
        try:
            return self._encode(items)
        except Exception:
            for item in items:
                self._refuse(item)
            raise

    def _refuse(self, item: Any) -> None:
        try:
            self._encode([item])
        except Exception as error:
            raise NotSerialisable(
                f"edge {self.name!r} spills to the disk, and an item of type {type(item).__name__} cannot be written "
                f"down: {error}; hand on plain data, or choose another overflow"
            ) from error

    # -- to the disk ----------------------------------------------------------------------------------------------

    def _begin_to_write(self, batch: Batch, payload: bytes) -> bool:
        """Have a batch written, behind the markers that came before it; tell whether there is room for it."""
        data, records = self._disk.records(self._tail, len(batch.items), payload)
        if not self._account.fits(len(data)):
            return False
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writing = _Writing(batch, len(data), records, len(self._tail), settled)
        self._disk.append(data).add_done_callback(self._settle_write)
        return True

    async def _written(self) -> bool:
        """Wait for the write under way; tell whether it went well, or the disk is full. Any other error is raised."""
        writing = self._writing
        assert writing is not None
        try:
            await asyncio.wait([writing.settled])
        except asyncio.CancelledError:
            if writing.error is not None:
                self._lose(writing.batch)
            writing.awaited = False  # what becomes of it is counted when it is known
            raise
        if writing.error is None:
            self._disk_full = False
            return True
        if isinstance(writing.error, OSError) and writing.error.errno in _FULL:
            return False
        self._lose(writing.batch)
        raise writing.error

    def _settle_write(self, future: asyncio.Future[None]) -> None:
        writing, self._writing = self._writing, None
        assert writing is not None
        writing.error = future.exception()
        if writing.error is not None:
            self._account.failed()
            if not writing.awaited:
                self._lose(writing.batch)
        else:
            self._settle_markers(writing.markers)
            self._account.wrote(writing.size, writing.records, len(writing.batch.items))
            self.sent += len(writing.batch.items)
            if self.closed:
                self.abandoned += self._account.skip()
        writing.settled.set_result(None)
        self._overtake()
        self._pump()

    def _settle_markers(self, count: int) -> None:
        """Take those markers from the end that are on the disk now, and give the others their place there."""
        sequence = self._account.sequence
        for _ in range(min(count, len(self._tail))):  # a closed edge has none left
            marker = self._tail.popleft()
            if isinstance(marker, (Watermark, Idle)):
                sequence += 1
            else:
                self._placed.append((sequence, marker))

    def _lose(self, batch: Batch) -> None:
        """Count what was sent and got no place."""
        self.sent += len(batch.items)
        self.abandoned += len(batch.items)

    async def _wait_for_space(self) -> None:
        """Wait until the disk may have space again, or something was taken."""
        if not self._disk_full:
            self._disk_full = True
            log.warning("edge %r: no space is left in %s; its sender waits", self.name, self._disk.folder)
            if self._on_event is not None:
                self._on_event(DiskFull(edge=self.name, folder=self._disk.folder))
        if self.closed:
            return
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
        if head is None and self._trouble is not None:
            raise self._trouble
        return head

    def _pump(self) -> None:
        """Bring from the disk what there is room for in memory, and remove what has been read."""
        if self.closed or self._trouble is not None or self._reading is not None:
            return
        self._bring_markers(self._account.head.sequence)
        if not self._account.empty:
            if self._items * 2 <= self.max_items and self._bytes * 2 <= self.max_bytes:
                self._reading = self._disk.read(min(self.max_items - self._items, RECORD_ITEMS))
                assert self._reading is not None
                self._reading.add_done_callback(self._settle_read)
        elif self._writing is None:
            while self._tail:
                self._enqueue(self._tail.popleft())
            self._account.seal()
            self._wake_sender()
        self._disk.remove_unneeded()

    def _settle_read(self, future: asyncio.Future[tuple[list[Record], Position]]) -> None:
        self._reading = None
        error = future.exception()
        if self.closed:
            return
        try:
            if error is not None:
                raise error
            records, to = future.result()
            for one in records:
                self._bring(one)
            self._account.read(to)
        except Exception as trouble:
            self._trouble = trouble
            self._arrived()
        self._pump()

    def _bring(self, one: Record) -> None:
        self._bring_markers(one.sequence)
        if one.kind == WATERMARK:
            self._enqueue(Watermark(one.time))
        elif one.kind == IDLE:
            self._enqueue(Idle())
        else:
            items = self._decode(one.payload)
            size = size_of_items(items)
            self._account.gave(len(items))
            self._items += len(items)
            self._bytes += size
            self.high_water = max(self.high_water, self._items)
            self._queue.append((Batch(items), size))
            self._arrived()

    def _bring_markers(self, sequence: int) -> None:
        """Put the markers in the queue that stand before record `sequence`."""
        while self._placed and self._placed[0][0] <= sequence:
            self._enqueue(self._placed.popleft()[1])

    def _enqueue(self, marker: Marker) -> None:
        self._queue.append(marker)
        self._arrived()

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def _overtake(self) -> None:
        """Let barriers past what is on the disk, which is theirs from now on."""
        if not self.durable or self._writing is not None:
            return
        before: list[Marker] = []
        kept: deque[Marker] = deque()
        for marker in self._tail:
            if isinstance(marker, Barrier):
                self._account.cut(marker.epoch, before)
                self._enqueue(marker)
                continue
            kept.append(marker)
            if isinstance(marker, (Watermark, Idle)):
                before.append(marker)
        self._tail = kept

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

        Other files in the folder stay until no checkpoint before `epoch` is kept, which could need them.
        """
        cut = await self._disk.restore(snapshot, epoch)
        self.restored = cut.items
        self._tail.extend(cut.markers)
        self._pump()

    def forget(self, before: int) -> None:
        """Take note that no checkpoint before epoch `before` is kept any more."""
        self._account.forget(before)
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
