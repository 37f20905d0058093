"""Lines of a file, read in blocks on a thread of the file's own."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from fnmatch import fnmatch
from glob import glob, has_magic
from pathlib import PurePath
from typing import Any, TypeVar

from streamflow.files.compression import CompressedInput, Compression, Method, method_of
from streamflow.files.file_system import FileSystem, InputFile
from streamflow.files.local import LOCAL
from streamflow.files.noticing import require_watchfiles
from streamflow.files.threads import FileThread
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Reader
from streamflow.model.statistics import Progress
from streamflow.sources.following import Follow, follow
from streamflow.sources.lines import Blocks, LineReader, LineSource
from streamflow.sources.many_files import ManyFiles
from streamflow.sources.pipes import PipeBlocks

T = TypeVar("T")

#: Bytes that are read at once.
BLOCK = 1 << 20
#: Seconds that `close` gives a read that hangs.
GRACE = 1.0


@dataclass(frozen=True)
class FileLines(LineSource[T]):
    """Describe a file of lines, or several: `path` may be a pattern (`logs/*.jsonl`, `logs/**/*.jsonl`) or a list.

    Several files are read one after the other, those of a pattern in the order of their names; what appears later is
    not seen. `compression` is `gzip`, `zstd`, `xz` or None; `auto` goes by the suffix (.gz, .zst, .xz). Offsets are
    those of the content.

    With `follow` it is one file that never ends: what is appended is read as it comes, through rotation (the file that
    is renamed away is read to its end, then the next one), truncation, deletion and recreation; it need not be there
    yet. `True` has the system say when there is something if watchfiles is installed, `notify` insists on that, `poll`
    looks now and then (for folders of other machines).
    """

    guarantee = "read again from any position"

    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
    _: KW_ONLY
    compression: Compression = "auto"
    follow: Follow = False
    files: FileSystem = field(default=LOCAL, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        paths = _listed(self.path)
        if not paths or not all(isinstance(path, str) and path for path in paths):
            raise FlowError(f"{type(self).__name__}({self.path!r}): expected the path of a file, or of several")
        object.__setattr__(self, "path", paths if isinstance(self.path, (list, tuple)) else paths[0])
        for path in paths:
            method_of(path, self.compression)  # a method that there is not is told now
        if self.follow not in (True, False, "notify", "poll"):
            raise FlowError(f"{type(self).__name__}(follow={self.follow!r}): expected True, 'notify', 'poll' or False")
        if self.follow:
            self._refuse_what_cannot_be_followed()

    def _refuse_what_cannot_be_followed(self) -> None:
        paths, what = _listed(self.path), f"{type(self).__name__}({self.label!r}, follow={self.follow!r})"
        if len(paths) > 1 or (has_magic(paths[0]) and self.files.kind(paths[0]) == "missing"):
            raise FlowError(f"{what}: one file can be followed; give each a source of its own, and sf.merge(...) them")
        if method_of(paths[0], self.compression) is not None:
            raise FlowError(f"{what}: a compressed file cannot be followed; follow the one that is written to")
        kind = self.files.kind(paths[0])
        if kind == "pipe":
            raise FlowError(f"{what}: a named pipe gives what is written to it as it comes; leave follow out")
        if kind not in ("file", "missing"):
            raise FlowError(f"{what}: this is a {_SPOKEN[kind]}; only a file can be followed")
        if self.follow == "notify":
            require_watchfiles()

    @property
    def bounded(self) -> bool:
        """Tell that a file ends, unless it is followed."""
        return not self.follow

    @property
    def replayable(self) -> bool:
        """Tell that a file can be read again from any line."""
        return True

    def reads(self, path: str) -> bool:
        """Tell whether `path` is the file, one of the files, or meant by the pattern."""
        return any(_means(os.path.abspath(one), path) for one in _listed(self.path))

    @property
    def label(self) -> str:
        """Return the path, or the first one and how many more there are."""
        if isinstance(self.path, str):
            return self.path
        paths = _listed(self.path)
        return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"

    async def open(self) -> Reader[Any]:
        """Open the file for one run; raise an OSError that names what is wrong."""
        listed = _listed(self.path)
        if self.follow:
            return await follow(self, listed[0], self.files, self.follow)
        if len(listed) == 1 and not has_magic(listed[0]):
            return await self._open_one(listed[0])
        looking = asyncio.create_task(self._look(listed))
        try:
            paths, sizes = await asyncio.shield(looking)
        except asyncio.CancelledError:
            await asyncio.wait([looking])  # a folder that is being listed is open
            raise
        if paths == listed[:1]:
            return await self._open_one(paths[0])
        return ManyFiles(paths, lambda path: replace(self, path=path), sizes)

    async def _look(self, listed: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
        """Return the files that are meant, and their sizes."""
        thread = FileThread(self.label, grace=GRACE)
        try:
            return await thread.run(_matching, self.files, listed)
        finally:
            await thread.close()

    async def _open_one(self, path: str) -> LineReader:
        thread = FileThread(path, grace=GRACE)
        opening = thread.submit(_open, self.files, path, method_of(path, self.compression))
        try:
            file, seekable, size = await asyncio.shield(opening)
        except BaseException:
            await thread.close()
            if opening.done() and opening.exception() is None:
                _close(opening.result()[0])
            raise
        if isinstance(file, InputFile):
            return self.reader(FileBlocks(file, thread, seekable, size))
        await thread.close()
        return self.reader(PipeBlocks(file, owned=True))


class FileBlocks(Blocks):
    """Read blocks into two recycled buffers: one is filled while the lines of the other are at work."""

    def __init__(self, file: InputFile, thread: FileThread, seekable: bool, size: int | None = None) -> None:
        self._file = file
        self._size = size
        self._thread = thread
        self.replayable = seekable
        self._buffers = bytearray(BLOCK), bytearray(BLOCK)
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
        return full, end

    def progress(self, offset: int) -> Progress:
        """Go by the size of the file when it was opened; one that has grown since is as long as what was read."""
        stored = self._file.stored(offset)
        return Progress(done=stored, total=None if self._size is None else max(self._size, stored))

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
        """Close the file behind the read that may be at work, then end the thread."""
        closing = self._thread.submit(self._file.close)
        await self._thread.close()
        for future in (self._filling, closing):
            if future is not None and future.done() and not future.cancelled():
                future.exception()  # it was nobody's any more, and asyncio would complain about that

    def _fill(self) -> asyncio.Future[int]:
        self._filling = self._thread.submit(self._file.read_into, self._buffers[0])
        return self._filling

    async def _settled(self) -> None:
        if self._filling is not None:
            await asyncio.wait([self._filling])
            self._filling = None


_SPOKEN = {"directory": "directory", "special": "device or a socket"}


def _open(files: FileSystem, path: str, method: Method | None) -> tuple[InputFile | int, bool, int | None]:
    """Return an open file, or the descriptor of a named pipe, whether it can be read again, and its size."""
    kind = files.kind(path)
    if kind == "pipe" and method is None:
        return files.open_pipe(path), False, None
    file = files.open_to_read(path)
    return file if method is None else CompressedInput(file, method, path), kind == "file", files.size(path)


def _listed(path: Any) -> tuple[str, ...]:
    return tuple(map(os.fspath, path)) if isinstance(path, (list, tuple)) else (os.fspath(path),)


def _means(one: str, path: str) -> bool:
    if one == path or not has_magic(one):
        return one == path
    return fnmatch(path, one) if "**" in one else PurePath(path).match(one)


def _matching(files: FileSystem, listed: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    """Return the files that are meant, each pattern's by name, and their sizes.

    What is there under the very name is no pattern.
    """
    found: list[str] = []
    for path in listed:
        if not has_magic(path) or os.path.exists(path):
            found.append(path)
            continue
        matching = sorted(name for name in glob(path, recursive=True) if not os.path.isdir(name))
        if not matching:
            raise FileNotFoundError(errno.ENOENT, "no file matches this pattern", path)
        found += matching
    paths = tuple(dict.fromkeys(found))
    return paths, tuple(map(files.size, paths))


def _close(file: InputFile | int) -> None:
    if isinstance(file, InputFile):
        file.close()
    else:
        os.close(file)
