"""What streamflow asks of a file system. Everything here blocks and is called on a thread."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

Kind = Literal["missing", "file", "directory", "pipe", "special"]

#: Of a disk that has no room: what was not written waits until it has some again.
FULL = (errno.ENOSPC, errno.EDQUOT)


class Status(NamedTuple):
    """Say which file it is, what kind, how long, and when it was last written to, in nanoseconds."""

    device: int
    inode: int
    kind: Kind
    size: int
    written: int


class InputFile(ABC):
    """Be a file that is open for reading."""

    @abstractmethod
    def read_into(self, buffer: bytearray) -> int:
        """Read what is there, up to the length of `buffer`; return the number of bytes, 0 at the end."""

    @abstractmethod
    def seek(self, offset: int) -> None:
        """Go on at byte `offset`."""

    def stored(self, offset: int) -> int:
        """Return how many bytes of the file the first `offset` bytes of its content take; any thread may ask."""
        return offset

    def status(self) -> Status:
        """Look at the open file, whatever its name is by now."""
        raise NotImplementedError(f"{type(self).__name__} cannot be followed")

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


class OutputFile(ABC):
    """Be a file that is open for writing at its end."""

    @property
    @abstractmethod
    def length(self) -> int:
        """Return the bytes in the file, those of earlier runs included."""

    @abstractmethod
    def write(self, data: memoryview) -> None:
        """Append all of `data`, or none of it: after an OSError the file is as long as before.

        What cannot be shortened (a pipe) keeps the part that went out, and the next call leaves that part
        out.
        """

    @abstractmethod
    def sync(self) -> None:
        """Bring what was written to the disk, or raise SyncFailed.

        A system whose disk refused it may forget what it was to bring, and find nothing left to do the next time: once
        this has failed, it fails for ever. What an earlier sync brought is there.
        """

    def truncate(self, length: int) -> None:
        """Cut the file to its first `length` bytes, on the disk too; what is written next follows them."""
        raise NotImplementedError(f"{type(self).__name__} cannot be cut")

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


class SyncFailed(OSError):
    """Say that what was written to a file may be lost, though it can still be read: a sync of it has failed.

    Its number may be that of a full disk; but trying again, when there is room, would bring nothing.
    """

    @classmethod
    def after(cls, error: OSError, path: str) -> SyncFailed:
        """Return it for the file at `path`, whose sync failed with `error`."""
        reason = f"this file could not be brought to the disk ({error.strerror}), and the system may have dropped parts"
        return cls(error.errno, f"{reason}: run again once the disk is well", path)


class NobodyReads(OSError):
    """Say that a named pipe cannot be opened to write to it: nobody has opened it to read."""


class FileSystem(ABC):
    """Open, name and remove files."""

    @abstractmethod
    def kind(self, path: str) -> Kind:
        """Tell what is at `path`, behind symbolic links."""

    def size(self, path: str) -> int | None:
        """Return the bytes in the file at `path`, or None if it is none, or nobody knows."""
        return None

    @abstractmethod
    def resolve(self, path: str) -> str:
        """Return `path` with symbolic links followed, so that renaming onto it keeps them."""

    def same(self, one: str, other: str) -> bool:
        """Tell whether two paths mean one file, by whatever links."""
        return self.resolve(one) == self.resolve(other)

    @abstractmethod
    def status(self, path: str) -> Status | None:
        """Look at the file at `path`, behind symbolic links; None if there is none."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, in no order; none if there is no such folder."""

    @abstractmethod
    def open_to_read(self, path: str) -> InputFile:
        """Open a file; an OSError names what is wrong and what is near."""

    @abstractmethod
    def open_pipe(self, path: str) -> int:
        """Return the descriptor of a named pipe, opened without waiting for whoever writes to it."""

    @abstractmethod
    def create(self, path: str, like: str | None = None) -> OutputFile:
        """Make a new file, with the permissions of the file `like` if that exists; raise FileExistsError.

        Errors name `like`, if given: the file that it is to become.
        """

    @abstractmethod
    def open_to_append(self, path: str, *, lines: bool = True) -> OutputFile:
        """Open a file at its end; make it if it is missing. Among `lines`, one torn there is closed.

        A named pipe that nobody reads raises NobodyReads, at once.
        """

    def open_to_continue(self, path: str) -> OutputFile:
        """Open a file at its end, as an earlier run has left it; raise FileNotFoundError if it is not there."""
        raise NotImplementedError(f"{type(self).__name__} cannot continue a file")

    @abstractmethod
    def make_directories(self, path: str) -> None:
        """Make a directory and those above it, as far as they are missing, and bring their names to the disk."""

    def sync_directory(self, path: str) -> None:
        """Bring the names in a directory to the disk: without it, a new file may not outlive a loss of power."""
        return None

    def make_private_directory(self, path: str) -> None:
        """Make a directory, in one that is there, which only this user may enter, as far as that can be said."""
        self.make_directories(path)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory, if it is there."""
        raise NotImplementedError(f"{type(self).__name__} cannot remove directories")

    @abstractmethod
    def rename(self, old: str, new: str) -> None:
        """Give `old` the name `new`, whatever bore it, and bring the change of names to the disk."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
