"""The as-of join: each left item with what was valid at its time."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Any, Literal

from streamflow.model.errors import FlowError
from streamflow.model.joined import Joined
from streamflow.operators.joining.state import LEFT, RIGHT, JoinState, require_how

#: Time, arrival, key, item; no two have the same arrival, so that neither key nor item is ever compared.
_Entry = tuple[float, int, Any, Any]


class AsOfJoin(JoinState):
    """Join each left item with the right one of its key that is the latest up to its own time.

    Of right items of one time it is the one that came last; with `tolerance` it is at most so many seconds older than
    the left one. A left item waits until the watermark is past its time: then nothing can come that would be later.
    Results come by the time of the left items, then by their arrival, whichever input was ahead. Of right items, those
    that are still in the future are held, and for each key the latest: until the tolerance is over, without one for
    good. What is below the watermark is too late.
    """

    __slots__ = ("_how", "_latest", "_tolerance", "_waiting")

    def __init__(self, tolerance: float = math.inf, how: Literal["inner", "left"] = "left") -> None:
        super().__init__()
        require_how(how, ("inner", "left"), "as_of_join")
        if not tolerance >= 0:
            raise FlowError(
                f"as_of_join(tolerance={tolerance!r}): expected how many seconds the right item may be older, 0 or more"
            )
        self._tolerance, self._how = tolerance, how
        self._waiting: tuple[list[_Entry], ...] = ([], [])
        #: Of each key the latest right item below the watermark, in the order of their times.
        self._latest: OrderedDict[Any, tuple[float, Any]] = OrderedDict()

    @property
    def retained(self) -> int:  # type: ignore[override]
        """Return how many left items wait and how many right ones can be the latest of some time."""
        return sum(map(len, self._waiting)) + len(self._latest)

    def add(self, port: int, key: Any, time: float, item: Any, own: float = -math.inf) -> Iterable[Any] | None:
        """Hold the item; None if it is below the watermark."""
        hash(key)
        if time < self.watermark or time < own:
            return None
        heappush(self._waiting[port], (time, self._arrival(port), key, item))
        return ()

    def advance(self, watermark: float) -> Iterator[Any]:
        """Return the left items below the watermark, each with its partner."""
        self.watermark = max(self.watermark, watermark)
        lefts, rights = self._waiting
        while lefts and lefts[0][0] < self.watermark:
            time, _, key, item = heappop(lefts)
            while rights and rights[0][0] <= time:
                self._replace(*heappop(rights))
            since, partner = self._latest.get(key, (-math.inf, None))
            found = key in self._latest and time - since <= self._tolerance
            if found or self._how == "left":
                yield Joined(key, item, partner if found else None)
        while rights and rights[0][0] < self.watermark:
            self._replace(*heappop(rights))
        self._forget()

    def _replace(self, time: float, arrival: int, key: Any, item: Any) -> None:
        """Make an item the latest of its key; behind the others, none of which is later."""
        self._latest[key] = (time, item)
        self._latest.move_to_end(key)

    def _forget(self) -> None:
        """Let go of those that are too old for whatever comes."""
        if self.watermark == math.inf:
            self._latest.clear()
        while self._latest:
            key, (time, _) = next(iter(self._latest.items()))
            if self.watermark - time <= self._tolerance:
                break
            del self._latest[key]

    def _entries(self) -> Iterator[tuple[str, Iterable[Any]]]:
        yield from zip(("left", "right"), self._waiting, strict=True)
        yield "latest", ((key, time, item) for key, (time, item) in self._latest.items())

    def _take_back(self, part: str, entries: list[Any]) -> None:
        if part == "latest":
            self._latest.update((key, (time, item)) for key, time, item in entries)
        else:
            # What was a heap is one again: it is put together as it was.
            self._waiting[LEFT if part == "left" else RIGHT].extend(tuple(entry) for entry in entries)
