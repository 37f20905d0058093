"""Framed records written in large pieces: what every sink of lines is made of."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Generator, Sequence
from contextlib import suppress
from typing import Any

from streamflow.files.target import Target
from streamflow.files.threads import FileThread
from streamflow.memory.pool import BUFFERS, Lease
from streamflow.model.interfaces import InlineWriter

#: Bytes that are gathered before they are written: 4 ms of work or more, in which the thread comes to its
#: turn. With 256 KiB the flow often waited for a thread that had not had the GIL yet (7 to 30 % of the time,
#: against 2 %).
HIGH_WATER = 1 << 20


class LinesWriter(InlineWriter[bytes]):
    """Gather records in one buffer while the other one is being written on the file's thread.

    What a write has failed to bring out is kept, in front of everything after it: the next `settle`, `flush`
    or `finish` tries it again. What `write` was given and could not bring out is given back: its caller has
    it still.
    """

    high_water = HIGH_WATER

    def __init__(self, target: Target, thread: FileThread) -> None:
        self.target = target
        self.watched = target.temporary is None
        self._thread = thread
        #: Whether a later run may go on with the file.
        self._kept = False
        # Written from the start again each time and never cut, so that it keeps its memory; `tell` is its
        # length.
        self._buffer = io.BytesIO()
        self.put = self._buffer.write  # type: ignore[method-assign]  # the C function itself: 28 ns a record
        self._spare: Lease[bytearray] | None = None
        self._outgoing: memoryview | None = None
        self._writing: asyncio.Future[None] | None = None

    def put(self, item: bytes, /) -> object:
        """Take one framed record."""
        return self._buffer.write(item)

    @property
    def pending(self) -> int:
        """Return the bytes gathered since the latest `settle`."""
        return self._buffer.tell()

    async def settle(self) -> None:
        """Wait for the write before, if it is still at work, and begin the next one."""
        await self._written()
        self._hand_over()

    async def settle_all(self) -> None:
        """Do the same with everything, however little it is."""
        await self.settle()

    async def write(self, batch: Sequence[bytes]) -> None:
        """Write the records of `batch`, all or none, and wait for it."""
        self.written = 0
        await self.flush()
        self._outgoing = memoryview(b"".join(batch))
        try:
            await self._written()
        except OSError:
            self._outgoing = None
            raise
        self.written = len(batch)

    async def flush(self) -> None:
        """Hand everything to the operating system."""
        await self.settle_all()
        await self._written()

    async def prepare(self, epoch: int) -> dict[str, Any]:
        """Bring everything to the disk, and return which file it is and how long."""
        prepared: dict[str, Any] = await (await self.begin_prepare(epoch))
        return prepared

    async def begin_prepare(self, epoch: int) -> Awaitable[dict[str, Any]]:
        """Do that behind what was written so far; the thread does it while the flow goes on."""
        await self.settle_all()
        self._kept = True
        return self._securing()

    def _securing(self, **more: Any) -> Securing:
        return Securing(self, self._writing, self._thread.submit(self.target.secure), more)

    def give_up(self, writing: asyncio.Future[None]) -> None:
        """Take note that this write has failed: the next one tries it again."""
        if self._writing is writing:
            self._writing = None

    async def resume(self, prepared: dict[str, Any]) -> None:
        """Go on with the file that the earlier run wrote, cut to what was prepared."""
        self._buffer.seek(0)  # a new file might have begun with a header
        self._buffer.truncate()
        self._kept = True
        await self._thread.run(self.target.resume, prepared)

    async def suspend(self) -> None:
        """Leave the file as it is, for `resume` to cut; one that nothing was prepared of is of no use."""
        if not self._kept:
            await self.abort()

    async def complete(self) -> None:
        """Bring everything to the disk and close the file, which keeps its temporary name until `finish`."""
        await self.flush()
        await self._thread.run(self.target.complete)

    async def finish(self) -> None:
        """Bring everything to the disk and give the file its final name."""
        await self.flush()
        await self._thread.run(self.target.publish)

    async def abort(self) -> None:
        """Remove the unfinished file; one that is written in place gets what it is still owed, if it can."""
        if self.watched:
            with suppress(OSError):
                await self.flush()
        await self._thread.run(self.target.discard)

    async def close(self) -> None:
        """Close the file and end its thread."""
        await self._thread.close_after(self.target.close, self._writing)
        self._outgoing = self._writing = None
        if self._spare is not None and self._thread.abandoned is None:
            self._spare.give_back()

    def _hand_over(self) -> None:
        size = self._buffer.tell()
        if not size:
            return
        outgoing = memoryview(self._room_for(size))[:size]
        with self._buffer.getbuffer() as gathered:
            outgoing[:] = gathered[:size]
        self._buffer.seek(0)
        if size > 4 * HIGH_WATER:
            # One huge record must not be paid for until the end.
            self._buffer.truncate()
            self._spare = None
        self._outgoing = outgoing
        self._begin(outgoing)

    def _room_for(self, size: int) -> bytearray:
        """Return the buffer that is written from, or a longer one."""
        if self._spare is not None and size > len(self._spare.item):
            self._spare.give_back()
            self._spare = None
        if self._spare is None:
            self._spare = BUFFERS.take(size + size // 8)
        return self._spare.item

    def _begin(self, outgoing: memoryview) -> asyncio.Future[None]:
        self._writing = self._thread.submit(self.target.write, outgoing)
        return self._writing

    async def _written(self) -> None:
        """Wait until what was handed over is written; try it again if that has failed before."""
        if self._outgoing is None:
            return
        writing = self._writing or self._begin(self._outgoing)
        try:
            await asyncio.shield(writing)
        except Exception:
            self._writing = None
            raise
        self._outgoing = self._writing = None


class Securing:
    """Be awaited for what a file says when everything is on the disk that had been written by then."""

    def __init__(
        self,
        writer: LinesWriter,
        writing: asyncio.Future[None] | None,
        securing: asyncio.Future[dict[str, Any]],
        more: dict[str, Any],
    ) -> None:
        self._writer = writer
        self._writing = writing
        self._securing = securing
        self._more = more
        securing.add_done_callback(_seen)  # whether anybody waits for it or not

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        if self._writing is not None:
            try:
                yield from asyncio.shield(self._writing).__await__()
            except OSError:
                self._writer.give_up(self._writing)
                raise
        secured = yield from asyncio.shield(self._securing).__await__()
        return {"file": secured, **self._more} if self._more else secured


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
