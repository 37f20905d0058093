"""What the states of keyed operators share whose results leave when event time has come far enough."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import islice
from typing import Any

from streamflow.model.errors import NotSerialisable
from streamflow.model.interfaces import State
from streamflow.model.positions import Stamp
from streamflow.operators.event_time import Clock

#: Cells in one piece of a snapshot: encoded within a turn, and so few that what a piece is made of has gone before the
#: garbage collector would look at all that there is.
CELLS_A_CHUNK = 500
#: Results that are made between two looks at the clock.
DUE_AT_ONCE = 64
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
        #: Pairs of the time at which results are due (None: the end of the window of each), and these, piece by piece.
        self.waiting: deque[tuple[float | None, Iterator[list[Any]]]] = deque()

    @abstractmethod
    def fire(self) -> None:
        """Put in `waiting` what the clock has made due, and set `due` anew."""

    @abstractmethod
    def end(self) -> None:
        """Put in `waiting` all that is left: the input has ended well."""

    def let_out(self, moment: float | None, results: Iterable[Any]) -> None:
        """Have `results` leave, after those that wait already."""
        self.waiting.append((moment, pieces(results, DUE_AT_ONCE)))

    def give(self) -> tuple[float | None, list[Any]]:
        """Return the next few results that wait, none if there are no more, and the time at which they were due."""
        while self.waiting:
            moment, results = self.waiting[0]
            for piece in results:
                return moment, piece
            self.waiting.popleft()
        return None, []

    def stamp(self, moment: float | None, result: Any) -> Stamp | None:
        """Return the time that travels with a result which was due at `moment`: the last one in its window."""
        end = getattr(result, "end", math.inf)
        return Stamp(before(end), before(end if moment is None else moment), None) if end != math.inf else None

    def snapshot(self) -> Any:
        """Return all pieces."""
        return tuple(self.chunks())

    def restore(self, snapshot: Any) -> None:
        """Take all pieces."""
        for chunk in snapshot:
            self.restore_chunk(chunk)


class Windows(Firing):
    """Hold windows of which those that have changed are told each `every` of event time, and all when they end."""

    __slots__ = ("boundary", "every")

    def __init__(self, every: float | None) -> None:
        super().__init__()
        self.every = every
        #: When early results are due next, if anything is there that could give one.
        self.boundary = math.inf

    @abstractmethod
    def close(self, moment: float) -> None:
        """Put in `waiting` the results of what ends by `moment`, in order, and forget it."""

    @abstractmethod
    def give_early(self) -> None:
        """Put in `waiting` the results of what has changed and is open."""

    @abstractmethod
    def nearest(self) -> float:
        """Return the end of the window that ends next; never, if there is none."""

    def fire(self) -> None:
        """Close what ends by the watermark; before that give what is due early, each at its time."""
        watermark = self.clock.watermark
        if self.boundary <= watermark:
            self.close(self.boundary)
            self.give_early()
            self.boundary = self._next_boundary()
        self.close(watermark)
        self.find_due()

    def end(self) -> None:
        """Close everything."""
        self.close(math.inf)
        self.find_due()

    def opened(self, end: float) -> None:
        """Take note that there is a window which ends at `end`."""
        if self.every is not None and self.boundary == math.inf:
            self.boundary = self._next_boundary()
        self.due = min(self.due, reach(min(end, self.boundary), self.clock.lateness))

    def _next_boundary(self) -> float:
        assert self.every is not None
        return (self.clock.watermark // self.every + 1) * self.every

    def find_due(self) -> None:
        """Work out anew from when there is something to do."""
        nearest = self.nearest()
        if nearest == math.inf:
            self.due = self.boundary = math.inf
        else:
            self.due = reach(min(nearest, self.boundary), self.clock.lateness)


def reach(end: float, lateness: float) -> float:
    """Return the least highest time with which a clock of that lateness has its watermark at `end`, to the last bit."""
    highest = end + lateness
    while highest - lateness >= end:
        highest = math.nextafter(highest, -math.inf)
    while highest - lateness < end:
        highest = math.nextafter(highest, math.inf)
    return highest


def known(key: Any) -> Any:
    """Return `key`, and for NaN always the same object: each other NaN would be a key of its own."""
    return key if key == key else math.nan


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
    try:
        return deepcopy(slot)
    except Exception as error:
        raise NotSerialisable(f"{type(slot).__name__}: {error}; keep plain values in state") from error


def kept_by_key(piece: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the user's keys in a piece of a keyed operator's snapshot, each with what is kept of it."""
    head, *rest = piece or [None]
    if head in ("open", "closed"):
        yield from rest[1]
    elif head == "cells":
        yield from rest
    elif isinstance(head, tuple):
        for key, *kept in piece:
            yield key, kept[0] if len(kept) == 1 else tuple(kept)


def pieces(cells: Iterable[Any], size: int = 0) -> Iterator[list[Any]]:
    """Cut `cells` into lists of at most `size`, or of as many as a snapshot has in one piece."""
    rest = iter(cells)
    while piece := list(islice(rest, size or CELLS_A_CHUNK)):
        yield piece
