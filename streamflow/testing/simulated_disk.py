"""A file system in memory that knows what was synced, dies where it is told to, and loses its power."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streamflow.files.file_system import FileSystem, InputFile, Kind, OutputFile, Status, SyncFailed
from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.testing.stored import Entry, Loss, Names, StoredFile


class Crash(BaseException):
    """Play the loss of power: no program survives it, whatever it catches."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Say what goes wrong with `times` operations, from number `first` (from 1) on: an errno, or they take `seconds`.

    `only` names the kinds of operation that it happens to, such as ("write", "sync"); others pass. A `sync` that
    fails loses what it was to bring to the disk: a later one does not bring it.
    """

    first: int
    times: int = 1
    error: int = 0
    seconds: float = 0.0
    only: tuple[str, ...] = ()

    def strikes(self, number: int, what: str) -> bool:
        """Tell whether operation `number`, a `what`, is one of them."""
        return self.first <= number < self.first + self.times and (not self.only or what in self.only)


class SimulatedDisk(FileSystem):
    """Keep files in memory, and tell what of them would outlive a loss of power.

    Content is durable once its file was synced, a name once its folder was. `operations` counts what changes the
    disk, or is to make a change durable; `die_at` has one of them raise Crash, and everything after it. `crash` gives
    the disk as it is found afterwards. `files` and `folders` are there, and durable, from the start; so is the
    present folder.

    >>> disk = SimulatedDisk({"/in.txt": b"a"})
    >>> file = disk.create("/out.txt")
    >>> file.write(memoryview(b"b"))
    >>> disk.crash("keep all").files(), disk.crash("drop unsynced").files()
    ({'/in.txt': b'a', '/out.txt': b'b'}, {'/in.txt': b'a'})
    """

    def __init__(self, files: Mapping[str, bytes] | None = None, *, folders: Iterable[str] = ()) -> None:
        self.operations = 0
        #: Each operation by name, "sync /out.txt".
        self.log: list[str] = []
        self.faults: list[Fault] = []
        self.dead = False
        #: Those of stores on this disk, by the name of each.
        self.checkpoints: dict[str, list[SavedCheckpoint]] = {}
        #: The stores that a run has open.
        self.held: set[str] = set()
        self._dies_at: int | None = None
        self._made = 0
        entries: dict[str, Entry] = {}
        for folder in (os.getcwd(), *folders, *(os.path.dirname(_whole(path)) for path in files or ())):
            entries |= dict.fromkeys(_upwards(_whole(folder)), "folder")
        entries |= {_whole(path): self._new(content) for path, content in (files or {}).items()}
        self._names = Names(entries)

    # -- what happens to it ---------------------------------------------------------------------------------------

    def die_at(self, operation: int) -> None:
        """Lose power in the operation of that number, from 1; a write may have been done in part."""
        self._dies_at = operation

    def crash(self, loss: Loss, seed: int = 0) -> SimulatedDisk:
        """Return the disk as it is found after a loss of power now, with nothing wrong any more."""
        chance = random.Random(f"loss {seed}")
        found = SimulatedDisk()
        alike: dict[StoredFile, StoredFile] = {}

        def file(one: StoredFile) -> StoredFile:
            if one not in alike:
                alike[one] = one.after(loss, chance)
            return alike[one]

        found._names = self._names.after(loss, chance, file)
        found._made = self._made
        found.checkpoints = {name: list(saved) for name, saved in self.checkpoints.items()}
        return found

    def mend(self) -> None:
        """Have nothing go wrong any more, and count operations from the start."""
        self.faults.clear()
        self.operations, self._dies_at = 0, None

    def operate(self, what: str, path: str) -> None:
        """Count an operation; raise what has gone wrong with it."""
        self.look()
        self.operations += 1
        self.log.append(f"{what} {path}")
        if self.operations == self._dies_at:
            self.dead = True
            raise Crash(f"power was lost in operation {self.operations}: {self.log[-1]}")
        for fault in self.faults:
            if fault.strikes(self.operations, what):
                time.sleep(fault.seconds)
                if fault.error:
                    raise OSError(fault.error, f"injected: {os.strerror(fault.error)}", path)

    def look(self) -> None:
        """Raise Crash if power was lost."""
        if self.dead:
            raise Crash("power was lost")

    # -- looking at it from outside -------------------------------------------------------------------------------

    def files(self) -> dict[str, bytes]:
        """Return the content of every file, by its path."""
        found = sorted(self._names.entries.items(), key=lambda one: one[0])
        return {path: bytes(one.content) for path, one in found if isinstance(one, StoredFile)}

    def outputs(self) -> dict[str, bytes]:
        """Return the content of every file, but of those whose name, or whose folder's, begins with a dot."""
        return {path: content for path, content in self.files().items() if not _hidden(path)}

    # -- a file system --------------------------------------------------------------------------------------------

    def kind(self, path: str) -> Kind:
        """Tell what is at `path`; there are no links."""
        self.look()
        entry = self._names.entries.get(_whole(path))
        return "missing" if entry is None else "directory" if entry == "folder" else "file"

    def size(self, path: str) -> int | None:
        """Return the bytes in the file at `path`."""
        found = self.status(path)
        return None if found is None or found.kind != "file" else found.size

    def resolve(self, path: str) -> str:
        """Return the absolute path."""
        return _whole(path)

    def status(self, path: str) -> Status | None:
        """Look at the file at `path`."""
        self.look()
        entry = self._names.entries.get(_whole(path))
        if isinstance(entry, StoredFile):
            return _status(entry)
        return None if entry is None else Status(1, 0, "directory", 0, 0)

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, in the order of their making."""
        self.look()
        above = _whole(folder)
        return [os.path.basename(path) for path in self._names.entries if os.path.dirname(path) == above != path]

    def open_to_read(self, path: str) -> InputFile:
        """Open a file."""
        return SimulatedInput(self, self._there(path))

    def open_pipe(self, path: str) -> int:
        """Refuse: there are no pipes."""
        raise OSError(errno.ENXIO, "there are no pipes on a simulated disk", path)

    def create(self, path: str, like: str | None = None) -> OutputFile:
        """Make a new file."""
        if self.kind(path) != "missing":
            raise FileExistsError(errno.EEXIST, "it is there already", like or path)
        return SimulatedOutput(self, self._make(path), path)

    def open_to_append(self, path: str, *, lines: bool = True) -> OutputFile:
        """Open a file at its end; make it if it is missing."""
        file = self._make(path) if self.kind(path) == "missing" else self._there(path)
        return SimulatedOutput(self, file, path, torn=lines and not file.content.endswith(b"\n"))

    def open_to_continue(self, path: str) -> OutputFile:
        """Open a file at its end."""
        return SimulatedOutput(self, self._there(path), path)

    def make_directories(self, path: str) -> None:
        """Make a directory and those above it, each synced in the one above."""
        for folder in _upwards(_whole(path)):
            if self.kind(folder) == "missing":
                self.operate("make", folder)
                self._names.change({folder: "folder"})
                self.sync_directory(os.path.dirname(folder))

    def make_private_directory(self, path: str) -> None:
        """Make a directory; nothing syncs that."""
        if self.kind(path) == "missing":
            if self.kind(os.path.dirname(_whole(path))) != "directory":
                raise FileNotFoundError(errno.ENOENT, "there is no such directory", path)
            self.operate("make", _whole(path))
            self._names.change({_whole(path): "folder"})

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory, if it is there; nothing syncs that."""
        if self.kind(path) == "missing":
            return
        if self.names(path):
            raise OSError(errno.ENOTEMPTY, "this directory is not empty", path)
        self.operate("remove", _whole(path))
        self._names.change({_whole(path): None})

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""
        folder = _whole(path or ".")
        if self.kind(folder) != "directory":
            raise FileNotFoundError(errno.ENOENT, "there is no such directory", path)
        self.operate("sync", folder)
        self._names.sync(folder)

    def rename(self, old: str, new: str) -> None:
        """Rename, then sync the directory: two operations."""
        file, new = self._there(old), _whole(new)
        self.operate("rename", new)
        self._names.change({_whole(old): None, new: file})
        self.sync_directory(os.path.dirname(new))

    def remove(self, path: str) -> None:
        """Remove a file, if it is there; nothing syncs that."""
        if self.kind(path) != "missing":
            self.operate("remove", _whole(path))
            self._names.change({_whole(path): None})

    def _there(self, path: str) -> StoredFile:
        kind = self.kind(path)
        if kind == "missing":
            raise FileNotFoundError(errno.ENOENT, "there is no such file", path)
        entry = self._names.entries[_whole(path)]
        if not isinstance(entry, StoredFile):
            raise IsADirectoryError(errno.EISDIR, "this is a directory, not a file", path)
        return entry

    def _make(self, path: str) -> StoredFile:
        if self.kind(os.path.dirname(_whole(path))) != "directory":
            raise FileNotFoundError(errno.ENOENT, "there is no such directory", path)
        self.operate("create", _whole(path))
        file = self._new(b"")
        self._names.change({_whole(path): file})
        return file

    def _new(self, content: bytes) -> StoredFile:
        self._made += 1
        return StoredFile(self._made, content)


