"""What a simulated disk holds: the content of files and their names, both as written and as synced."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

#: What a loss of power leaves: everything; only what was synced; or some of the rest, the last of it damaged.
Loss = Literal["keep all", "drop unsynced", "torn tail"]
LOSSES: tuple[Loss, ...] = ("keep all", "drop unsynced", "torn tail")
#: Bytes that a disk writes at once.
BLOCK = 512


class StoredFile:
    """Be the content of one file, whatever its names: as programs see it, and as it is on the platter."""

    def __init__(self, number: int, content: bytes | bytearray = b"", written: int = 0) -> None:
        self.number = number
        self.content = bytearray(content)
        #: When it was last written to, by the disk's own count.
        self.written = written
        self._durable = bytearray(content)
        self._durable_written = written
        #: What was done since the last sync: bytes that were appended, or a length that it was cut to.
        self._unsynced: list[bytes | int] = []

    def append(self, data: bytes, now: int) -> None:
        """Write at the end."""
        self.content += data
        self.written = now
        self._unsynced.append(data)

    def cut(self, length: int, now: int) -> None:
        """Cut to `length` bytes; fill up with zeros if it is shorter."""
        _cut(self.content, length)
        self.written = now
        self._unsynced.append(length)

    def sync(self) -> None:
        """Bring everything to the platter."""
        for change in self._unsynced:
            _apply(change, self._durable)
        self._unsynced.clear()
        self._durable_written = self.written

    def fail_to_sync(self) -> None:
        """Lose what was to be synced, as Linux does: it can still be read, but the next sync thinks it is done."""
        self._unsynced = [change if isinstance(change, int) else bytes(len(change)) for change in self._unsynced]

    def after(self, loss: Loss, chance: random.Random) -> StoredFile:
        """Return the file as it is found after a loss of power."""
        if loss == "keep all":
            return StoredFile(self.number, self.content, self.written)
        found = bytearray(self._durable)
        if loss == "torn tail":
            self._tear(found, chance)
        written = self.written if found == self.content else self._durable_written
        return StoredFile(self.number, found, written)

    def _tear(self, found: bytearray, chance: random.Random) -> None:
        """Let some of what was done since the last sync have happened, the last of it in part."""
        whole = chance.randrange(len(self._unsynced) + 1)
        for change in self._unsynced[:whole]:
            _apply(change, found)
        torn = self._unsynced[whole] if whole < len(self._unsynced) else 0
        if isinstance(torn, bytes):
            kept = chance.randrange(len(torn) + 1)
            found += torn[:kept]
            rest = min(len(torn) - kept, BLOCK - len(found) % BLOCK)
            found += chance.choice((b"", bytes(rest), chance.randbytes(rest)))


def _apply(change: bytes | int, content: bytearray) -> None:
    if isinstance(change, int):
        _cut(content, change)
    else:
        content += change


def _cut(content: bytearray, length: int) -> None:
    del content[length:]
    content += bytes(length - len(content))


#: What a name stands for.
Entry = StoredFile | Literal["folder"]


class _Renaming(NamedTuple):
    """Be one change of names, which happens whole or not at all, and the folders that it happens in."""

    names: Mapping[str, Entry | None]
    folders: frozenset[str]


class Names:
    """Be the names of a disk: as programs see them, and as they are on the platter."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = dict(entries)
        self._durable = dict(entries)
        self._unsynced: list[_Renaming] = []

    def change(self, names: Mapping[str, Entry | None]) -> None:
        """Let names stand for something else, or for nothing."""
        self._unsynced.append(_Renaming(names, frozenset(map(os.path.dirname, names))))
        _rename(names, self.entries)

    def sync(self, folder: str) -> None:
        """Bring the names in `folder` to the platter; those in others may wait."""
        left = []
        for one in self._unsynced:
            if folder in one.folders:
                _rename(one.names, self._durable)
            else:
                left.append(one)
        self._unsynced = left

    def after(self, loss: Loss, chance: random.Random, files: Callable[[StoredFile], StoredFile]) -> Names:
        """Return the names as they are found after a loss of power; `files` finds what they stand for."""
        found = dict(self.entries) if loss == "keep all" else dict(self._durable)
        if loss == "torn tail":
            for one in self._unsynced[: chance.randrange(len(self._unsynced) + 1)]:
                _rename(one.names, found)
        reachable = dict(_reachable(found))
        return Names({path: files(one) if isinstance(one, StoredFile) else one for path, one in reachable.items()})


def _rename(names: Mapping[str, Entry | None], entries: dict[str, Entry]) -> None:
    for path, entry in names.items():
        if entry is None:
            entries.pop(path, None)
        else:
            entries[path] = entry


def _reachable(entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry]]:
    """Yield the entries in folders that are there, in the order of their paths."""
    found = {os.sep}
    for path in sorted(entries):
        if path == os.sep or os.path.dirname(path) in found:
            if entries[path] == "folder":
                found.add(path)
            yield path, entries[path]
