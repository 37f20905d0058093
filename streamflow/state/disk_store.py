"""Where what is kept of each key lies: on the disk, those at hand in memory."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from streamflow.model.arguments import whole_number
from streamflow.model.checkpoint import AS_THEY_ARE
from streamflow.model.errors import FlowError, NotSerialisable
from streamflow.model.interfaces import StatePlace, StateStore
from streamflow.state.encoding import REMEDY, decode, described_key, encode
from streamflow.state.key_form import key_form
from streamflow.state.scratch import Row, Scratch


class _Slot:
    """Be the value of one key in memory, which is as it came first; `number` is its place in the order of keys."""

    __slots__ = ("key", "number", "value")

    def __init__(self, key: Any, number: int, value: Any) -> None:
        self.key = key
        self.number = number
        self.value = value


def _known(key: Any) -> Any:
    """Return `key`, and for NaN always the same object, by which dicts find it."""
    return key if key == key else math.nan


#: Keys with their numbers and values, and keys that are no more.
Unwritten = tuple[list[tuple[Any, int, Any]], list[Any]]


class DiskStore(StateStore):
    """Hold the keys that were used last in memory, `cache` of them, and all others in a scratch database.

    Between two calls of `shed` it holds besides what was brought in meanwhile.
    """

    blocks: ClassVar[bool] = True

    def __init__(self, cache: int, folder: str | None, *, timed: bool) -> None:
        self._cache = cache
        self._timed = timed
        self._scratch = Scratch(folder, timed=timed)
        #: The key that was used longest ago comes first.
        self._hot: OrderedDict[Any, _Slot] = OrderedDict()
        self._unsaved: dict[Any, _Slot] = {}
        #: Keys that may still be on the disk, and are no more.
        self._gone: dict[Any, None] = {}
        self._count = self._next = 0
        #: Whether anything has ever been written.
        self._used = False

    # -- on the loop ----------------------------------------------------------------------------------------------

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key in memory."""
        slot = self._hot.get(key)
        return default if slot is None else slot.value

    def put(self, key: Any, value: Any) -> None:
        """Set the value of a key in memory."""
        slot = self._hot.get(key)
        if slot is None:
            slot = self._hot[key] = _Slot(key, self._new_number(), value)
            self._gone.pop(key, None)  # its row is written over
            self._count += 1
        else:
            slot.value = value
            if self._timed:
                slot.number = self._new_number()
            self._hot.move_to_end(key)
        self._unsaved[slot.key] = slot

    def _new_number(self) -> int:
        self._next += 1
        return self._next

    def delete(self, key: Any) -> None:
        """Forget a key."""
        if self._hot.pop(key, None) is not None:
            self._unsaved.pop(key, None)
            self._count -= 1
            if self._used:
                self._gone[key] = None

    def __len__(self) -> int:
        return self._count

    @property
    def in_memory(self) -> int:
        """Return how many keys are in memory."""
        return len(self._hot)

    @property
    def disk_bytes(self) -> int:
        """Return the size of the database."""
        return self._scratch.bytes

    def missing(self, keys: Iterable[Any]) -> list[Any]:
        """Return those that may be on the disk only."""
        if self._count == len(self._hot):
            return []
        hot, gone = self._hot, self._gone
        return [key for key in dict.fromkeys(keys) if key not in hot and key not in gone]

    def admit(self, found: Sequence[tuple[int, Any, Any]]) -> None:
        """Take what was on the disk."""
        for number, key, value in found:
            key = _known(key)
            self._hot[key] = _Slot(key, number, value)

    def forget(self, before: float, limit: int) -> None:
        """Forget those that were used longest ago; others are forgotten on the disk, to which they go."""
        for _ in range(limit):
            key, slot = next(iter(self._hot.items()), (None, None))
            if slot is None or slot.value[1] > before:
                return
            self.delete(key)

    def forgotten(self, keys: Iterable[Any]) -> None:
        """Count those that are no more; what has changed in memory is newer than what was removed."""
        for key in map(_known, keys):
            if key in self._hot:
                if key not in self._unsaved:
                    self.delete(key)
            elif key not in self._gone:
                self._count -= 1

    def shed(self, limit: int) -> Unwritten | None:
        """Let go of what was used longest ago."""
        rows: list[tuple[Any, int, Any]] = []
        for _ in range(min(limit, len(self._hot) - self._cache)):
            key, slot = self._hot.popitem(last=False)
            if self._unsaved.pop(key, None) is not None:
                rows.append((key, slot.number, slot.value))
        gone = self._taken_gone(limit) if rows or len(self._gone) > self._cache else []
        return (rows, gone) if rows or gone else None

    def unsaved(self, limit: int) -> Unwritten | None:
        """Return what has changed, and hold it as it is."""
        rows: list[tuple[Any, int, Any]] = []
        while self._unsaved and len(rows) < limit:
            key = next(reversed(self._unsaved))
            slot = self._unsaved.pop(key)
            rows.append((key, slot.number, slot.value))
        gone = self._taken_gone(limit)
        return (rows, gone) if rows or gone else None

    def _taken_gone(self, limit: int) -> list[Any]:
        gone: list[Any] = []
        while self._gone and len(gone) < limit:
            gone.append(self._gone.popitem()[0])
        return gone

    # -- on the thread --------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the database."""
        self._scratch.open()

    def fetch(self, keys: Sequence[Any]) -> list[tuple[int, Any, Any]]:
        """Look keys up in the database."""
        return [(number, *decode(data)) for number, data in self._scratch.fetch(keys)]

    def write(self, unwritten: Unwritten) -> None:
        """Put into the database what memory gave up."""
        rows, gone = unwritten
        self._used = True
        self._scratch.write([self._row(*row) for row in rows], gone)

    def _row(self, key: Any, number: int, value: Any) -> Row:
        form = key_form(key)
        try:
            data = encode((key, value))
        except NotSerialisable:
            try:
                encode(value)
            except NotSerialisable as error:
                what = f"the state of key {described_key(key)}: {error}; {REMEDY}"
                raise NotSerialisable(what) from error.__cause__
            raise
        return number, form, data, float(value[1]) if self._timed else 0.0

    def expire(self, before: float, limit: int) -> list[Any]:
        """Remove keys from the database."""
        return [decode(data)[0] for data in self._scratch.expire(before, limit)]

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Read keys and values in their order."""
        return map(decode, self._scratch.in_order())

    def pieces(self) -> Iterator[Any]:
        """Yield pieces as they are written to a checkpoint."""
        return self._scratch.pieces()

    def load(self, piece: Any) -> None:
        """Put the keys of a piece into the database."""
        kind, entries = decode(piece) if isinstance(piece, bytes) else piece
        self._used = True
        if kind == AS_THEY_ARE:
            rows = [self._row(key, self._new_number(), value) for key, value in entries]
        else:
            rows = list(entries)
        self._next = max([self._next, *(row[0] for row in rows)])
        self._count += len(rows)
        self._scratch.take_piece(rows, piece if isinstance(piece, bytes) else None)

    def close(self) -> None:
        """Remove the database."""
        self._scratch.close()


@dataclass(frozen=True)
class OnDisk(StatePlace):
    """Keep state in a scratch file in the folder `path`, and `cache` keys in memory."""

    cache: int = 100_000
    path: str | None = None

    @property
    def label(self) -> str:
        """Return it as it is written."""
        return f"disk_store(cache={self.cache:_})"

    def make(self, *, timed: bool) -> StateStore:
        """Begin with no key."""
        return DiskStore(self.cache, self.path, timed=timed)


def disk_store(*, cache: int = 100_000, path: str | os.PathLike[str] | None = None) -> StatePlace:
    """Keep the state of a keyed operator on the disk, for more keys than memory holds: `cache` keys are in memory.

    `path` is the folder of the scratch file, that of the system by default; the file is gone after the run.
    """
    whole_number("disk_store(cache=...)", cache, 1)
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise FlowError(f"disk_store(path={path!r}): expected the path of a folder")
    return OnDisk(cache, None if path is None else os.path.abspath(path))