class SimulatedInput(InputFile):
    """Read a file of a simulated disk."""

    def __init__(self, disk: SimulatedDisk, file: StoredFile) -> None:
        self._disk = disk
        self._file = file
        self._offset = 0

    def read_into(self, buffer: bytearray) -> int:
        """Read what is there."""
        self._disk.look()
        found = self._file.content[self._offset : self._offset + len(buffer)]
        buffer[: len(found)] = found
        self._offset += len(found)
        return len(found)

    def seek(self, offset: int) -> None:
        """Go on at byte `offset`."""
        self._offset = offset

    def status(self) -> Status:
        """Look at the open file."""
        self._disk.look()
        return _status(self._file)

    def close(self) -> None:
        """Let go of it."""


class SimulatedOutput(OutputFile):
    """Write to a file of a simulated disk."""

    def __init__(self, disk: SimulatedDisk, file: StoredFile, path: str, *, torn: bool = False) -> None:
        self._disk = disk
        self._file = file
        self._path = _whole(path)
        self._torn = torn and bool(file.content)
        self._unsynced: OSError | None = None

    @property
    def length(self) -> int:
        """Return the bytes in the file."""
        return len(self._file.content)

    def write(self, data: memoryview) -> None:
        """Append `data`, or none of it; but part of it, perhaps, if power is lost."""
        written = b"\n" * self._torn + bytes(data)
        self._disk.look()
        try:
            self._disk.operate("write", self._path)
        except Crash:
            self._file.append(written[: len(written) // 2], self._disk.operations)
            raise
        self._file.append(written, self._disk.operations)
        self._torn = False

    def sync(self) -> None:
        """Make the content durable."""
        if self._unsynced is None:
            try:
                self._disk.operate("sync", self._path)
            except OSError as error:
                self._file.fail_to_sync()
                self._unsynced = error
            else:
                self._file.sync()
                return
        raise SyncFailed.after(self._unsynced, self._path)

    def truncate(self, length: int) -> None:
        """Cut the file, then sync it: two operations."""
        self._disk.operate("truncate", self._path)
        self._file.cut(length, self._disk.operations)
        self._torn = False
        self.sync()

    def close(self) -> None:
        """Let go of it."""


def _status(file: StoredFile) -> Status:
    return Status(1, file.number, "file", len(file.content), file.written)


def _whole(path: str) -> str:
    return os.path.abspath(path)


def _hidden(path: str) -> bool:
    return any(name.startswith(".") for name in path.split(os.sep)[-2:])


def _upwards(path: str) -> list[str]:
    """Return a folder and those above it, the highest first."""
    found = [path]
    while path != os.path.dirname(path):
        path = os.path.dirname(path)
        found.append(path)
    return found[::-1]
