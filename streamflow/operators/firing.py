"""What the states of keyed operators share whose results leave when event time has come far enough, not item by item."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import islice
from typing import Any

from streamflow.model.interfaces import State
from streamflow.model.positions import Stamp
from streamflow.operators.event_time import Clock

#: Cells in one piece of a snapshot: it is encoded within a turn.
CELLS_A_CHUNK = 2000
_ATOMS = frozenset([int, float, str, bytes, bool, type(None), complex])


class Timed(State):
    """Go by the event time of the clock that the stage has, which sets `clock`."""

    __slots__ = ("clock",)

    def __init__(self) -> None:
        self.clock = Clock()


class Firing(Timed):
    """Hold what was folded, and in `waiting` the results that are due, which the stage hands on piece by piece.

    `due` is the highest event time from which `fire` has something to do.
    """

    __slots__ = ("due", "waiting")

    def __init__(self) -> None:
        super().__init__()
        self.due = math.inf
        #: Pairs of the time at which results are due and an iterator of them.
        self.waiting: deque[tuple[float, Iterator[Any]]] = deque()

    @abstractmethod
    def fire(self) -> None:
        """Put in `waiting` what the clock has made due, and set `due` anew."""

    @abstractmethod
    def end(self) -> None:
        """Put in `waiting` all that is left: the input has ended well."""

    def let_out(self, moment: float, results: Iterable[Any]) -> None:
        """Have `results` leave, after those that wait already."""
        self.waiting.append((moment, iter(results)))

    def take(self, limit: int) -> list[tuple[float, Any]]:
        """Return up to `limit` results that wait, each with the time at which it was due."""
        taken: list[tuple[float, Any]] = []
        while self.waiting and len(taken) < limit:
            moment, results = self.waiting[0]
            taken += [(moment, result) for result in islice(results, limit - len(taken))]
            if len(taken) < limit:
                self.waiting.popleft()
        return taken

    def stamp(self, moment: float, result: Any) -> Stamp | None:
        """Return the time that travels with a result which was due at `moment`: the last one in its window."""
        end = getattr(result, "end", math.inf)
        return Stamp(before(end), before(moment), None) if end != math.inf else None

    def snapshot(self) -> Any:
        """Return all pieces."""
        return tuple(self.chunks())

    def restore(self, snapshot: Any) -> None:
        """Take all pieces."""
        for chunk in snapshot:
            self.restore_chunk(chunk)


def reach(end: float, lateness: float) -> float:
    """Return the least highest time with which a clock of that lateness has its watermark at `end`, to the last bit."""
    highest = end + lateness
    while highest - lateness >= end:
        highest = math.nextafter(highest, -math.inf)
    while highest - lateness < end:
        highest = math.nextafter(highest, math.inf)
    return highest


def before(moment: float) -> float:
    """Return the last time before `moment`."""
    return math.nextafter(moment, -math.inf)


def copied(slot: Any) -> Any:
    """Return a copy of plain data that shares nothing which can be changed."""
    kind = slot.__class__
    if kind in _ATOMS:
        return slot
    if kind is list:
        return [copied(one) for one in slot]
    if kind is dict:
        return {key: copied(one) for key, one in slot.items()}
    if kind is tuple:
        return tuple(copied(one) for one in slot)
    return deepcopy(slot)


def pieces(cells: Iterable[Any]) -> Iterator[list[Any]]:
    """Cut `cells` into lists of at most `CELLS_A_CHUNK`."""
    rest = iter(cells)
    while piece := list(islice(rest, CELLS_A_CHUNK)):
        yield piece
