"""What a processor remembers of its keys: a value, and the timers that are set. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Final, NamedTuple

from streamflow.model.interfaces import State
from streamflow.model.processing import Timer
from streamflow.operators.firing import known, pieces
from streamflow.operators.keyed_store import KeyedStore

NO_VALUE: Final = object()
#: Places in the queue of timers that may be void before it is made anew, besides as many as there are valid ones.
VOID = 1000
#: Keys in one piece of a snapshot: it is encoded within a turn.
KEYS_A_CHUNK = 1000


class Entry(NamedTuple):
    """Hold what is known of one key: its number, its value if it has one, and its timers, the earliest first."""

    number: int
    value: Any
    times: tuple[float, ...]


class KeyedTimers(State):
    """Hold a value and timers a key; a key that has neither is forgotten.

    Timers are due in the order of their times, at the same time in the order in which their keys came. The queue has
    one valid place for each key that has timers, at its earliest or before: what is set and cancelled with each item
    costs no place each time.
    """

    __slots__ = ("_next", "_places", "_queue", "store")

    def __init__(self) -> None:
        self.store = KeyedStore()
        self._next = 0
        self._queue: list[tuple[float, int, Any]] = []
        #: The valid place of each number.
        self._places: dict[int, tuple[float, Any]] = {}

    # -- one key --------------------------------------------------------------------------------------------------

    def value(self, key: Any) -> Any:
        """Return the value of `key`, or `NO_VALUE`."""
        entry = self.store.get(key)
        return NO_VALUE if entry is None else entry.value

    def put(self, key: Any, value: Any) -> None:
        """Set the value of `key`; `NO_VALUE` takes it away."""
        entry = self.store.get(key)
        if entry is not None or value is not NO_VALUE:
            number, _, times = entry or self._fresh()
            self._keep(key, Entry(number, value, times))

    def add(self, key: Any, at: float) -> None:
        """Set a timer, once however often it is set."""
        entry = self.store.get(key) or self._fresh()
        number, value, times = entry
        place = bisect_left(times, at)
        if place == len(times) or times[place] != at:
            self._keep(key, Entry(number, value, (*times[:place], at, *times[place:])))
            self._queue_up(key, number, at)

    def remove(self, key: Any, at: float) -> None:
        """Take a timer back, if it is set."""
        entry = self.store.get(key)
        if entry is not None:
            number, value, times = entry
            place = bisect_left(times, at)
            if place < len(times) and times[place] == at:
                self._keep(key, Entry(number, value, times[:place] + times[place + 1 :]))

    def _fresh(self) -> Entry:
        self._next += 1
        return Entry(self._next, NO_VALUE, ())

    def _keep(self, key: Any, entry: Entry) -> None:
        if entry.value is NO_VALUE and not entry.times:
            self.store.delete(key)
            self._places.pop(entry.number, None)
        else:
            self.store.put(key, entry)

    # -- time -----------------------------------------------------------------------------------------------------

    @property
    def earliest(self) -> float:
        """Return a time before which no timer is due; infinity if there is none."""
        return self._queue[0][0] if self._queue else math.inf

    def due(self, now: float) -> Timer | None:
        """Take out the next timer that is due by `now`, if there is one."""
        queue, places = self._queue, self._places
        while queue and queue[0][0] <= now:
            at, number, key = heappop(queue)
            if number not in places or places[number][0] != at:
                continue  # void
            del places[number]
            entry = self.store.get(key)
            times = entry.times
            is_due = bool(times) and times[0] == at
            if is_due:
                times = times[1:]
                self._keep(key, entry._replace(times=times))
            if times:
                self._queue_up(key, number, times[0])
            if is_due:
                return Timer(key, at)
        return None

    def _queue_up(self, key: Any, number: int, at: float) -> None:
        place = self._places.get(number)
        if place is not None and place[0] <= at:
            return
        self._places[number] = at, key
        heappush(self._queue, (at, number, key))
        if len(self._queue) > 2 * len(self._places) + VOID:
            self._queue = [(at, number, key) for number, (at, key) in self._places.items()]
            heapify(self._queue)

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def snapshot(self) -> Any:
        """Return all pieces."""
        return tuple(self.chunks())

    def restore(self, snapshot: Any) -> None:
        """Take all pieces."""
        for chunk in snapshot:
            self.restore_chunk(chunk)

    def chunks(self) -> Iterator[Any]:
        """Yield keys, the first that came first, with their timers and, where there is one, a value."""
        for some in pieces(self.store.items(), KEYS_A_CHUNK):
            yield tuple(
                (key, entry.times) if entry.value is NO_VALUE else (key, entry.times, entry.value)
                for key, entry in some
            )

    def restore_chunk(self, chunk: Any) -> None:
        """Take one of those pieces."""
        for key, times, *value in chunk:
            self.take_over(known(key), times, *value)

    def take_over(self, key: Any, times: Any, value: Any = NO_VALUE) -> None:
        """Take what a checkpoint held of `key`, which is none of those that are here."""
        entry = Entry(self._fresh().number, value, tuple(times))
        self._keep(key, entry)
        if entry.times:
            self._queue_up(key, entry.number, entry.times[0])
