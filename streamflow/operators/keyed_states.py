"""What the operators on keys remember that know no windows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from streamflow.model.windows import Keyed
from streamflow.operators.firing import Firing, Timed, copied, known, pieces
from streamflow.operators.keyed_store import KeyedStore, refuse_apart
from streamflow.operators.recipe import Recipe


class Kept(Timed):
    """Hold something for each key."""

    __slots__ = ("store",)

    def __init__(self, *, timed: bool = False) -> None:
        super().__init__()
        self.store = KeyedStore(timed)

    @property
    def key_count(self) -> int:  # type: ignore[override]  # worked out
        """Return the number of keys."""
        return len(self.store)

    def sample(self) -> Any:
        """Return the key that came last, with what it has."""
        return self.store.sample()


class KeyedValues(Kept):
    """Hold the value that the fold of each key has reached."""

    __slots__ = ("get", "initial", "put")

    def __init__(self, initial: Any) -> None:
        super().__init__()
        self.get, self.put = self.store.get, self.store.put
        self.initial = initial

    def begin(self, key: Any) -> Any:
        """Return what `key`, which was not found as it is, has or begins with; keys do not share it."""
        found = self.get(known(key), self)
        return copied(self.initial) if found is self else found

    def step(self, key: Any, call: Callable[[Any, Any], Any], item: Any) -> Keyed:
        """Take an item of `key`."""
        key = known(key)
        value = call(self.begin(key), item)
        self.put(key, value)
        return Keyed(key, value)

    def snapshot(self) -> Any:
        """Return all pieces."""
        return tuple(self.chunks())

    def restore(self, snapshot: Any) -> None:
        """Take all pieces."""
        for chunk in snapshot:
            self.restore_chunk(chunk)

    def chunks(self) -> Iterator[Any]:
        """Yield keys and values."""
        yield from entries(self.store)

    def restore_chunk(self, chunk: Any) -> None:
        """Take one of those pieces."""
        take_back(self.store, chunk)


class KeyedCells(Firing):
    """Hold the cell of each key, to be told at the end."""

    __slots__ = ("get", "put", "recipe", "store")

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.store = KeyedStore()
        self.get, self.put = self.store.get, self.store.put

    @property
    def key_count(self) -> int:  # type: ignore[override]  # worked out
        """Return the number of keys."""
        return len(self.store)

    def sample(self) -> Any:
        """Return the key that came last, with what it has."""
        return self.store.sample()

    def fold(self, key: Any, values: Sequence[Any]) -> None:
        """Take an item."""
        key = known(key)
        cell = self.get(key)
        if cell is None:
            cell = self.recipe.begin(values)
        else:
            self.recipe.update(cell, values)
        self.put(key, cell)

    def fire(self) -> None:
        """Do nothing: nothing is due before the end."""

    def end(self) -> None:
        """Tell what every key has come to, the first that came first."""
        store, value = self.store, self.recipe.value
        self.store = KeyedStore()
        self.get, self.put = self.store.get, self.store.put
        if len(store):
            self.let_out(None, (Keyed(key, value(cell)) for key, cell in store.items()))

    def chunks(self) -> Iterator[Any]:
        """Yield keys and cells."""
        yield from entries(self.store)

    def restore_chunk(self, chunk: Any) -> None:
        """Take one of those pieces."""
        take_back(self.store, chunk)


class Remembered(Kept):
    """Hold what a user's function remembers of each key, and until when: those touched last come last.

    With `ttl` a key is forgotten when it was not touched for so long, by event time or by the clock of the run.
    """

    __slots__ = ("by_event_time", "initial", "label", "run_time", "ttl")

    def __init__(self, initial: Any, ttl: float | None, by_event_time: bool, label: str) -> None:
        super().__init__(timed=ttl is not None)
        self.initial, self.ttl, self.by_event_time, self.label = initial, ttl, by_event_time, label
        #: The run's clock, which the engine sets.
        self.run_time: Callable[[], float] = time.monotonic

    def _now(self) -> float:
        if self.ttl is None:
            return 0.0
        return self.clock.highest if self.by_event_time else self.run_time()

    def recall(self, key: Any) -> Any:
        """Return what is remembered of `key`, or what a key begins with."""
        entry = self.store.get(known(key))
        if entry is None or self._over(entry[1]):
            return copied(self.initial)
        return entry[0]

    def _over(self, touched: float) -> bool:
        return self.ttl is not None and touched + self.ttl <= self._now()

    def keep(self, key: Any, given: Any) -> Any:
        """Remember the first of the two values that the user's function gave, and return the second."""
        if not isinstance(given, tuple) or len(given) != 2:
            raise TypeError(f"{self.label}: expected (state, result) of the function, it gave {type(given).__name__}")
        state, result = given
        key = known(key)
        if self.ttl is not None:
            self.store.delete(key)
            now = self._now()
            if state is not None:
                self.store.put(key, (state, now))
            self._forget(now - self.ttl)
        elif state is not None:
            self.store.put(key, (state, 0.0))
        else:
            self.store.delete(key)
        return result

    def _forget(self, before: float) -> None:
        """Forget keys that were not touched since: two at the most, so that no item pays for many."""
        for _ in range(2):
            oldest = self.store.oldest()
            if oldest is None or oldest[1][1] > before:
                return
            self.store.delete(oldest[0])

    def snapshot(self) -> Any:
        """Return all pieces."""
        return tuple(self.chunks())

    def restore(self, snapshot: Any) -> None:
        """Take all pieces."""
        for chunk in snapshot:
            self.restore_chunk(chunk)

    def chunks(self) -> Iterator[Any]:
        """Yield the clock, then keys and states, and how long ago each was touched."""
        yield (self.clock.highest,)
        now = self._now()
        for some in pieces(self.store.items()):
            yield tuple((key, state, now - touched) for key, (state, touched) in some)

    def restore_chunk(self, chunk: Any) -> None:
        """Take one of those pieces."""
        refuse_apart(chunk)
        if chunk and not isinstance(chunk[0], tuple):
            self.clock.highest = max(self.clock.highest, chunk[0])
            return
        now = self._now()
        for key, state, age in chunk:
            touched = now - age if math.isfinite(now) else now
            self.store.put(known(key), (state, touched))


def entries(store: KeyedStore) -> Iterator[tuple[Any, ...]]:
    """Yield keys and what is kept of them, in pieces."""
    for some in pieces(store.items()):
        yield tuple(some)


def take_back(store: KeyedStore, chunk: Any) -> None:
    """Put one of those pieces into a store again."""
    refuse_apart(chunk)
    for key, kept in chunk:
        store.put(known(key), kept)
