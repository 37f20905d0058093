"""The bytes of a file, in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

from streamflow.files.compression import Compression, method_of
from streamflow.files.decompression import MAX_RATIO, check_ratio
from streamflow.model.arguments import whole_number
from streamflow.model.calls import InlineCall
from streamflow.model.errors import RecordError
from streamflow.model.interfaces import Block, Reader
from streamflow.model.positions import Position
from streamflow.model.statistics import Progress
from streamflow.sources.file_blocks import open_blocks
from streamflow.sources.file_source import FileSource
from streamflow.sources.lines import Blocks


@dataclass(frozen=True)
class Bytes(FileSource[bytes]):
    """Read the bytes of a file (.bin) in chunks of `chunk` bytes; only the last one of a file is shorter.

    A pipe or a device gives what there is, at most a chunk. `path` may be a pattern or a list, as for other files.
    `compression` is `gzip`, `zstd`, `xz` or None; `auto` goes by the suffix (.gz, .zst, .xz). Offsets are those of
    the content. One more than `max_ratio` times as long as its file is taken for a decompression bomb: it fails.

    Files are read, not mapped into memory: a mapped file that somebody shortens ends the process. What a mapping would
    save is a copy: some 0.06 s of the 0.43 s in which a flow takes the CRC of 1 GiB from the page cache (measured).
    """

    _: KW_ONLY
    chunk: int = 1 << 20
    compression: Compression = "auto"
    max_ratio: float = MAX_RATIO

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("Bytes(chunk=...), a number of bytes,", self.chunk, 1)
        for path in self.paths:
            method_of(path, self.compression)  # a method that there is not is told now
        check_ratio(type(self).__name__, self.max_ratio)

    @property
    def decode(self) -> Callable[[bytes], bytes]:
        """Return what hands on a chunk as it is."""
        return AsItIs()

    async def open_one(self, path: str) -> Reader[bytes]:
        """Open the file at `path`."""
        blocks = await open_blocks(self.files, path, method_of(path, self.compression), self.max_ratio)
        return BytesReader(blocks, path, self.chunk)


class AsItIs(InlineCall):
    """Return what it is given; in a fused function, do nothing."""

    def __init__(self) -> None:
        super().__init__(bytes)

    def __call__(self, item: Any) -> Any:
        """Return `item`."""
        return item

    @property
    def line(self) -> str:
        """Return the statement that does nothing."""
        return "pass"


class ChunkBlock(Block):
    """Hold consecutive chunks, all of one size but the last."""

    __slots__ = ("_chunk", "_data", "_given", "_label", "_offset")

    def __init__(self, data: bytes, chunk: int, label: str, offset: int) -> None:
        self._data = data
        self._chunk = chunk
        self._label = label
        self._offset = offset
        #: The end of the latest chunk that was handed out.
        self._given = 0

    @property
    def nbytes(self) -> int:
        """Return the bytes of all chunks."""
        return len(self._data)

    def __len__(self) -> int:
        return -(-len(self._data) // self._chunk)

    def raw(self) -> Iterator[bytes]:
        """Return an iterator over the chunks; a single one is not copied."""
        self._given = 0
        data, chunk = self._data, self._chunk
        for start in range(0, len(data), chunk):
            self._given = start + chunk
            yield data[start : start + chunk] if len(data) > chunk else data

    def consumed(self, raw: Iterator[bytes]) -> int:
        """Return how many chunks the latest `raw` has handed out."""
        return self._given // self._chunk

    def position(self, index: int) -> Position:
        """Return the offset of chunk `index`."""
        index += len(self) if index < 0 else 0
        return Position(self._label, offset=self._offset + min(index * self._chunk, len(self._data)))


class BytesReader(Reader[Any]):
    """Cut what comes into chunks: whole ones of a file, of anything else what is there."""

    def __init__(self, blocks: Blocks, label: str, chunk: int) -> None:
        self._blocks = blocks
        self._label = label
        self._chunk = chunk
        self._offset = 0
        self._ended = self._draining = False
        #: What has come of a chunk that is not whole yet.
        self._held: list[bytes] = []
        self._length = 0

    async def read(self, limit: int) -> ChunkBlock | None:
        """Return the next chunks; `limit` is not heeded, since they are few or small."""
        while not self._ended:
            if self._draining and not self._blocks.drain():
                break
            buffer, end = await self._blocks.next()
            self._held.append(bytes(memoryview(buffer)[:end]))
            self._length += end
            whole = self._length // self._chunk * self._chunk
            if not end or not self._blocks.replayable:
                whole, self._ended = self._length, not end
            if whole:
                return self._emit(whole)
        self._ended = True
        return None

    def _emit(self, whole: int) -> ChunkBlock:
        data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._held = [data[whole:]] if whole < len(data) else []
        self._length -= whole
        block = ChunkBlock(data[:whole], self._chunk, self._label, self._offset)
        self._offset += whole
        return block

    def position(self) -> Position:
        """Return the offset of the next chunk."""
        return Position(self._label, offset=self._offset, file=self._blocks.mark)

    def progress(self) -> Progress:
        """Return the bytes that were given, as they are in the file."""
        return self._blocks.progress(self._offset)

    async def seek(self, position: Position) -> None:
        """Go on at `position.offset`."""
        if position.offset is None:
            raise RecordError(f"cannot seek to {position}: it has no offset")
        await self._blocks.require(position, lines=False)
        await self._blocks.seek(position.offset)
        self._offset = position.offset
        self._held, self._length = [], 0
        self._ended = False

    def drain(self) -> bool:
        """Take nothing more in; a file has nothing that could be lost, a pipe what was read from it."""
        self._draining = True
        return not self._blocks.replayable

    async def close(self) -> None:
        """Close what is read from."""
        await self._blocks.close()
