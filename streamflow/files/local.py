"""The file system of this machine."""

from __future__ import annotations

import difflib
import errno
import os
import select
import stat
from contextlib import suppress

from streamflow.files.file_system import FileSystem, InputFile, Kind, NobodyReads, OutputFile, Status, SyncFailed


class LocalInput(InputFile):
    """Read a local file, a named pipe or a device."""

    def __init__(self, descriptor: int) -> None:
        self._file = open(descriptor, "rb", buffering=0)  # noqa: SIM115 - closed by `close`

    def read_into(self, buffer: bytearray) -> int:
        """Read with one call of the system."""
        return self._file.readinto(buffer) or 0

    def seek(self, offset: int) -> None:
        """Move to `offset`."""
        self._file.seek(offset)

    def status(self) -> Status:
        """Ask by the descriptor."""
        return _status(os.fstat(self._file.fileno()))

    def close(self) -> None:
        """Close the descriptor."""
        self._file.close()


class LocalOutput(OutputFile):
    """Write to a local file, a named pipe or a device through a descriptor, which it owns if `owned`."""

    def __init__(self, descriptor: int, path: str, *, owned: bool = True) -> None:
        self._descriptor = descriptor
        self._path = path
        self._owned = owned
        status = os.fstat(descriptor)
        #: A pipe or a device can be neither cut nor synced.
        self._regular = stat.S_ISREG(status.st_mode)
        self._length = status.st_size if self._regular else 0
        self._gone = 0
        self._torn = False
        #: What kept the file from being brought to the disk.
        self._unsynced: OSError | None = None

    @property
    def length(self) -> int:
        """Return the bytes in the file; for a pipe, those written to it."""
        return self._length

    def close_torn_line(self) -> None:
        """Have the next write begin on a new line if the file ends within one: its writer crashed."""
        if self._regular and self._length:
            with open(self._path, "rb") as file:
                file.seek(-1, os.SEEK_END)
                self._torn = file.read(1) != b"\n"

    def write(self, data: memoryview) -> None:
        """Append `data`; cut the file back to where it was if that fails midway."""
        if self._torn:
            self._append(memoryview(b"\n"))
            self._torn = False
        self._append(data)

    def _append(self, data: memoryview) -> None:
        done = self._gone
        try:
            while done < len(data):
                done += self._write_some(data[done:])
        except OSError as error:
            self._gone = self._take_back(done)
            raise _naming(error, self._path) from None
        self._gone = 0
        self._length += len(data)

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # somebody has made our standard output non-blocking
            select.select([], [self._descriptor], [])
            return 0

    def _take_back(self, done: int) -> int:
        """Cut off the `done` bytes of an unfinished write; return how many of them stay."""
        if not self._regular:
            return done
        with suppress(OSError):
            # Only what is surely ours: another process may have appended to the same file.
            if done and os.fstat(self._descriptor).st_size == self._length + done:
                os.ftruncate(self._descriptor, self._length)
                os.lseek(self._descriptor, self._length, os.SEEK_SET)
        return 0

    def sync(self) -> None:
        """Wait for the disk."""
        if not self._regular:
            return
        if self._unsynced is None:
            try:
                os.fsync(self._descriptor)
                return
            except OSError as error:
                self._unsynced = error
        raise SyncFailed.after(self._unsynced, self._path)

    def truncate(self, length: int) -> None:
        """Cut the file and wait for the disk; a line that was torn there is gone with the rest."""
        try:
            os.ftruncate(self._descriptor, length)
            os.lseek(self._descriptor, length, os.SEEK_SET)
        except OSError as error:
            raise _naming(error, self._path) from None
        self._length, self._gone, self._torn = length, 0, False
        self.sync()

    def close(self) -> None:
        """Close the descriptor, if it is owned."""
        if self._owned:
            os.close(self._descriptor)


