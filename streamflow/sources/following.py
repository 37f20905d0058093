"""A file that is followed as it grows, through rotation and truncation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streamflow.files.file_system import FileSystem
from streamflow.files.noticing import Follow, Noticing, Polling, Watching, can_watch, watched_for
from streamflow.files.tail import Found, Notice, Tail
from streamflow.files.threads import FileThread
from streamflow.model.errors import RecordError
from streamflow.model.events import FileChanged
from streamflow.model.interfaces import Reader
from streamflow.model.positions import FileMark, Position
from streamflow.sources.lines import Blocks, LineReader, LineSource

log = logging.getLogger("streamflow.files")

#: Bytes that are read at once.
BLOCK = 1 << 18
#: Seconds that `close` gives a call that hangs.
GRACE = 1.0


async def follow(source: LineSource[Any], path: str, files: FileSystem, how: Follow) -> Following:
    """Open the file at `path` for following it; it need not be there yet."""
    thread = FileThread(path, grace=GRACE)
    tail = Tail(files, path)
    noticing: Noticing | None = None
    try:
        if how == "notify" or (how is True and can_watch()):
            noticing = Watching(*await thread.run(watched_for, path))
        noticing = noticing or Polling()
        mark = await thread.run(tail.begin)
    except BaseException:
        thread.submit(tail.close)
        if noticing is not None:
            await noticing.close()
        await thread.close()
        raise
    return Following(source, path, FollowedBlocks(tail, thread, noticing, mark))


class FollowedBlocks(Blocks):
    """Look, and wait where there is nothing; a file that is left ends, and the next call begins the next one."""

    replayable = True

    def __init__(self, tail: Tail, thread: FileThread, noticing: Noticing, mark: FileMark | None) -> None:
        self._tail = tail
        self._thread = thread
        self._noticing = noticing
        self._buffer = bytearray(BLOCK)
        self._looking: asyncio.Future[Found] | None = None
        #: The file that the latest bytes came from, and the one that the next ones come from.
        self.mark = self._next_mark = mark
        self.tell: Callable[[Notice], None] = _ignore

    async def next(self) -> tuple[bytearray, int]:
        """Wait for bytes of this file, or for its end."""
        while True:
            found = await self._look()
            self._next_mark = found.mark
            for notice in found.notices:
                self.tell(notice)
            if found.ended:
                return self._buffer, 0
            if found.count:
                self._noticing.found()
                self.enter()
                return self._buffer, found.count
            await self._noticing.wait(found.within)

    async def _look(self) -> Found:
        if self._looking is None:
            self._noticing.looking()
            now = asyncio.get_running_loop().time()
            self._looking = self._thread.submit(self._tail.look, self._buffer, now)
        try:
            found = await asyncio.shield(self._looking)
        except Exception:
            self._looking = None  # the next call tries again
            raise
        self._looking = None
        return found

    def enter(self) -> None:
        """Be in the file that comes after the one that has ended."""
        self.mark = self._next_mark

    async def resume(self, mark: FileMark, offset: int) -> bool:
        """Go to the file that has this mark; tell whether `offset` is in it."""
        await self._settled()
        found = await self._thread.run(self._tail.resume, mark, offset)
        self.mark = self._next_mark = mark
        return found

    async def seek(self, offset: int) -> None:
        """Go on at byte `offset` of the file."""
        await self._settled()
        await self._thread.run(self._tail.move, offset)

    async def close(self) -> None:
        """Close the files behind the look that may be at work, then end the threads."""
        try:
            await self._noticing.close()
        finally:
            await self._thread.close_after(self._tail.close, self._looking)

    async def _settled(self) -> None:
        """Drop what an interrupted call has found."""
        if self._looking is not None:
            await asyncio.wait([self._looking])
            self._looking = None


class Following(Reader[Any]):
    """Read the lines of one file after the other; a position names the file, and is one within it.

    A line that its writer has not ended is not read yet: when the run drains, it stays for the next one. At the end
    of a file that is left, or was emptied, it is read as it is.
    """

    def __init__(self, source: LineSource[Any], path: str, blocks: FollowedBlocks) -> None:
        self._source = source
        self._path = path
        self._blocks = blocks
        self._draining = False
        self._lines: LineReader = source.reader(blocks)
        blocks.tell = self._say

    async def read(self, limit: int) -> Any:
        """Return the next records, waiting for them; None only when the run drains."""
        while not self._draining:
            batch = await self._lines.read(limit)
            if batch is not None:
                return batch
            self._lines = self._source.reader(self._blocks)
            self._blocks.enter()
        return None

    def position(self) -> Position:
        """Return where the next record is, and in which file."""
        return replace(self._lines.position(), file=self._blocks.mark)

    async def seek(self, position: Position) -> None:
        """Go on in the file that `position` names, under whatever name it is by now."""
        if position.offset is None:
            raise RecordError(f"cannot seek to {position}: it has no offset")
        if position.file is not None and not await self._blocks.resume(position.file, position.offset):
            self._say(Notice("truncated", f"{self._path} was emptied since byte {position.offset:,}: it is read anew"))
            position = replace(position, line=1, offset=0)
        self._lines = self._source.reader(self._blocks)
        if position.offset:
            await self._lines.seek(position)

    def drain(self) -> bool:
        """End: what was not read stays in the file."""
        self._draining = True
        return False

    async def close(self) -> None:
        """Close what is open."""
        await self._blocks.close()

    def _say(self, notice: Notice) -> None:
        log.log(logging.INFO if notice.change in ("rotated", "missing") else logging.WARNING, "%s", notice.detail)
        if self.tell is not None:
            self.tell(FileChanged(source=self._path, change=notice.change, detail=notice.detail))


def _ignore(notice: Notice) -> None:
    return
