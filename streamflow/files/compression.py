"""Compressed files: the same bytes on this side, fewer on the other. Everything here blocks, on the file's thread."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

from streamflow.files.file_system import InputFile, OutputFile
from streamflow.model.errors import FlowError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Method = Literal["gzip", "zstd", "xz"]
Compression = Method | Literal["auto"] | None
SUFFIXES: dict[str, Method] = {".gz": "gzip", ".zst": "zstd", ".xz": "xz"}
#: Compressed bytes that are read at once.
BLOCK = 1 << 18


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
    """Read what a compressed file holds; several members one after the other are one content."""

    def __init__(self, file: InputFile, method: Method, path: str) -> None:
        self._file = file
        self._method = method
        self._path = path
        self._at = self._taken = 0
        self._content = self._open()

    def _open(self) -> Any:
        raw = self._raw = io.BufferedReader(_Raw(self._file), BLOCK)
        if self._method == "zstd":
            return _ZstdContent(raw)
        if self._method == "xz":
            return lzma.LZMAFile(raw)
        import gzip

        return gzip.GzipFile(fileobj=raw)

    def read_into(self, buffer: bytearray) -> int:
        """Fill `buffer` as far as there is content; an OSError says what is wrong with the file."""
        try:
            count: int = self._content.readinto(buffer)
        except Exception as error:
            if isinstance(error, OSError) and not _is_damage(error):
                raise
            raise OSError(
                f"{self._path}: {self._method} data that is damaged or cut off, after {self._at:,} bytes of content "
                f"({str(error).rstrip('.').lower()})"
            ) from error
        self._at += count
        self._taken = self._raw.tell()
        return count

    def stored(self, offset: int) -> int:
        """Estimate it by what the content read so far has taken."""
        return self._taken * offset // self._at if self._at else 0

    def seek(self, offset: int) -> None:
        """Go to `offset` of the content: from the beginning, which takes as long as reading up to there."""
        self._file.seek(0)
        self._content = self._open()
        self._at = self._taken = 0
        scrap = bytearray(BLOCK)
        while self._at < offset and self.read_into(scrap := scrap[: offset - self._at]):
            pass

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _ZstdContent:
    """Read frame after frame. (The package's own reader takes a frame that is cut off for a whole one.)"""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._decompressor = zstandard().ZstdDecompressor()
        self._frame: Any = None
        self._left = b""
        self._out = memoryview(b"")

    def readinto(self, buffer: bytearray) -> int:
        while not self._out:
            # Little at once: a few bytes may stand for a hundred kilobytes.
            data = self._left or self._raw.read(4096)
            if not data:
                if self._frame is not None:
                    raise EOFError("the file ends within a frame")
                return 0
            frame = self._frame = self._frame or self._decompressor.decompressobj()
            self._out, self._left = memoryview(frame.decompress(data)), b""
            if frame.eof:
                self._left, self._frame = frame.unused_data, None
        count = min(len(self._out), len(buffer))
        buffer[:count] = self._out[:count]
        self._out = self._out[count:]
        return count


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


def _is_damage(error: OSError) -> bool:
    import gzip

    return isinstance(error, gzip.BadGzipFile)


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
_ENCODERS: dict[Method, Callable[[], Any]] = {
    "gzip": lambda: zlib.compressobj(6, zlib.DEFLATED, _GZIP),
    "xz": lzma.LZMACompressor,
    "zstd": lambda: zstandard().ZstdCompressor(write_checksum=True).compressobj(),
}