class LocalFiles(FileSystem):
    """Use the file system of this machine."""

    def kind(self, path: str) -> Kind:
        """Look at `path` with one call of the system."""
        status = self.status(path)
        return "missing" if status is None else status.kind

    def status(self, path: str) -> Status | None:
        """Look at `path` with one call of the system."""
        try:
            return _status(os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, folder: str) -> list[str]:
        """List the folder."""
        try:
            return os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def size(self, path: str) -> int | None:
        """Look at `path` with one call of the system."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def resolve(self, path: str) -> str:
        """Follow symbolic links."""
        return os.path.realpath(path)

    def same(self, one: str, other: str) -> bool:
        """Compare names behind symbolic links, then files: one may have several names."""
        if super().same(one, other):
            return True
        with suppress(OSError):
            first, second = _status(os.stat(one)), _status(os.stat(other))
            return first.kind == "file" and (first.device, first.inode) == (second.device, second.inode)
        return False

    def open_to_read(self, path: str) -> InputFile:
        """Open for reading, and say which name is near if there is no such file."""
        try:
            if os.path.isdir(path):
                raise IsADirectoryError(errno.EISDIR, "this is a directory, not a file", path)
            return LocalInput(os.open(path, os.O_RDONLY | _BINARY))
        except OSError as error:
            raise _naming(error, path) from None

    def open_pipe(self, path: str) -> int:
        """Open for reading at once: the loop says when there is something, or when the last writer has gone."""
        try:
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise _naming(error, path) from None

    def create(self, path: str, like: str | None = None) -> OutputFile:
        """Create exclusively."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        except OSError as error:
            raise _naming(error, like or path) from None
        if like is not None:
            with suppress(OSError):
                os.chmod(path, stat.S_IMODE(os.stat(like).st_mode))
        return LocalOutput(descriptor, like or path)

    def open_to_append(self, path: str, *, lines: bool = True) -> OutputFile:
        """Open for appending, whole lines only."""
        pipe = self.kind(path) == "pipe"
        try:
            # With a pipe, the system would wait for a reader in a call that nothing can interrupt.
            flags = os.O_NONBLOCK if pipe else os.O_CREAT
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | _BINARY | flags, 0o666)
        except OSError as error:
            if pipe and error.errno == errno.ENXIO:
                raise NobodyReads(error.errno, "nobody reads this pipe", path) from None
            raise _naming(error, path) from None
        if pipe:
            os.set_blocking(descriptor, True)
        output = LocalOutput(descriptor, path)
        if lines:
            with suppress(PermissionError):  # it may be written but not read
                output.close_torn_line()
        return output

    def open_to_continue(self, path: str) -> OutputFile:
        """Open for appending what is there already."""
        try:
            return LocalOutput(os.open(path, os.O_WRONLY | os.O_APPEND | _BINARY), path)
        except OSError as error:
            raise _naming(error, path) from None

    def make_directories(self, path: str) -> None:
        """Make a directory and those above it, then sync the one above each that is new."""
        missing = []
        above = os.path.abspath(path)
        while not os.path.isdir(above) and above != os.path.dirname(above):
            missing.append(above)
            above = os.path.dirname(above)
        os.makedirs(path or ".", exist_ok=True)
        for folder in reversed(missing):
            _sync_directory(os.path.dirname(folder))

    def sync_directory(self, path: str) -> None:
        """Sync the directory, where the system can."""
        _sync_directory(path or ".")

    def make_private_directory(self, path: str) -> None:
        """Make a directory with the rights of its owner alone."""
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory, if it is there."""
        with suppress(FileNotFoundError):
            os.rmdir(path)

    def rename(self, old: str, new: str) -> None:
        """Rename and sync the directory, without which the new name may not outlive a loss of power."""
        try:
            os.replace(old, new)
        except OSError as error:
            raise _naming(error, new) from None
        _sync_directory(os.path.dirname(new) or ".")

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            os.remove(path)


#: Windows opens files as text unless told not to.
_BINARY = getattr(os, "O_BINARY", 0)

LOCAL = LocalFiles()


def _status(found: os.stat_result) -> Status:
    return Status(found.st_dev, found.st_ino, _kind(found.st_mode), found.st_size, found.st_mtime_ns)


def _kind(mode: int) -> Kind:
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISFIFO(mode):
        return "pipe"
    return "file" if stat.S_ISREG(mode) else "special"


def _sync_directory(path: str) -> None:
    if os.name == "nt":
        return  # a directory cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems know no such call
            raise
    finally:
        os.close(descriptor)


def _naming(error: OSError, path: str) -> OSError:
    """Return `error` with the file it is about, and the nearest fix."""
    reason = error.strerror or str(error)
    return type(error)(error.errno, reason + _nearest(error, path), path)


def _nearest(error: OSError, path: str) -> str:
    if not isinstance(error, FileNotFoundError):
        return ""
    if os.path.islink(path):
        return f" (it is a symbolic link to {os.readlink(path)!r}, which is not there)"
    directory, name = os.path.split(os.path.abspath(path))
    if not os.path.isdir(directory):
        return f" (there is no directory {directory!r}: make it first)"
    with suppress(OSError):
        near = difflib.get_close_matches(name, os.listdir(directory), n=1)
        if near:
            return f" in {directory!r} (did you mean {near[0]!r}?)"
    return f" in {directory!r}"
