"""Windows, slowly and obviously: what every kind of window must give, item by item."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Result = tuple[str, Any, float, float, list[Any]]


class Model:
    """Fold `(time, key, item)` one after the other; `out` are the results, `late` the items that came too late.

    `windows(time)` gives the bounds of the windows of a time.
    """

    def __init__(
        self,
        windows: Callable[[float], list[tuple[float, float]]],
        *,
        lateness: float = 0.0,
        every: float | None = None,
        keep: float | None = None,
    ) -> None:
        self.windows, self.lateness, self.every, self.keep = windows, lateness, every, keep
        self.highest = -math.inf
        self.told = -math.inf
        self.held: dict[tuple[float, float], dict[Any, list[Any]]] = {}
        self.closed: set[tuple[float, float]] = set()
        self.changed: dict[tuple[float, float], dict[Any, None]] = {}
        self.out: list[Result] = []
        self.late: list[Any] = []
        self.boundary = math.inf

    def take(self, time: float, key: Any, item: Any) -> None:
        """Let time go on to this item, then take it."""
        self.highest = max(self.highest, time)
        watermark = self.highest - self.lateness
        self.go_on(watermark)
        taken = False
        for bounds in self.windows(time):
            open_for = bounds[1] + (self.keep or 0.0) if self.keep is not None else bounds[1]
            if open_for <= watermark:
                continue
            taken = True
            cells = self.held.setdefault(bounds, {})
            cells.setdefault(key, []).append(item)
            if bounds[1] <= watermark:
                self.closed.add(bounds)
                self.out.append(("UpdatedResult", key, *bounds, list(cells[key])))
            else:
                self.changed.setdefault(bounds, {})[key] = None
                if self.every is not None and self.boundary == math.inf:
                    self.boundary = (watermark // self.every + 1) * self.every
        if not taken:
            self.late.append(item)

    def go_on(self, watermark: float) -> None:
        """Close what ends by `watermark`, and tell early what is due before."""
        if self.every is not None and self.boundary <= watermark:
            self.close(self.boundary)
            for bounds in sorted(self.open()):
                for key in self.changed.pop(bounds, {}):
                    self.out.append(("EarlyResult", key, *bounds, list(self.held[bounds][key])))
            self.boundary = (watermark // self.every + 1) * self.every
        self.close(watermark)
        if not self.open():
            self.boundary = math.inf

    def open(self) -> list[tuple[float, float]]:
        return [bounds for bounds in self.held if bounds not in self.closed]

    def close(self, moment: float) -> None:
        for bounds in sorted(self.open(), key=lambda one: one[1]):
            if bounds[1] <= moment:
                self.closed.add(bounds)
                for key, items in self.held[bounds].items():
                    self.out.append(("WindowResult", key, *bounds, list(items)))


def told(results: list[Any]) -> list[Result]:
    """Return results in the form of the model's."""
    return [(type(one).__name__, one.key, one.start, one.end, one.value) for one in results]


class SessionModel(Model):
    """Do the same for sessions: all items of a key that follow each other within `gap`, of those not closed yet."""

    def __init__(self, gap: float, *, lateness: float = 0.0, every: float | None = None) -> None:
        super().__init__(lambda time: [], lateness=lateness, every=every)
        self.gap = gap
        #: Each session: its number, key, and its items with their times, in the order of arrival.
        self.sessions: list[tuple[int, Any, list[tuple[float, Any]]]] = []
        self.fresh: set[int] = set()
        self.count = 0

    def take(self, time: float, key: Any, item: Any) -> None:
        self.highest = max(self.highest, time)
        watermark = self.highest - self.lateness
        self.go_on(watermark)
        met = [
            one
            for one in self.sessions
            if one[1] == key and min(t for t, _ in one[2]) - self.gap < time < self.end(one) and one[1] is key
        ]
        if not met and time + self.gap <= watermark:
            self.late.append(item)
            return
        if not met:
            met = [(self.count, key, [])]
            self.count += 1
        elif self.every is not None and self.boundary == math.inf:
            raise AssertionError("there is a session, so there must be a boundary")
        if self.every is not None and self.boundary == math.inf:
            self.boundary = (watermark // self.every + 1) * self.every
        number = min(one[0] for one in met)
        items = [pair for one in sorted(met, key=lambda one: one[0]) for pair in one[2]] + [(time, item)]
        self.sessions = [one for one in self.sessions if one not in met] + [(number, key, items)]
        self.fresh = (self.fresh - {one[0] for one in met}) | {number}

    def end(self, session: tuple[int, Any, list[tuple[float, Any]]]) -> float:
        return max(time for time, _ in session[2]) + self.gap

    def open(self) -> Any:
        return self.sessions

    def go_on(self, watermark: float) -> None:
        if self.every is not None and self.boundary <= watermark:
            self.close(self.boundary)
            for one in self.in_order():
                if one[0] in self.fresh:
                    self.tell("EarlyResult", one)
            self.fresh.clear()
            self.boundary = (watermark // self.every + 1) * self.every
        self.close(watermark)
        if not self.sessions:
            self.boundary = math.inf

    def in_order(self) -> list[tuple[int, Any, list[tuple[float, Any]]]]:
        return sorted(self.sessions, key=lambda one: (self.end(one), one[0]))

    def tell(self, kind: str, one: tuple[int, Any, list[tuple[float, Any]]]) -> None:
        first = min(time for time, _ in one[2])
        self.out.append((kind, one[1], first, self.end(one), [item for _, item in one[2]]))

    def close(self, moment: float) -> None:
        for one in self.in_order():
            if self.end(one) <= moment:
                self.sessions.remove(one)
                self.tell("WindowResult", one)


def global_model(
    events: list[tuple[float, Any]], lateness: float, count: int | None, every: float | None, keep: bool
) -> list[Result]:
    """Return the results of a global window over `events`."""
    held: dict[Any, list[Any]] = {}
    new: dict[Any, int] = {}
    out: list[Result] = []
    highest = boundary = -math.inf

    def tell(key: Any) -> None:
        out.append(("WindowResult", key, -math.inf, math.inf, list(held[key])))
        del new[key]
        if not keep:
            del held[key]

    for event in events:
        highest = max(highest, event[0])
        watermark = highest - lateness
        if every is not None and new and boundary <= watermark:
            for key in list(new):
                tell(key)
        if every is not None and not new:
            boundary = (watermark // every + 1) * every
        held.setdefault(event[1], []).append(event)
        new[event[1]] = new.get(event[1], 0) + 1
        if new[event[1]] == count:
            tell(event[1])
    for key in list(new):
        tell(key)
    return out
