"""Compressed output: fewer bytes in the file than are written. Everything here blocks, on the file's thread."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable
from typing import Any, Literal, get_args

from streamflow.files.file_system import OutputFile
from streamflow.model.errors import FlowError

Method = Literal["gzip", "zstd", "xz"]
Compression = Method | Literal["auto"] | None
SUFFIXES: dict[str, Method] = {".gz": "gzip", ".zst": "zstd", ".xz": "xz"}


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
        #: The end of a member that is not written yet, but after a `sync` that has failed.
        self._end = b""

    @property
    def length(self) -> int:
        """Return the compressed bytes in the file."""
        return self._file.length

    def write(self, data: memoryview) -> None:
        """Compress `data` and write what comes out; after an OSError, the same data is to be given again."""
        self._pay_end()
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

    def _pay_end(self) -> None:
        if self._end:
            self._file.write(memoryview(self._end))
        self._end = b""

    def sync(self) -> None:
        """End the member, and bring the file to the disk; what has failed may be tried again, or written behind."""
        self._pay()
        if self._encoder is None and not self._file.length and not self._end:
            self._encoder = self._make()  # a compressed file of nothing is not empty: xz and gunzip refuse one
        self._end += self._end_member()
        self._pay_end()
        self._file.sync()

    def truncate(self, length: int) -> None:
        """Cut the file where a member ends: at a length that it had after a `sync`."""
        self._encoder = self._owed = None
        self._end = b""
        self._file.truncate(length)

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
