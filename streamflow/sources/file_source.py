"""A file, or several: what every source of files is made of."""

from __future__ import annotations

import asyncio
import errno
import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from fnmatch import fnmatch
from glob import glob, has_magic
from pathlib import PurePath
from typing import Any, TypeVar

from streamflow.files.file_system import FileSystem
from streamflow.files.local import LOCAL
from streamflow.files.threads import FileThread
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Reader
from streamflow.sources.file_blocks import GRACE
from streamflow.sources.many_files import ManyFiles, Opening
from streamflow.sources.policed import PolicedSource

T = TypeVar("T")


@dataclass(frozen=True)
class FileSource(PolicedSource[T]):
    """Describe a file, or several: `path` may be a pattern (`logs/*.jsonl`, `logs/**/*.jsonl`) or a list.

    Several files are read one after the other, each once, those of a pattern in the order of their names; what appears
    later is not seen, but by a run that is resumed: it reads what sorts behind the file it goes on in, and refuses what
    sorts before it.
    """

    guarantee = "read again from any position"

    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
    _: KW_ONLY
    files: FileSystem = field(default=LOCAL, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        paths = self.paths
        if not paths or not all(isinstance(path, str) and path for path in paths):
            raise FlowError(f"{type(self).__name__}({self.path!r}): expected the path of a file, or of several")
        twice = _named_twice(paths)
        if twice is not None:
            raise FlowError(
                f"{type(self).__name__}({twice!r}): this file is in the list twice, and is read once: say once"
            )
        object.__setattr__(self, "path", paths if isinstance(self.path, (list, tuple)) else paths[0])

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the paths and patterns as they were given."""
        path: Any = self.path
        return tuple(map(os.fspath, path)) if isinstance(path, (list, tuple)) else (os.fspath(path),)

    @property
    def replayable(self) -> bool:
        """Tell that a file can be read again from any record."""
        return True

    def reads(self, path: str) -> bool:
        """Tell whether `path` is the file, one of the files, or meant by the pattern, by whatever links."""
        names = {path, self.files.resolve(path)}
        return any(
            any(_means(os.path.abspath(one), name) for name in names)
            or (not has_magic(one) and self.files.same(one, path))
            for one in self.paths
        )

    @property
    def label(self) -> str:
        """Return the path, or the first one and how many more there are."""
        paths = self.paths
        return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"

    async def open(self) -> Reader[Any]:
        """Open the file for one run; raise an OSError that names what is wrong."""
        listed = self.paths
        if len(listed) == 1 and not has_magic(listed[0]):
            return await self.open_one(listed[0])
        looking = asyncio.create_task(self._look(listed))
        try:
            paths, sizes = await asyncio.shield(looking)
        except asyncio.CancelledError:
            await asyncio.wait([looking])  # a folder that is being listed is open
            raise
        if paths == listed[:1]:
            return await self.open_one(paths[0])
        return ManyFiles(paths, self.opener(), sizes)

    def opener(self) -> Callable[[str], Opening]:
        """Return what opens one file of several, for one run."""
        return lambda path: replace(self, path=path).open_one(path)

    async def _look(self, listed: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
        """Return the files that are meant, and their sizes."""
        thread = FileThread(self.label, grace=GRACE)
        try:
            return await thread.run(_matching, self.files, listed)
        finally:
            await thread.close()

    @abstractmethod
    async def open_one(self, path: str) -> Reader[Any]:
        """Open the file at `path`."""


def _named_twice(paths: tuple[str, ...]) -> str | None:
    """Return the first name that is there a second time; what patterns find besides is read once without a word."""
    seen = set()
    for path in paths:
        whole = os.path.abspath(path)
        if whole in seen and not has_magic(path):
            return path
        seen.add(whole)
    return None


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
