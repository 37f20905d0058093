"""The state of session windows: they grow, and grow together."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import Any

from streamflow.model.windows import EarlyResult, WindowResult
from streamflow.operators.firing import Windows, copied, known, pieces
from streamflow.operators.recipe import Recipe


class Grown:
    """Hold one session: the times of its first and last items, and `serial`, by which it was begun among all."""

    __slots__ = ("cell", "changed", "first", "key", "last", "open", "serial")

    def __init__(self, key: Any, serial: int, first: float, last: float, cell: list[Any]) -> None:
        self.key, self.serial, self.first, self.last, self.cell = key, serial, first, last, cell
        self.open = self.changed = True


class Sessions(Windows):
    """Hold the open sessions of each key.

    Each stands in a heap by an end that it had once; when that comes up, it is put back if it has grown meanwhile.
    """

    __slots__ = ("_ends", "_serial", "gap", "recipe", "sessions")

    def __init__(self, gap: float, recipe: Recipe, every: float | None) -> None:
        super().__init__(every)
        self.gap, self.recipe = gap, recipe
        self.sessions: dict[Any, list[Grown]] = {}
        self._ends: list[tuple[float, int, Grown]] = []
        self._serial = 0

    @property
    def key_count(self) -> int:  # type: ignore[override]  # worked out
        """Return the number of keys with an open session."""
        return len(self.sessions)

    def sample(self) -> Any:
        """Return an open session."""
        session = self._ends[-1][2] if self._ends else None
        return None if session is None else (session.key, session.cell)

    def put(self, time: float, key: Any, values: Sequence[Any]) -> bool:
        """Put an item into the session of its key that it falls into, or which it begins; False if it is late."""
        key = known(key)
        here = self.sessions.get(key, [])
        if len(here) == 1 and here[0].first <= time < here[0].last + self.gap:  # which is so for most
            self.recipe.update(here[0].cell, values)
            here[0].last, here[0].changed = max(here[0].last, time), True
            return True
        joined = [one for one in here if time < one.last + self.gap and one.first < time + self.gap]
        if not joined:
            if time + self.gap <= self.clock.watermark:
                return False
            self._begin(Grown(key, self._serial, time, time, self.recipe.begin(values)))
            self._serial += 1
            return True
        joined.sort(key=lambda one: one.serial)
        eldest, *others = joined
        if others:
            # On copies: if the item fails, they are as they were.
            cell = copied(eldest.cell)
            for one in others:
                cell = self.recipe.merge(cell, copied(one.cell))
            self.recipe.update(cell, values)
            eldest.cell = cell
            self._join(eldest, others)
        else:
            self.recipe.update(eldest.cell, values)
        eldest.first, eldest.last = min(eldest.first, time), max(eldest.last, time)
        eldest.changed = True
        return True

    def _begin(self, session: Grown) -> None:
        self.sessions.setdefault(session.key, []).append(session)
        end = session.last + self.gap
        heapq.heappush(self._ends, (end, session.serial, session))
        self.opened(end)

    def _join(self, eldest: Grown, others: list[Grown]) -> None:
        for one in others:
            one.open = False
            self.sessions[eldest.key].remove(one)
            eldest.first, eldest.last = min(eldest.first, one.first), max(eldest.last, one.last)

    def close(self, moment: float) -> None:
        """Give the results of the sessions that end by `moment`, by their ends and as they were begun."""
        closed: list[Grown] = []
        while self._ends and self._ends[0][0] <= moment:
            end, serial, session = heapq.heappop(self._ends)
            grown = session.last + self.gap
            if session.open and grown > end:
                heapq.heappush(self._ends, (grown, serial, session))
            elif session.open:
                self._forget(session)
                closed.append(session)
        if closed:
            self.let_out(None, (self._result(WindowResult, one) for one in closed))

    def _forget(self, session: Grown) -> None:
        here = self.sessions[session.key]
        here.remove(session)
        if not here:
            del self.sessions[session.key]

    def _result(self, kind: type[WindowResult], session: Grown) -> WindowResult:
        return kind(session.key, float(session.first), session.last + self.gap, self.recipe.value(session.cell))

    def give_early(self) -> None:
        """Give the results of those that have changed, by their ends and as they were begun."""
        changed = [one for one in self._open() if one.changed]
        changed.sort(key=lambda one: (one.last, one.serial))
        self.let_out(self.boundary, [self._result(EarlyResult, one) for one in changed])
        for one in changed:
            one.changed = False

    def _open(self) -> Iterator[Grown]:
        return (one for here in self.sessions.values() for one in here)

    def nearest(self) -> float:
        """Return an end before which none comes."""
        while self._ends and not self._ends[0][2].open:
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else math.inf

    def chunks(self) -> Iterator[Any]:
        """Yield the clock, then the sessions as they were begun."""
        yield ("time", self.clock.highest, self.boundary, self._serial)
        for some in pieces(sorted(self._open(), key=lambda one: one.serial)):
            cells = ((one.key, one.cell) for one in some)
            yield tuple(
                (key, one.serial, one.first, one.last, one.changed, cell)
                for one, (key, cell) in zip(some, cells, strict=True)
            )

    def restore_chunk(self, chunk: Any) -> None:
        """Take one of those pieces."""
        if chunk and chunk[0] == "time":
            _, highest, self.boundary, self._serial = chunk
            self.clock.highest = max(self.clock.highest, highest)
            return
        for key, serial, first, last, changed, cell in chunk:
            session = Grown(known(key), serial, first, last, cell)
            session.changed = changed
            self._begin(session)
