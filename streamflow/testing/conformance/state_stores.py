"""The contract of a state store, as tests: against a dict, through any sequence of calls, and through a checkpoint."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from itertools import islice
from random import Random
from typing import Any

from streamflow.model.checkpoint import WRITTEN
from streamflow.model.interfaces import StateStore
from streamflow.state.encoding import decode
from streamflow.testing.conformance.suite import Suite, require_equal
from streamflow.testing.leaks import check_leaks

#: Keys of which some are equal, as dicts see it.
KEYS = ("a", "b", "", 1, True, 1.0, 2, 0, False, -0.0, None, b"a", ("a", 1), ("a", True), 10**30, 0.1, frozenset("xy"))


class StateStoreSuite(Suite):
    """Hold a `StateStore` to its contract: override `make_store`.

    ::

        class TestMemory(StateStoreSuite):
            def make_store(self, *, timed):
                return KeyedStore(timed)
    """

    #: How many random sequences of calls are tried, and how long each is.
    sequences: int = 30
    length: int = 120

    @abstractmethod
    def make_store(self, *, timed: bool) -> StateStore:
        """Return a new store, not open yet; the fewer keys it holds in memory, the more is tried."""

    def test_it_is_a_dict_in_the_order_in_which_keys_came(self) -> None:
        """Compare with a dict, after any puts, deletes, sheds and saves."""
        for seed in range(self.sequences):
            with _Opened(self.make_store(timed=False)) as store:
                model: dict[Any, Any] = {}
                random = Random(seed)
                for step in range(self.length):
                    key, what = random.choice(KEYS), random.random()
                    bring_in(store, [key])
                    require_equal(store.get(key, "none"), model.get(key, "none"), f"get({key!r}), seed {seed}")
                    if what < 0.6:
                        store.put(key, [step])
                        model[key] = [step]
                    elif what < 0.8:
                        store.delete(key)
                        model.pop(key, None)
                    elif what < 0.9:
                        save(store)
                    shed(store)
                    require_equal(len(store), len(model), f"the number of keys, seed {seed}")
                save(store)
                require_equal(_told(store.items()), _told(model.items()), f"items(), seed {seed}")

    def test_where_timed_those_put_last_come_last_and_old_ones_are_forgotten(self) -> None:
        """Compare with a dict from which what is too old was removed."""
        for seed in range(self.sequences):
            with _Opened(self.make_store(timed=True)) as store:
                model: dict[Any, Any] = {}
                random, now = Random(seed), 0.0
                for step in range(self.length):
                    now += random.choice((0.0, 1.0, 5.0))
                    key = random.choice(KEYS)
                    bring_in(store, [key])
                    found, expected = store.get(key), model.get(key)
                    if found is not None or (expected is not None and expected[1] > now - 20):
                        require_equal(found, expected, f"get({key!r}), seed {seed}")  # else it may be gone, or not
                    store.put(key, (step, now))
                    model.pop(key, None)
                    model[key] = (step, now)
                    shed(store)
                    if random.random() < 0.3:
                        store.forget(now - 20, 50)
                        store.forgotten(store.expire(now - 20, 50))
                for _ in range(2):
                    save(store)
                    store.forget(now - 20, 1000)
                    store.forgotten(store.expire(now - 20, 1000))
                model = {key: value for key, value in model.items() if value[1] > now - 20}
                require_equal([v for _, v in store.items()], list(model.values()), f"items(), seed {seed}")
                require_equal(len(store), len(model), f"the number of keys, seed {seed}")

    def test_what_is_loaded_goes_on_as_it_was(self) -> None:
        """Go through a checkpoint in the middle, twice, and require the same as without."""
        for timed in (False, True):
            with _Opened(self.make_store(timed=timed)) as unbroken:
                stores = [unbroken]
                try:
                    for begin in range(0, 90, 30):
                        for store in stores[-1:] if begin == 0 else (unbroken, stores[-1]):
                            _fill(store, range(begin, begin + 30), timed=timed)
                            save(store)
                        stores.append(_Opened(self.make_store(timed=timed)).store)
                        load(stores[-1], list(stores[-2].pieces()))
                        save(stores[-1])
                        require_equal(_told(stores[-1].items()), _told(unbroken.items()), f"timed={timed}")
                        require_equal(len(stores[-1]), len(unbroken), f"the number of keys, timed={timed}")
                finally:
                    for store in stores[1:]:
                        store.close()

    def test_it_leaves_nothing_behind(self) -> None:
        """Open, fill and close it."""

        async def main() -> None:
            with check_leaks(*self.directories):
                store = self.make_store(timed=False)
                store.open()
                _fill(store, range(100), timed=False)
                save(store)
                list(islice(store.items(), 3))
                list(store.pieces())
                store.close()
                self.make_store(timed=True).close()

        self.run(main)


class _Opened:
    def __init__(self, store: StateStore) -> None:
        self.store = store
        store.open()

    def __enter__(self) -> StateStore:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


def bring_in(store: StateStore, keys: Iterable[Any]) -> None:
    """Do what the engine does before keys are read or changed."""
    missing = store.missing(keys)
    if missing:
        store.admit(store.fetch(missing))


def shed(store: StateStore) -> None:
    """Do what it does between batches."""
    _write(store, store.shed)


def save(store: StateStore) -> None:
    """Do what it does before it reads all."""
    shed(store)
    _write(store, store.unsaved)


def _write(store: StateStore, give: Callable[[int], Any]) -> None:
    while (unwritten := give(5)) is not None:
        store.write(unwritten)


def load(store: StateStore, pieces: Iterable[Any]) -> None:
    """Do what it does where a run goes on."""
    for piece in pieces:
        kind, entries = decode(piece) if isinstance(piece, bytes) else piece
        if kind == WRITTEN and not store.blocks:
            piece = kind, [(number, *decode(data)) for number, _, data, _ in entries]
        store.load(piece)
    store.loaded()


def _fill(store: StateStore, numbers: Iterable[int], *, timed: bool) -> None:
    for number in numbers:
        key = f"key {number * 7 % 50}"
        bring_in(store, [key])
        store.put(key, (number, float(number)) if timed else number)
        shed(store)


def _told(items: Iterable[tuple[Any, Any]]) -> list[Any]:
    return [(type(key), key, value) for key, value in items]
