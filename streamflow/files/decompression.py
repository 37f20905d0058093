"""Compressed input: more bytes than there are in the file. Everything here blocks, on the file's thread."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable
from typing import Any

from streamflow.files.compression import Method, zstandard
from streamflow.files.file_system import InputFile

#: Compressed bytes that are read at once, and bytes of content that one call makes: so many are lost before damage.
BLOCK, PIECE = 1 << 16, 1 << 17
#: Bytes of content up to which nobody asks how long the file is.
FREE = 1 << 26
#: How many times as long as its file a content may be: logs reach 200, a bomb of zeros 1,000 and more.
MAX_RATIO = 500.0


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
        self._members = Members(self._file, *_FORMATS[self._method]())

    def read_into(self, buffer: bytearray) -> int:
        """Read what is there of the content, at least a byte but at its end."""
        try:
            count = self._members.read_into(buffer)
        except (zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
            raise UnreadableContent(
                f"{self._path}: {self._method} data that is damaged or cut off, after {self._at:,} bytes of content "
                f"({str(error).rstrip('.').lower()})"
            ) from error
        self._at += count
        if self._at > FREE and self._at > self._max_ratio * self._members.taken:
            raise UnreadableContent(
                f"{self._path}: after {self._at:,} bytes, the content is more than {self._max_ratio:g} times as long "
                f"as what it was made of. If it is no decompression bomb, raise max_ratio= to read it"
            )
        return count

    def stored(self, offset: int) -> int:
        """Estimate it by what the content read so far has taken; it never goes back."""
        if self._at:
            self._stored = max(self._stored, self._members.taken * offset // self._at)
        return self._stored

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


class Members:
    """Decompress member after member. `make` gives a decompressor of one; each begins with `magic`."""

    def __init__(self, file: InputFile, make: Callable[[], Any], magic: bytes) -> None:
        self._file = file
        self._make = make
        self._magic = magic
        self._member: Any = None
        self._members = 0
        self._input = bytearray(BLOCK)
        self._left = b""
        self._ended = False
        self._error: Exception | None = None
        #: Compressed bytes that were read and are not left.
        self.taken = 0

    def read_into(self, buffer: bytearray) -> int:
        """Fill the beginning of `buffer`; 0 at the end. What was found is given before an error is raised."""
        done = 0
        while done < len(buffer) and self._error is None:
            try:
                piece = self._piece(min(len(buffer) - done, PIECE))
            except Exception as error:
                self._error = error
                break
            if piece is None:
                return done
            buffer[done : done + len(piece)] = piece
            done += len(piece)
        if self._error is not None and not done:
            raise self._error
        return done

    def _piece(self, most: int) -> bytes | None:
        """Return some content, perhaps none yet; None at the end."""
        if self._member is None and not self._next_member():
            return None
        member = self._member
        if not self._left and getattr(member, "needs_input", True):
            self._read()
        given = len(self._left)
        piece: bytes = member.decompress(self._left, most)
        self._left = member.unused_data if member.eof else getattr(member, "unconsumed_tail", b"")
        self.taken += given - len(self._left)
        if member.eof:
            self._member = None
        elif self._ended and not piece:
            raise EOFError("the file ends within it")
        return piece

    def _next_member(self) -> bool:
        """Begin with the next member; False at the end of the file."""
        while not self._left or (self._members and not self._left.strip(b"\0")):
            self.taken += len(self._left)  # zeros after a member are there to fill a block
            self._left = b""
            self._read()
            if self._ended:
                return False
        if self._members:
            self._left = self._left.lstrip(b"\0")
        while len(self._left) < len(self._magic) and not self._ended:
            self._read()
        if not self._left.startswith(self._magic):
            what = "after a member comes something else" if self._members else "it does not begin as such data does"
            raise ValueError(what)
        self._member = self._make()
        self._members += 1
        return True

    def _read(self) -> None:
        count = self._file.read_into(self._input)
        self._ended = not count
        self._left += bytes(memoryview(self._input)[:count])


class ZstdFrame:
    """Decompress a frame, little at once: a few bytes may stand for a hundred kilobytes.

    (The package's own reader takes a frame that is cut off for a whole one.)
    """

    #: Compressed bytes that are decompressed at once, between these.
    LEAST, MOST = 16, 1 << 14

    def __init__(self, decompressor: Any) -> None:
        self._frame = decompressor.decompressobj()
        self._step = self.LEAST
        self._out = b""
        self._ended = False
        self.unconsumed_tail = b""

    @property
    def eof(self) -> bool:
        """Tell whether the frame has ended and all of it was given."""
        return self._ended and not self._out

    @property
    def needs_input(self) -> bool:
        """Tell whether there is nothing to give."""
        return not self._out

    @property
    def unused_data(self) -> bytes:
        """Return what comes after the frame."""
        return self.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        """Return up to `most` bytes of content."""
        if not self._out and not self._ended:
            step = self._step
            try:
                self._out = self._frame.decompress(data[:step])
            except zstandard().ZstdError as error:
                raise ValueError(str(error)) from error
            self._ended = self._frame.eof
            data = self._frame.unused_data + data[step:] if self._ended else data[step:]
            few = len(self._out) < 1 << 18
            self._step = min(step * 2, self.MOST) if few else max(step // 4, self.LEAST)
        self.unconsumed_tail = data
        given, self._out = self._out[:most], self._out[most:]
        return given


def _gzip() -> tuple[Callable[[], Any], bytes]:
    return lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), b"\x1f\x8b"


def _xz() -> tuple[Callable[[], Any], bytes]:
    return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), b"\xfd7zXZ\0"


def _zstd() -> tuple[Callable[[], Any], bytes]:
    decompressor = zstandard().ZstdDecompressor()
    return lambda: ZstdFrame(decompressor), b""  # a frame that may be skipped begins otherwise


_FORMATS: dict[Method, Callable[[], tuple[Callable[[], Any], bytes]]] = {"gzip": _gzip, "xz": _xz, "zstd": _zstd}
