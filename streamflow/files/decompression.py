"""Compressed input: more bytes than there are in the file. Everything here blocks, on the file's thread."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from streamflow.files.compression import Method, zstandard
from streamflow.files.file_system import InputFile
from streamflow.model.errors import FlowError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Compressed bytes that are read at once.
BLOCK = 1 << 18
#: Compressed bytes that a decoder is given at once, and bytes of content that it is asked for.
INPUT, PIECE = 1 << 13, 1 << 17
#: Bytes that decoding xz may take; `xz -9` needs 65 MiB.
XZ_MEMORY = 1 << 28
#: Bytes of content up to which nobody asks how long the file is.
FREE = 1 << 26
#: How many times as long as its file a content may be: logs reach 200, a bomb of zeros 1,000 and more.
MAX_RATIO = 500.0


def check_ratio(what: str, max_ratio: float) -> None:
    """Raise FlowError unless `max_ratio` is a number of at least 1."""
    if not isinstance(max_ratio, (int, float)) or not max_ratio >= 1:
        raise FlowError(f"{what}(max_ratio={max_ratio!r}): expected a number of at least 1, how many times as long")


class UnreadableContent(OSError):
    """Say that the rest of a compressed file cannot be read: it is damaged, cut off, or a bomb."""


class CompressedInput(InputFile):
    """Read what a compressed file holds; several members one after the other are one content.

    What comes before damage is given first. UnreadableContent says where it is, and also where the content is more
    than `max_ratio` times as long as what it was made of.
    """

    def __init__(self, file: InputFile, method: Method, path: str, max_ratio: float = MAX_RATIO) -> None:
        self._file = file
        self._method = method
        self._path = path
        self._max_ratio = max_ratio
        self._begin()

    def _begin(self) -> None:
        self._at = self._stored = 0
        self._raw = _Raw(self._file)
        self._buffered: io.BufferedReader = io.BufferedReader(self._raw, BLOCK)
        self._pieces = filter(None, _PIECES[self._method](self._buffered))
        self._piece = memoryview(b"")
        self._error: Exception | None = None

    def read_into(self, buffer: bytearray) -> int:
        """Fill `buffer` as far as there is content; UnreadableContent says what is wrong with the rest."""
        count = 0
        while count < len(buffer):
            try:
                piece = self._piece or memoryview(self._next_piece())
            except UnreadableContent:
                if not count:
                    raise
                return count  # what there is comes first; the next call meets it again
            size = min(len(piece), len(buffer) - count)
            if not size:
                break
            buffer[count : count + size] = piece[:size]
            self._piece = piece[size:]
            count += size
            self._at += size
        return count

    def _next_piece(self) -> bytes:
        """Return more content, nothing at the end; what is wrong is raised again each time."""
        taken = self._buffered.tell()
        if self._error is None and self._at > FREE and self._at > self._max_ratio * taken:
            self._error = UnreadableContent(
                f"{self._path}: after {self._at:,} bytes, the content is more than {self._max_ratio:g} times as long "
                f"as what it was made of. If it is no decompression bomb, raise max_ratio= to read it"
            )
        if self._error is not None:
            raise self._error
        try:
            return next(self._pieces, b"")
        except (OSError, MemoryError):
            raise
        except Exception as error:
            self._error = UnreadableContent(
                f"{self._path}: {self._method} data that is damaged or cut off, after {self._at:,} bytes of content "
                f"({str(error).rstrip('.').lower()})"
            )
            raise self._error from error

    def stored(self, offset: int) -> int:
        """Estimate it by what the content read so far has taken; it never goes back."""
        if self._at:
            self._stored = max(self._stored, self._buffered.tell() * offset // self._at)
        return self._stored

    def seek(self, offset: int) -> None:
        """Go to `offset` of the content: back from the beginning, which takes as long as reading up to there."""
        if offset < self._at or self._error is not None:
            self._file.seek(0)
            self._begin()
        scrap = bytearray(BLOCK)
        while self._at < offset and self.read_into(scrap := scrap[: offset - self._at]):
            pass

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _gzip_pieces(raw: io.BufferedReader) -> Iterator[bytes]:
    data = raw.read(INPUT)
    while data:
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        while not member.eof:
            data = data or raw.read(INPUT)
            before = member.copy()  # costs 2 % of the decoding, measured
            try:
                piece = member.decompress(data, PIECE)
            except zlib.error:
                yield from _up_to_damage(before, data)
                raise
            if not piece and not data:
                raise EOFError("the file ends within a member")
            data = member.unconsumed_tail
            yield piece
        data = _after_padding(member.unused_data, raw)


def _up_to_damage(member: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """Yield what `data` gives before zlib raises: given all at once, it lets go of what came before a checksum."""
    for at in range(len(data)):
        try:
            yield member.decompress(data[at : at + 1])
        except zlib.error:
            return


def _xz_pieces(raw: io.BufferedReader) -> Iterator[bytes]:
    data = raw.read(INPUT)
    while data:
        stream = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
        while not stream.eof:
            if stream.needs_input:
                data = data or raw.read(INPUT)
                if not data:
                    raise EOFError("the file ends within a stream")
            piece, data = stream.decompress(data, PIECE), b""
            yield piece
        data = _after_padding(stream.unused_data, raw)


_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
#: The type of a block that stands for one byte, many times.
_SAME_BYTE = 1


def _zstd_pieces(raw: io.BufferedReader) -> Iterator[bytes]:
    # Block by block, each of at most 128 KiB of content: the package would make 128 MiB of 4 KiB at once. (And its own
    # reader takes a frame that is cut off for a whole one.)
    decompressor = zstandard().ZstdDecompressor()
    while magic := _after_padding(raw.read(4), raw, 4):
        if len(magic) == 4 and 0x184D2A50 <= int.from_bytes(magic, "little") <= 0x184D2A5F:  # to be passed over
            left = int.from_bytes(_exactly(raw, 4), "little")
            while left:
                left -= len(_exactly(raw, min(left, PIECE)))
            continue
        magic += raw.read(4 - len(magic))  # zeros that fill up are of any number
        frame = decompressor.decompressobj()
        for part in _zstd_parts(magic, raw):
            yield frame.decompress(part)
        if not frame.eof:
            raise EOFError("the file ends within a frame")


def _zstd_parts(magic: bytes, raw: io.BufferedReader) -> Iterator[bytes]:
    """Yield header, blocks and checksum of a frame (RFC 8878, 3.1.1)."""
    if magic != _ZSTD_MAGIC:
        raise ValueError("these are no zstd data")
    descriptor = _exactly(raw, 1)
    flags = descriptor[0]
    single = flags >> 5 & 1
    yield magic + descriptor + _exactly(raw, 1 - single + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6])
    last = 0
    while not last:
        header = _exactly(raw, 3)
        word = int.from_bytes(header, "little")
        last = word & 1
        size = 1 if word >> 1 & 3 == _SAME_BYTE else word >> 3
        block = raw.read(size)
        yield header + block  # of one that is cut off, the decoder may still make something
        if len(block) < size:
            raise EOFError("the file ends within a frame")
    if flags >> 2 & 1:
        yield _exactly(raw, 4)


def _exactly(raw: io.BufferedReader, size: int) -> bytes:
    data = raw.read(size)
    if len(data) < size:
        raise EOFError("the file ends within a frame")
    return data


def _after_padding(data: bytes, raw: io.BufferedReader, size: int = INPUT) -> bytes:
    """Return what comes after zeros, with which a tape or `xz` fills up."""
    while not (rest := data.lstrip(b"\0")) and (data := raw.read(size)):
        pass
    return rest


_PIECES: dict[Method, Callable[[io.BufferedReader], Iterator[bytes]]] = {
    "gzip": _gzip_pieces,
    "xz": _xz_pieces,
    "zstd": _zstd_pieces,
}


class _Raw(io.RawIOBase):
    """Be an input file as Python's own readers know it."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._taken = 0

    def tell(self) -> int:
        return self._taken

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._file.read_into(buffer)  # type: ignore[arg-type]  # any buffer will do
        self._taken += count
        return count
