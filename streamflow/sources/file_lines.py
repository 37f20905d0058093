"""Lines of a file, read in blocks on a thread of the file's own."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from glob import has_magic
from typing import Any, TypeVar

from streamflow.files.compression import Compression, method_of
from streamflow.files.decompression import MAX_RATIO, check_ratio
from streamflow.files.noticing import Follow, require_watchfiles
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Reader
from streamflow.sources.file_blocks import open_blocks
from streamflow.sources.file_source import FileSource
from streamflow.sources.lines import LineReader, LineSource

T = TypeVar("T")


@dataclass(frozen=True)
class FileLines(FileSource[T], LineSource[T]):
    """Describe a file of lines, or several: `path` may be a pattern (`logs/*.jsonl`, `logs/**/*.jsonl`) or a list.

    Several files are read one after the other, those of a pattern in the order of their names; what appears later is
    not seen. `compression` is `gzip`, `zstd`, `xz` or None; `auto` goes by the suffix (.gz, .zst, .xz). Offsets are
    those of the content. Where it is damaged or cut off, what comes before is read, and the rest is one bad record; so
    it is where the content is more than `max_ratio` times as long as the file: a decompression bomb.

    With `follow` it is one file that never ends: what is appended is read as it comes, through rotation (the file that
    is renamed away is read to its end, then the next one), truncation, deletion and recreation; it need not be there
    yet. `True` has the system say when there is something if watchfiles is installed, `notify` insists on that, `poll`
    looks now and then (for folders of other machines).
    """

    _: KW_ONLY
    compression: Compression = "auto"
    max_ratio: float = MAX_RATIO
    follow: Follow = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for path in self.paths:
            method_of(path, self.compression)  # a method that there is not is told now
        check_ratio(type(self).__name__, self.max_ratio)
        if self.follow not in (True, False, "notify", "poll"):
            raise FlowError(f"{type(self).__name__}(follow={self.follow!r}): expected True, 'notify', 'poll' or False")
        if self.follow:
            self._refuse_what_cannot_be_followed()

    def _refuse_what_cannot_be_followed(self) -> None:
        paths, what = self.paths, f"{type(self).__name__}({self.label!r}, follow={self.follow!r})"
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

    async def open(self) -> Reader[Any]:
        """Open the file for one run; raise an OSError that names what is wrong."""
        if self.follow:
            from streamflow.sources.following import follow  # late: most files are read to their end

            return await follow(self, self.paths[0], self.files, self.follow)
        return await super().open()

    async def open_one(self, path: str) -> LineReader:
        """Open the file at `path`."""
        return self.reader(await open_blocks(self.files, path, method_of(path, self.compression), self.max_ratio))


_SPOKEN = {"directory": "directory", "special": "device or a socket"}
