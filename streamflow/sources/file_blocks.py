"""Bytes of a file, read in blocks on a thread of the file's own."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from streamflow.files.compression import Method
from streamflow.files.decompression import MAX_RATIO, CompressedInput, UnreadableContent
from streamflow.files.file_system import FileSystem, InputFile
from streamflow.files.looking import changed, look_at, require_same
from streamflow.files.tail_state import Seen, mark_of
from streamflow.files.threads import FileThread
from streamflow.memory.pool import BUFFERS
from streamflow.model.positions import Position
from streamflow.model.statistics import Progress
from streamflow.sources.lines import BOM, Blocks
from streamflow.sources.pipes import PipeBlocks

#: Bytes that are read at once.
BLOCK = 1 << 20
#: Seconds that `close` gives a read that hangs.
GRACE = 1.0


async def open_blocks(files: FileSystem, path: str, method: Method | None, max_ratio: float = MAX_RATIO) -> Blocks:
    """Open the file or the named pipe at `path`; raise an OSError that names what is wrong."""
    thread = FileThread(path, grace=GRACE)
    opening = thread.submit(_open, files, path, method, max_ratio)
    try:
        file, seekable, size, seen = await asyncio.shield(opening)
    except BaseException:
        await thread.close()
        if opening.done() and opening.exception() is None:
            _close(opening.result()[0])
        raise
    if isinstance(file, InputFile):
        return FileBlocks(file, thread, seekable, size, seen)
    await thread.close()
    return PipeBlocks(file, owned=True)


class FileBlocks(Blocks):
    """Read blocks into two recycled buffers: one is filled while the lines of the other are at work.

    What is read must be copied out of them before `close`: then they go back to the pool.
    """

    def __init__(
        self,
        file: InputFile,
        thread: FileThread,
        seekable: bool,
        size: int | None = None,
        seen: Seen | None = None,
    ) -> None:
        self._file = file
        self._size = size
        self._seen = seen
        self.mark = None if seen is None else mark_of(seen)
        self._thread = thread
        self.replayable = seekable
        self._leases = BUFFERS.take(BLOCK), BUFFERS.take(BLOCK)
        self._buffers = self._leases[0].item, self._leases[1].item
        self._filling: asyncio.Future[int] | None = None

    async def next(self) -> tuple[bytearray, int]:
        """Wait for the buffer that is being filled, and begin to fill the other one."""
        filling = self._filling or self._fill()
        try:
            end = await asyncio.shield(filling)
        except Exception:
            self._filling = None  # the next call tries again
            raise
        full, empty = self._buffers
        self._buffers = empty, full
        self._filling = None
        if end:
            self._fill()
        else:
            await self._thread.run(self._check_whole)
        return full, end

    def _check_whole(self) -> None:
        """Raise UnreadableContent if the file is shorter than when it was opened; a compressed one tells it itself."""
        with suppress(NotImplementedError):
            left = self._file.status().size
            if self._size is not None and left < self._size:
                raise UnreadableContent(f"the file was cut from {self._size:,} to {left:,} bytes while it was read")

    def progress(self, offset: int) -> Progress:
        """Go by the size of the file when it was opened; one that has grown since is as long as what was read."""
        stored = self._file.stored(offset)
        return Progress(done=stored, total=None if self._size is None else max(self._size, stored))

    async def require(self, position: Position, *, lines: bool) -> None:
        """Look at the beginning, and at what comes right before `position`."""
        if self.replayable and self._seen is not None:
            await self._settled()
            await self._thread.run(self._require, position, lines)

    def _require(self, position: Position, lines: bool) -> None:
        require_same(self._seen, position)
        offset = position.offset or 0
        if not offset:
            return
        self._file.seek(offset - 1)
        before, after = bytearray(1), bytearray(1)
        if not self._file.read_into(before):
            raise changed(position, "its content is shorter than that")
        if lines and before != b"\n" and offset > len(BOM) and self._file.read_into(after):
            raise changed(position, "no line begins there")

    async def seek(self, offset: int) -> None:
        """Drop what was read ahead, and move."""
        if not self.replayable:
            await super().seek(offset)
        await self._settled()
        await self._thread.run(self._file.seek, offset)

    def drain(self) -> bool:
        """Tell whether a block has been read that nobody has seen."""
        return self._filling is not None and self._filling.done()

    async def close(self) -> None:
        """Close the file behind the read that may be at work, then end the thread, and give the buffers back."""
        await self._thread.close_after(self._file.close, self._filling)
        self._buffers = bytearray(), bytearray()
        if self._thread.abandoned is None:  # otherwise a read may still fill them, whenever it returns
            for lease in self._leases:
                lease.give_back()

    def _fill(self) -> asyncio.Future[int]:
        self._filling = self._thread.submit(self._file.read_into, self._buffers[0])
        return self._filling

    async def _settled(self) -> None:
        if self._filling is not None:
            await asyncio.wait([self._filling])
            self._filling = None


def _open(
    files: FileSystem, path: str, method: Method | None, max_ratio: float
) -> tuple[InputFile | int, bool, int | None, Seen | None]:
    """Return an open file, or the descriptor of a named pipe, whether it can be read again, its size, and a look."""
    kind = files.kind(path)
    if kind == "pipe" and method is None:
        return files.open_pipe(path), False, None, None
    file = files.open_to_read(path)
    try:
        seen = look_at(file, path) if kind == "file" else None
    except BaseException:
        file.close()
        raise
    content = file if method is None else CompressedInput(file, method, path, max_ratio)
    return content, kind == "file", files.size(path), seen


def _close(file: InputFile | int) -> None:
    if isinstance(file, InputFile):
        file.close()
    else:
        os.close(file)
