"""A file system with walls: nothing outside of some folders is read or written through it."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from streamflow.files.file_system import FileSystem, InputFile, Kind, OutputFile, Status


class OutsideOfRoots(PermissionError):
    """Say which path leads out of the folders that may be used."""


class RootedFiles(FileSystem):
    """Let another file system be used inside of `roots` only; OutsideOfRoots says which path leads out of them.

    Symbolic links are followed before a path is judged.
    """

    def __init__(self, files: FileSystem, roots: Sequence[str]) -> None:
        self._files = files
        self.roots = tuple(os.path.realpath(root) for root in roots)

    def inside(self, path: str) -> str:
        """Return `path`, if it is inside."""
        real = os.path.realpath(path)
        if any(os.path.commonpath([root, real]) == root for root in self.roots):
            return path
        leads = f", since it leads to {real!r}" if real != os.path.abspath(path) else ""
        roots = " and ".join(map(repr, self.roots))
        raise OutsideOfRoots(errno.EACCES, f"this is outside of {roots}{leads}; nothing else may be used", path)

    def kind(self, path: str) -> Kind:
        """Tell what is at `path`."""
        return self._files.kind(self.inside(path))

    def size(self, path: str) -> int | None:
        """Return the bytes in the file."""
        return self._files.size(self.inside(path))

    def resolve(self, path: str) -> str:
        """Return `path` with symbolic links followed."""
        return self._files.resolve(self.inside(path))

    def status(self, path: str) -> Status | None:
        """Look at the file at `path`."""
        return self._files.status(self.inside(path))

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        return self._files.names(self.inside(folder))

    def open_to_read(self, path: str) -> InputFile:
        """Open a file."""
        return self._files.open_to_read(self.inside(path))

    def open_pipe(self, path: str) -> int:
        """Return the descriptor of a named pipe."""
        return self._files.open_pipe(self.inside(path))

    def create(self, path: str, like: str | None = None) -> OutputFile:
        """Make a new file."""
        return self._files.create(self.inside(path), like)

    def open_to_append(self, path: str, *, lines: bool = True) -> OutputFile:
        """Open a file at its end."""
        return self._files.open_to_append(self.inside(path), lines=lines)

    def open_to_continue(self, path: str) -> OutputFile:
        """Open a file at its end, as an earlier run has left it."""
        return self._files.open_to_continue(self.inside(path))

    def make_directories(self, path: str) -> None:
        """Make a directory and those above it."""
        self._files.make_directories(self.inside(path))

    def sync_directory(self, path: str) -> None:
        """Bring the names in a directory to the disk."""
        self._files.sync_directory(self.inside(path))

    def make_private_directory(self, path: str) -> None:
        """Make a directory that only this user may enter."""
        self._files.make_private_directory(self.inside(path))

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        self._files.remove_directory(self.inside(path))

    def rename(self, old: str, new: str) -> None:
        """Give `old` the name `new`."""
        self._files.rename(self.inside(old), self.inside(new))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._files.remove(self.inside(path))
