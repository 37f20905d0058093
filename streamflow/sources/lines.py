"""Lines cut out of blocks of bytes: what every source of lines is made of."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar, cast

from streamflow.files.decompression import UnreadableContent
from streamflow.model.errors import FlowError, RecordError
from streamflow.model.interfaces import Block, Reader
from streamflow.model.positions import FileMark, Position
from streamflow.model.statistics import Progress
from streamflow.sources.policed import PolicedSource

T = TypeVar("T")

#: Bytes of lines that are passed on at once: larger blocks of dicts slow the garbage collector down.
CHUNK = 1 << 16
#: Seconds that a flow may take over one chunk before the next ones are shorter.
SLOW = 0.05
#: Bytes of the first chunk, and of the shortest.
FIRST, SHORTEST = 1 << 10, 64
#: Bytes of a line that is too long which its error shows.
SHOWN = 200

BOM = b"\xef\xbb\xbf"
KEPT = SHOWN + len(BOM)


@dataclass(frozen=True, kw_only=True)
class LineSource(PolicedSource[T]):
    """Describe what all sources of lines have in common.

    A line of more than `max_line_bytes` (its LF not counted) is a bad record: it is never held in memory, and
    what follows it is read on. `chunk` is the number of bytes of lines that are passed on at once.
    """

    max_line_bytes: int = 1 << 20
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_line_bytes < 1 or self.chunk < 1:
            raise FlowError(f"{type(self).__name__}: max_line_bytes and chunk are numbers of bytes, at least 1")

    def reader(self, blocks: Blocks) -> LineReader:
        """Return the reader of the lines in `blocks`."""
        return LineReader(blocks, LineCutter(self.label, self.chunk, self.max_line_bytes))


class LineBlock(Block):
    """Hold whole lines, undecoded; the last one of an input may lack its line end."""

    __slots__ = ("_count", "_data", "_label", "_line", "_offset", "broken")

    def __init__(self, data: bytes, label: str, line: int, offset: int, broken: RecordError | None = None) -> None:
        self.broken = broken
        self._data = data
        self._label = label
        self._line = line
        self._offset = offset
        self._count: int | None = None

    @property
    def data(self) -> bytes:
        """Return the lines as they are."""
        return self._data

    @property
    def nbytes(self) -> int:
        """Return the bytes of all lines, line ends included."""
        return len(self._data)

    def __len__(self) -> int:
        if self._count is None:
            self._count = _lines(self._data, len(self._data))
        return self._count

    def note_length(self, length: int) -> None:
        """Remember the number of lines, which then need not be counted."""
        self._count = length

    def raw(self) -> Iterator[bytes]:
        """Return an iterator over the lines; it costs nothing to make."""
        return io.BytesIO(self._data)

    def consumed(self, raw: Iterator[bytes]) -> int:
        """Count the lines before the place where `raw` stands."""
        return _lines(self._data, cast(io.BytesIO, raw).tell())

    def position(self, index: int) -> Position:
        """Find line `index` by walking there."""
        index += len(self) if index < 0 else 0
        raw = io.BytesIO(self._data)
        for _ in range(index):
            raw.readline()
        return Position(self._label, line=self._line + index, offset=self._offset + raw.tell())

    def __repr__(self) -> str:
        more = "" if self.broken is None else " and a broken one"
        return f"<LineBlock {len(self):,} lines from {self.position(0)}{more}>"


class LineCutter:
    """Cut bytes that come in blocks of any size into chunks of whole lines; it neither reads nor waits.

    `feed` gives it a block, `cut` takes chunks until it returns None, then the block may be overwritten. A
    chunk holds at most `chunk` bytes, or one line; and because a chunk is never longer than the longest line
    allowed, a line which is too long can only be one that does not fit a chunk: no other line is looked at.
    """

    def __init__(self, label: str, chunk: int, max_line_bytes: int) -> None:
        self.label = label
        self._most = min(chunk, max_line_bytes + 1)
        self._chunk = min(FIRST, self._most)
        self._max_line = max_line_bytes
        self.move(offset=0, line=1)

    def move(self, offset: int, line: int) -> None:
        """Forget what was fed: the next block begins with line number `line`, at byte `offset`."""
        #: Where the next line begins.
        self.offset = offset
        self._line = line
        self._before: LineBlock | None = None  # its lines are not in `_line` yet
        self._block: bytearray | bytes = b""
        self._at = self._end = 0
        self._held: list[bytes] = []
        self._length = 0  # of the unfinished line before `_at`
        self._skipping = False  # that line is too long: only its beginning is held

    @property
    def line(self) -> int:
        """Return the number of the next line; by the time it is asked for, who read the last block has counted it."""
        if self._before is not None:
            self._line += len(self._before)
            self._before = None
        return self._line

    def shorten(self) -> None:
        """Cut smaller chunks from now on."""
        self._chunk = max(self._chunk // 2, min(SHORTEST, self._most))

    def lengthen(self) -> None:
        """Cut larger chunks from now on, up to what was asked for."""
        self._chunk = min(self._chunk * 2, self._most)

    def feed(self, block: bytearray | bytes, end: int) -> None:
        """Take the first `end` bytes of `block`; all before it was cut."""
        self._block, self._at, self._end = block, 0, end

    def cut(self) -> LineBlock | None:
        """Return the next lines, or None if there is no whole one left."""
        if self._at == self._end:
            return None
        if self._length:
            return self._cut_first()
        border = self._block.rfind(b"\n", self._at, min(self._at + self._chunk, self._end)) + 1
        return self._emit(border) if border else self._cut_first()

    def finish(self) -> LineBlock | None:
        """Return the line at the end that has no line end, if there is one."""
        if not self._length:
            return None
        self._at = self._end = 0
        return self._break(0) if self._skipping else self._emit(0)

    def give_up(self, why: str) -> LineBlock:
        """Return the end of what can be read: a broken record, of which an unfinished line is the beginning."""
        shown = b"".join(self._held)[:SHOWN]
        self._at = self._end = 0
        self._forget()
        return LineBlock(b"", self.label, self.line, self.offset, RecordError(why, shown))

    def _cut_first(self) -> LineBlock | None:
        """Cut where a line is unfinished, or longer than a chunk."""
        line_end = self._block.find(b"\n", self._at, self._end)
        if line_end < 0:
            self._hold()
            return None
        if self._length + line_end - self._at > self._max_line:
            return self._break(line_end + 1)
        border = self._block.rfind(b"\n", line_end, min(self._at + self._chunk, self._end)) + 1
        return self._emit(max(border, line_end + 1))

    def _hold(self) -> None:
        """Keep the rest of the block, or of a line that is too long only the beginning."""
        rest = self._end - self._at
        self._length += rest
        if not self._skipping:
            self._skipping = self._length > self._max_line
            shown = min(rest, KEPT) if self._skipping else rest
            self._held.append(self._bytes(self._at + shown))
            if self._skipping:
                self._held = [b"".join(self._held)[:KEPT]]
        self._at = self._end

    def _emit(self, border: int) -> LineBlock | None:
        data = self._bytes(border)
        if self._held:
            self._held.append(data)
            data = b"".join(self._held)
            self._forget()
        self._at = border
        if self.offset == 0 and data.startswith(BOM):
            data = data[len(BOM) :]
            self.offset = len(BOM)
            if not data:
                return None
        block = LineBlock(data, self.label, self.line, self.offset)
        self.offset += len(data)
        self._before = block
        return block

    def _break(self, border: int) -> LineBlock:
        """Pass over a line that is too long; `border` is the place after it, or 0 at the end of all."""
        self._held.append(self._bytes(min(border, self._at + KEPT)))
        shown = b"".join(self._held)
        whole = self._length + max(border - self._at, 0)
        if self.offset == 0 and shown.startswith(BOM):
            shown, whole, self.offset = shown[len(BOM) :], whole - len(BOM), len(BOM)
        length = whole - (border > 0)
        error = RecordError(
            f"line of {length:,} bytes is longer than max_line_bytes={self._max_line:,}: raise it to read that",
            shown[:SHOWN],
        )
        block = LineBlock(b"", self.label, self.line, self.offset, error)
        self.offset += whole
        self._line += 1
        self._at = border
        self._forget()
        return block

    def _bytes(self, border: int) -> bytes:
        return bytes(memoryview(self._block)[self._at : border])

    def _forget(self) -> None:
        self._held = []
        self._length = 0
        self._skipping = False


class Blocks(ABC):
    """Be where a `LineReader` gets its bytes."""

    #: Tell whether `seek` works.
    replayable: bool = False
    #: By what a later run knows the file again, if it is one.
    mark: FileMark | None = None

    @abstractmethod
    async def next(self) -> tuple[bytearray | bytes, int]:
        """Wait for bytes; return a buffer, good until the next call, and how many it holds: 0 at the end.

        Cancelling it loses nothing.
        """

    def progress(self, offset: int) -> Progress:
        """Return how far the input is, of which the content before `offset` was cut into lines."""
        return Progress(done=offset)

    async def require(self, position: Position, *, lines: bool) -> None:
        """Raise RecordError if this is not the file that `position` is in, or if that is beyond its end.

        Of `lines`, one must begin there.
        """
        return None

    async def seek(self, offset: int) -> None:
        """Go on at byte `offset`."""
        raise RecordError("this input cannot be read again from an earlier place: it is not a file")

    def drain(self) -> bool:
        """Take nothing more in; tell whether bytes that have come already are still to be had from `next`."""
        return False

    async def close(self) -> None:
        """Release everything."""
        return


class LineReader(Reader[Any]):
    """Read lines, in blocks that are decoded elsewhere.

    Where the flow takes long over a block, the next ones are shorter: what was read is finished before a run drains.
    """

    def __init__(self, blocks: Blocks, cutter: LineCutter) -> None:
        self._blocks = blocks
        self._cutter = cutter
        self._ended = False
        self._draining = False
        self._given: float | None = None

    async def read(self, limit: int) -> LineBlock | None:
        """Return the next chunk of lines; `limit` is not heeded, since a chunk is small."""
        if self._given is not None:
            self._adapt(perf_counter() - self._given)
            self._given = None
        while not self._ended:
            block = self._cutter.cut()
            if block is not None:
                self._given = perf_counter()
                return block
            if self._draining and not self._blocks.drain():
                self._ended = True
                return None
            try:
                buffer, end = await self._blocks.next()
            except UnreadableContent as error:
                self._ended = True
                return self._cutter.give_up(str(error))
            if end:
                self._cutter.feed(buffer, end)
            else:
                self._ended = True
                return self._cutter.finish()
        return None

    def _adapt(self, seconds: float) -> None:
        if seconds > SLOW:
            self._cutter.shorten()
        elif seconds < SLOW / 4:
            self._cutter.lengthen()

    def position(self) -> Position:
        """Return line and offset of the next line."""
        cutter = self._cutter
        return Position(cutter.label, line=cutter.line, offset=cutter.offset, file=self._blocks.mark)

    def progress(self) -> Progress:
        """Return the bytes of the lines that were given, as they are in the file."""
        return self._blocks.progress(self._cutter.offset)

    async def seek(self, position: Position) -> None:
        """Go on at `position.offset`."""
        if position.offset is None:
            raise RecordError(f"cannot seek to {position}: it has no offset")
        await self._blocks.require(position, lines=True)
        await self._blocks.seek(position.offset)
        self._cutter.move(position.offset, position.line or 1)
        self._ended = False

    def drain(self) -> bool:
        """Take nothing more in; a file has nothing that could be lost, a pipe what was read from it."""
        self._draining = True
        return not self._blocks.replayable

    async def close(self) -> None:
        """Close what is read from."""
        await self._blocks.close()


def _lines(data: bytes, end: int) -> int:
    """Count the lines of `data` up to `end`, a last one without its line end included."""
    unfinished = 0 < end == len(data) and not data.endswith(b"\n")
    return data.count(b"\n", 0, end) + unfinished
