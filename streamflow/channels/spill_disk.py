"""The disk of a spilling edge: its account, its files and its thread, seen from the loop."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from streamflow.channels.records import IDLE, record, watermark
from streamflow.channels.segments import Found, SegmentFiles
from streamflow.channels.spill import Cut, Segment, Spill
from streamflow.files.file_system import FileSystem
from streamflow.files.threads import FileThread
from streamflow.model.errors import CheckpointDamaged
from streamflow.model.markers import Idle, Marker, Watermark

log = logging.getLogger("streamflow.channels")


class SpillDisk:
    """Have records written, read and removed on a thread, one after the other; `freed` is told of each removal."""

    def __init__(
        self, edge: str, files: FileSystem, folder: str, cap: int, *, segment_size: int = 0, durable: bool = False
    ) -> None:
        self.account = Spill(cap, secrets.token_hex(8), segment_size)
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
        """End the thread and remove the files: all of them, or (`keep`) those that no checkpoint needs."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        removing = thread.submit(self._files.discard, self._kept() if keep else set())
        await thread.close()
        if not keep:
            self.account.bytes = 0
        if removing.done() and not removing.cancelled() and (error := removing.exception()) is not None:
            log.warning("edge %r: cannot remove everything in %s: %s", self._edge, self.folder, error)

    def _kept(self) -> set[str]:
        return self.account.needed() | {one.name for one in self.account.strangers if not one.leaving}

    # -- records --------------------------------------------------------------------------------------------------

    def records(self, markers: Iterable[Marker]) -> tuple[bytes, int]:
        """Return those of `markers` that are written down as records, and how many they are."""
        sequence, records = self.account.sequence, list[bytes]()
        for marker in markers:
            if isinstance(marker, Watermark):
                records.append(watermark(sequence + len(records), marker.time))
            elif isinstance(marker, Idle):
                records.append(record(sequence + len(records), IDLE, 0, b""))
        return b"".join(records), len(records)

    def append(self, data: bytes) -> asyncio.Future[None]:
        """Write records, for which there is room."""
        segment = self.account.place(len(data))
        return self._living.submit(self._files.append, segment.name, self.account.token, segment.number, data)

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
