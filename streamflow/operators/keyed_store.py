"""Where what is kept of each key lies: in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from streamflow.model.checkpoint import AS_THEY_ARE, WRITTEN
from streamflow.model.errors import CheckpointMismatch
from streamflow.model.interfaces import StatePlace, StateStore
from streamflow.operators.firing import CELLS_A_CHUNK, known

#: What the first piece begins with of a stage whose state is in a store: its clock, and whether all was told, follow.
CLOCK = "clock"


class KeyedStore(StateStore):
    """Hold one value a key; `timed` ones may lose their oldest key at any time, which costs a plain dict a search."""

    __slots__ = ("_loading", "_timed", "_values", "get", "put")

    def __init__(self, timed: bool = False) -> None:
        self._timed = timed
        self._loading: list[tuple[int, Any, Any]] = []
        self._set(OrderedDict() if timed else {})

    def _set(self, values: dict[Any, Any]) -> None:
        self._values = values
        #: The value of a key, or a default: `get(key, default=None)`.
        self.get: Callable[..., Any] = values.get
        #: Set the value of a key: `put(key, value)`. Neither costs a call of ours for each item.
        self.put: Callable[..., Any] = self._touch if self._timed else values.__setitem__

    def _touch(self, key: Any, value: Any) -> None:
        self._values.pop(key, None)
        self._values[key] = value

    def delete(self, key: Any) -> None:
        """Forget a key, if it is there."""
        self._values.pop(key, None)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Return keys and values, the first that came first."""
        return iter(self._values.items())

    def oldest(self) -> tuple[Any, Any] | None:
        """Return the key that came first, with its value."""
        return next(iter(self._values.items()), None)

    def forget(self, before: float, limit: int) -> None:
        """Forget the oldest."""
        for _ in range(limit):
            oldest = self.oldest()
            if oldest is None or oldest[1][1] > before:
                return
            del self._values[oldest[0]]

    def pieces(self) -> Iterator[Any]:
        """Yield keys and values, copied."""
        rest = iter(self._values.items())
        while some := list(islice(rest, CELLS_A_CHUNK)):
            yield AS_THEY_ARE, tuple(some)

    def load(self, piece: Any) -> None:
        """Take a piece; written ones are put in order when all are there."""
        kind, entries = piece
        if kind == AS_THEY_ARE:
            for key, value in entries:
                self.put(known(key), value)
        else:
            self._loading += entries

    def loaded(self) -> None:
        """Put the keys in order."""
        self._loading.sort(key=lambda entry: entry[0])
        for _, key, value in self._loading:
            self.put(known(key), value)
        self._loading = []

    def sample(self) -> Any:
        """Return the key that came last, with its value."""
        return next(reversed(self._values.items()), None)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class InMemory(StatePlace):
    """Keep state in memory."""

    @property
    def label(self) -> str:
        """Return its short form."""
        return "memory"

    def make(self, *, timed: bool) -> StateStore:
        """Begin with no key."""
        return KeyedStore(timed)


def from_within(chunks: Sequence[Any], now: float) -> tuple[float, list[Any]]:
    """Return the clock, and the pieces for a store, of what a keyed operator kept within a fused stage."""
    pieces: list[Any] = []
    for chunk in chunks:
        if chunk and not isinstance(chunk[0], tuple):
            now = max(now, chunk[0])  # an operator with a ttl begins with its clock
            continue
        entries = [entry if len(entry) == 2 else (entry[0], (entry[1], now - entry[2])) for entry in chunk]
        pieces.append((AS_THEY_ARE, tuple(entries)))
    return now, pieces


def refuse_apart(chunk: Any) -> None:
    """Raise CheckpointMismatch if `chunk` is of a stage of its own: its state was in a store."""
    if isinstance(chunk, bytes) or (chunk and chunk[0] in (CLOCK, AS_THEY_ARE, WRITTEN)):
        raise CheckpointMismatch(
            "the checkpoint holds keys of a stage that had store= or on=, and has neither now: give one of them back, "
            "or begin anew with resume='never'"
        )
