"""The join in windows: whatever has the same key in the same window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from typing import Any

from streamflow.model.joined import JoinedInWindow
from streamflow.operators.joining.state import LEFT, RIGHT, How, JoinState, require_how

#: The arrivals of each key, in the order in which the keys were first seen.
_Keys = dict[Any, list[int]]


class WindowedJoin(JoinState):
    """Join each window when the watermark reaches its end: for each key every left item with every right one.

    `assign` names the windows `(start, end)` of a time; those that are closed already take nothing more, and an item
    is too late when all of its are. Closed is what ends by the watermark of the item's own input. Results come by the
    end of the window, then by the order in which the left input brought the keys to it, then those which only the right
    one brought; within a key by left, then by right items.
    """

    __slots__ = ("_assign", "_due", "_held", "_how", "_windows")

    def __init__(self, assign: Callable[[float], Iterable[tuple[float, float]]], how: How = "inner") -> None:
        super().__init__()
        require_how(how, ("inner", "left", "outer"), "join")
        self._assign, self._how = assign, how
        # By port and arrival: key, time, item, its input's watermark, and the end of its last window. An item is held
        # once, however many windows it is in.
        self._held: tuple[dict[int, tuple[Any, float, Any, float, float]], ...] = ({}, {})
        self._windows: dict[tuple[float, float], tuple[_Keys, _Keys]] = {}
        self._due: list[tuple[float, float]] = []

    @property
    def retained(self) -> int:  # type: ignore[override]
        """Return how many items are in a window that is open."""
        return len(self._held[LEFT]) + len(self._held[RIGHT])

    def add(self, port: int, key: Any, time: float, item: Any, own: float = -math.inf) -> Iterable[Any] | None:
        """Put the item into those of its windows that are open; None if none is, or it falls between two."""
        hash(key)
        windows = self._open(time, own)
        if not windows:
            return None
        self._hold(port, self._arrival(port), key, time, item, own, windows)
        return ()

    def advance(self, watermark: float) -> Iterator[Any]:
        """Close the windows that end there or before."""
        self.watermark = max(self.watermark, watermark)
        while self._due and self._due[0][0] <= self.watermark:
            yield from self._close(heappop(self._due))

    def _open(self, time: float, own: float) -> list[tuple[float, float]]:
        closed = max(self.watermark, own)
        return [(end, start) for start, end in self._assign(time) if end > closed]

    def _hold(
        self,
        port: int,
        arrival: int,
        key: Any,
        time: float,
        item: Any,
        own: float,
        windows: list[tuple[float, float]],
    ) -> None:
        self._held[port][arrival] = (key, time, item, own, max(windows)[0])
        for window in windows:
            if window not in self._windows:
                self._windows[window] = ({}, {})
                heappush(self._due, window)
            self._windows[window][port].setdefault(key, []).append(arrival)

    def _close(self, window: tuple[float, float]) -> Iterator[JoinedInWindow]:
        end, start = window
        lefts, rights = self._windows.pop(window)
        for key, arrivals in lefts.items():
            items: list[Any] = self._leave(LEFT, arrivals, end)
            partners: list[Any] = self._leave(RIGHT, rights.pop(key, []), end)
            if not partners and self._how != "inner":
                partners = [None]
            for item in items:
                for partner in partners:
                    yield JoinedInWindow(key, item, partner, start, end)
        for key, arrivals in rights.items():
            partners = self._leave(RIGHT, arrivals, end)
            if self._how == "outer":
                for partner in partners:
                    yield JoinedInWindow(key, None, partner, start, end)

    def _leave(self, port: int, arrivals: list[int], end: float) -> list[Any]:
        """Return the items, and let go of those that are in no later window."""
        held = self._held[port]
        items = []
        for arrival in arrivals:
            _, _, item, _, last_end = held[arrival]
            items.append(item)
            if last_end == end:
                del held[arrival]
        return items

    def _entries(self) -> Iterator[tuple[str, Iterable[Any]]]:
        for part, held in zip(("left", "right"), self._held, strict=True):
            yield part, ((arrival, *entry[:4]) for arrival, entry in held.items())

    def _take_back(self, part: str, entries: list[Any]) -> None:
        port = LEFT if part == "left" else RIGHT
        for arrival, key, time, item, own in entries:
            self._hold(port, arrival, key, time, item, own, self._open(time, own))
