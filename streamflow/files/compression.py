"""Compressed files: the same bytes on this side, fewer on the other. Everything here blocks, on the file's thread."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args

from streamflow.files.file_system import InputFile, OutputFile
from streamflow.model.arguments import whole_number
from streamflow.model.errors import FlowError, RecordError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Method = Literal["gzip", "zstd", "xz"]
Compression = Method | Literal["auto"] | None
SUFFIXES: dict[str, Method] = {".gz": "gzip", ".zst": "zstd", ".xz": "xz"}
#: Compressed bytes that are read at once.
BLOCK = 1 << 18
#: Compressed bytes that a decoder is given at once, and bytes of content that it is asked for.
INPUT, PIECE = 1 << 13, 1 << 17
#: Bytes that decoding xz may take; `xz -9` needs 65 MiB.
XZ_MEMORY = 1 << 28
#: How many times as large as its file content may be, and from how many bytes on that is asked. Logs reach 100 times,
#: lines that are all the same 300, zeros by gzip 1,000, by others 30,000.
MAX_EXPANSION, FREE = 500, 1 << 28


def method_of(path: str, compression: Compression) -> Method | None:
    """Return how `path` is compressed: as was said, or for `auto` as its suffix says; FlowError if that cannot be."""
    method = compression
    if compression == "auto":
        method = next((found for suffix, found in SUFFIXES.items() if path.lower().endswith(suffix)), None)
    if method is None:
        return None
    if method not in get_args(Method):
        known = ", ".join(map(repr, get_args(Method)))
        raise FlowError(f"compression={compression!r}: expected 'auto', {known} or None")
    if method == "zstd":
        zstandard()
    return method  # type: ignore[return-value]  # one of them, as was seen


def check_expansion(what: str, max_expansion: int | None) -> None:
    """Raise FlowError unless `max_expansion` is None or a whole number of at least 1."""
    if max_expansion is not None:
        whole_number(
            f"{what}(max_expansion=...), bytes of content for each of the file (None for no limit),", max_expansion, 1
        )


def without_suffix(path: str) -> str:
    """Return `path` without the suffix of a compression.

    >>> without_suffix("events.jsonl.gz"), without_suffix("events.jsonl")
    ('events.jsonl', 'events.jsonl')
    """
    return next((path[: -len(suffix)] for suffix in SUFFIXES if path.lower().endswith(suffix)), path)


def zstandard() -> Any:
    """Return the package; FlowError names the extra where it is missing."""
    try:
        import zstandard
    except ImportError:
        raise FlowError("zstd needs a package: pip install 'streamflow-engine[zstd]'") from None
    return zstandard


class CompressedInput(InputFile):
    """Read what a compressed file holds; several members one after the other are one content.

    What comes before damage is read, then a RecordError says where it is and what. So it does where the content, beyond
    `FREE` bytes, is more than `max_expansion` times what it was made of (None for no limit): a decompression bomb.
    """

    def __init__(self, file: InputFile, method: Method, path: str, max_expansion: int | None = MAX_EXPANSION) -> None:
        self._file = file
        self._method = method
        self._path = path
        self._most = max_expansion
        self._begin()

    def _begin(self) -> None:
        self._at = self._taken = 0
        self._raw: io.BufferedReader = io.BufferedReader(_Raw(self._file), BLOCK)
        self._pieces = filter(None, _DECODERS[self._method](self._raw))
        self._piece = memoryview(b"")
        self._end: RecordError | None = None

    def read_into(self, buffer: bytearray) -> int:
        """Fill `buffer` as far as there is content; a RecordError says what is wrong with it."""
        count = 0
        try:
            while count < len(buffer):
                self._piece = self._piece or memoryview(self._next_piece())
                size = min(len(self._piece), len(buffer) - count)
                if not size:
                    break
                buffer[count : count + size] = self._piece[:size]
                self._piece = self._piece[size:]
                count += size
                self._at += size
        except RecordError:
            if not count:
                raise  # if there is something, it comes first
        self._taken = self._raw.tell()
        return count

    def _next_piece(self) -> bytes:
        """Return more content, b"" at the end; what is wrong is raised again each time."""
        if self._end is None and self._most is not None and self._at > FREE + self._most * self._raw.tell():
            self._end = RecordError(
                f"{self._path}: {self._raw.tell():,} bytes of {self._method} data have become {self._at:,} bytes, more "
                f"than max_expansion={self._most:,} times as many: raise it, or give None, if this is no bomb"
            )
        try:
            if self._end is None:
                return next(self._pieces, b"")
        except (OSError, MemoryError):
            raise
        except Exception as error:
            self._end = RecordError(
                f"{self._path}: {self._method} data that is damaged or cut off, after {self._at:,} bytes of content "
                f"({str(error).rstrip('.').lower()})"
            )
            self._end.__cause__ = error
        raise self._end

    def stored(self, offset: int) -> int:
        """Estimate it by what the content read so far has taken."""
        return self._taken * offset // self._at if self._at else 0

    def seek(self, offset: int) -> None:
        """Go to `offset` of the content: from the beginning, which takes as long as reading up to there."""
        self._file.seek(0)
        self._begin()
        scrap = bytearray(BLOCK)
        while self._at < offset and self.read_into(scrap := scrap[: offset - self._at]):
            pass

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _gzip_pieces(raw: io.BufferedReader) -> Iterator[bytes]:
    data = _some(raw)
    while data:
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            data = data or raw.read(INPUT)
            piece = member.decompress(data, PIECE)
            if not piece and not data:
                raise EOFError("the file ends within a member")
            data = member.unconsumed_tail
            yield piece
        data = _after_padding(member.unused_data, raw)


def _xz_pieces(raw: io.BufferedReader) -> Iterator[bytes]:
    data = _some(raw)
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


def _zstd_pieces(raw: io.BufferedReader) -> Iterator[bytes]:
    # Block by block, each of at most 128 KiB of content: the package would make 128 MiB of 4 KiB at once. (And its own
    # reader takes a frame that is cut off for a whole one.)
    magic = _some(raw, 4)
    decompressor = zstandard().ZstdDecompressor()
    while magic:
        if len(magic) == 4 and 0x184D2A50 <= int.from_bytes(magic, "little") <= 0x184D2A5F:
            left = int.from_bytes(_exactly(raw, 4), "little")
            while left:
                left -= len(_exactly(raw, min(left, PIECE)))
        else:
            frame = decompressor.decompressobj()
            for part in _zstd_parts(magic, raw):
                yield frame.decompress(part)
            if not frame.eof:
                raise EOFError("the file ends within a frame")
        magic = raw.read(4)


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
        yield header + _exactly(raw, 1 if word >> 1 & 3 == _SAME_BYTE else word >> 3)
    if flags >> 2 & 1:
        yield _exactly(raw, 4)


def _some(raw: io.BufferedReader, size: int = INPUT) -> bytes:
    """Return the beginning of a file; an empty one holds not even the form of nothing."""
    data = raw.read(size)
    if not data:
        raise EOFError("the file is empty")
    return data


def _exactly(raw: io.BufferedReader, size: int) -> bytes:
    data = raw.read(size)
    if len(data) < size:
        raise EOFError("the file ends within a frame")
    return data


def _after_padding(data: bytes, raw: io.BufferedReader) -> bytes:
    """Return what comes after zeros, with which a tape or `xz` fills up."""
    while not (rest := data.lstrip(b"\0")) and (data := raw.read(INPUT)):
        pass
    return rest


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


class CompressedOutput(OutputFile):
    """Compress what is written. `sync` ends a member, so that what is on the disk by then can be read by itself.

    `prompt` ends one with each write: for a file that somebody reads while it grows.
    """

    def __init__(self, file: OutputFile, method: Method, *, prompt: bool) -> None:
        self._file = file
        self._prompt = prompt
        self._make = _ENCODERS[method]
        self._encoder: Any = None
        #: Compressed bytes that are not written yet: None, but after a write that has failed.
        self._owed: bytes | None = None

    @property
    def length(self) -> int:
        """Return the compressed bytes in the file."""
        return self._file.length

    def write(self, data: memoryview) -> None:
        """Compress `data` and write what comes out; after an OSError, the same data is to be given again."""
        if self._owed is None:
            if self._encoder is None:
                self._encoder = self._make()
            self._owed = self._encoder.compress(data) + (self._end_member() if self._prompt else b"")
        self._pay()

    def _end_member(self) -> bytes:
        encoder, self._encoder = self._encoder, None
        rest: bytes = encoder.flush() if encoder is not None else b""
        return rest

    def _pay(self) -> None:
        if self._owed:
            self._file.write(memoryview(self._owed))
        self._owed = None

    def sync(self) -> None:
        """End the member, and bring the file to the disk."""
        if self._owed is None:
            if self._encoder is None and not self._file.length:
                self._encoder = self._make()  # a compressed file of nothing is not empty: xz and gunzip refuse one
            self._owed = self._end_member()
        self._pay()
        self._file.sync()

    def close(self) -> None:
        """Close the file; what was not synced may be cut off."""
        self._file.close()


#: A gzip header and trailer around deflate, in the terms of zlib.
_GZIP = 16 + zlib.MAX_WBITS
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SAME_BYTE = 1
_DECODERS: dict[Method, Callable[[io.BufferedReader], Iterator[bytes]]] = {
    "gzip": _gzip_pieces,
    "xz": _xz_pieces,
    "zstd": _zstd_pieces,
}
_ENCODERS: dict[Method, Callable[[], Any]] = {
    "gzip": lambda: zlib.compressobj(6, zlib.DEFLATED, _GZIP),
    "xz": lzma.LZMACompressor,
    "zstd": lambda: zstandard().ZstdCompressor(write_checksum=True).compressobj(),
}
