"""The disk of a spilling edge: its account, its files and its thread, seen from the loop."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from streamflow.channels.outgoing import Piece
from streamflow.channels.records import items_record, marker_record
from streamflow.channels.segments import Found, SegmentFiles
from streamflow.channels.spill import Cut, Segment, Spill
from streamflow.files.file_system import FileSystem
from streamflow.files.threads import FileThread
from streamflow.model.errors import CheckpointDamaged
from streamflow.model.markers import Idle, Marker, Watermark

log = logging.getLogger("streamflow.channels")


class Appended(NamedTuple):
    """Be a write under way: of the first `pieces` there were, with `items`, in so many records and bytes."""

    pieces: int
    items: int
    records: int
    size: int
    done: asyncio.Future[None]


class SpillDisk:
    """Have records written, read and removed on a thread, one after the other; `freed` is told of each removal."""

    def __init__(
        self, edge: str, files: FileSystem, folder: str, cap: int, *, segment_size: int = 0, durable: bool = False
    ) -> None:
        self.account = Spill(cap, secrets.token_hex(8), segment_size, durable)
        self.folder = folder
        self.durable = durable
        self.freed: Callable[[], None] | None = None
        self._edge = edge
        self._files = SegmentFiles(files, folder, edge, durable=durable)
        self._thread: FileThread | None = None

    async def open(self) -> None:
        """Make the folder and the thread."""
        self._thread = FileThread("spill")
        await self._thread.run(self._files.open)

    async def release(self, *, keep: bool) -> None:
        """End the thread and remove the files: all of them, or (`keep`) those that surely nobody needs."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        removing = thread.submit(self._files.discard, self.account.unneeded() if keep else None)
        await thread.close()
        if not keep:
            self.account.bytes = 0
        if removing.done() and not removing.cancelled() and (error := removing.exception()) is not None:
            log.warning("edge %r: cannot remove everything in %s: %s", self._edge, self.folder, error)

    # -- records --------------------------------------------------------------------------------------------------

    def append(self, markers: Iterable[Marker], pieces: Iterable[Piece]) -> Appended | None:
        """Write those of `markers` that are written down, then as many pieces as there is room for; None for none."""
        records = list[bytes]()
        for marker in markers:
            if isinstance(marker, (Watermark, Idle)):
                records.append(marker_record(self.account.sequence + len(records), marker))
        size, items, count = sum(map(len, records)), 0, 0
        for piece in pieces:
            number = self.account.sequence + len(records)
            one = items_record(number, len(piece.batch.items), piece.payload)
            if not self.account.fits(size + len(one)):
                break
            records.append(one)
            size += len(one)
            items += len(piece.batch.items)
            count += 1
        if not count:
            self.account.let_go()
            self.remove_unneeded()
            return None
        segment = self.account.place(size)
        data = b"".join(records)
        done = self._living.submit(self._files.append, segment.name, self.account.token, segment.number, data)
        return Appended(count, items, len(records), size, done)

    def read(self) -> asyncio.Future[list[Found]]:
        """Read on; there is something."""
        segment, start = self.account.next()
        return self._living.submit(self._files.read, segment.name, start, segment.end)

    def remove_unneeded(self) -> None:
        """Remove what has been read, unless a checkpoint needs it."""
        if self._thread is None:
            return
        for segment in self.account.disposable():
            self._remove(self._thread, segment)

    def _remove(self, thread: FileThread, segment: Segment) -> None:
        def removed(future: asyncio.Future[None]) -> None:
            error = future.exception()
            if error is not None:  # it counts as before, and the end of the run tries again
                log.warning("edge %r: cannot remove segment %s: %s", self._edge, segment.name, error)
                return
            self.account.removed(segment)
            if self.freed is not None:
                self.freed()

        thread.submit(self._files.remove, segment.name).add_done_callback(removed)

    # -- checkpoints ----------------------------------------------------------------------------------------------

    async def sync(self) -> None:
        """Bring what was written to the disk."""
        await self._living.run(self._files.sync)

    async def restore(self, snapshot: Mapping[str, Any] | None, epoch: int) -> Cut:
        """Begin with the plain values of a cut, of checkpoint `epoch`; None for nothing."""
        cut = Cut.of(snapshot) if snapshot is not None else Cut(epoch)
        sizes = await self._living.run(self._files.sizes)
        for piece in cut.pieces:
            if sizes.get(piece.name, -1) < piece.end:
                there = f"has {sizes[piece.name]:,} bytes of {piece.end:,}" if piece.name in sizes else "is missing"
                raise CheckpointDamaged(
                    f"edge {self._edge!r}: segment {self._files.path(piece.name)!r}, which checkpoint {epoch:,} needs, "
                    f"{there}: resume from an earlier checkpoint, or begin afresh"
                )
        self.account.restore(cut, sizes)
        return cut

    @property
    def _living(self) -> FileThread:
        assert self._thread is not None, f"edge {self._edge!r} is used before it is opened, or after its release"
        return self._thread
