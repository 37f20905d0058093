"""The interval join: what has the same key and times that are near each other."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Any

from streamflow.model.errors import FlowError
from streamflow.model.joined import Joined
from streamflow.operators.joining.state import LEFT, RIGHT, How, JoinState, require_how


class _Held:
    """Be an item that waits for partners."""

    __slots__ = ("item", "key", "matched", "time")

    def __init__(self, key: Any, time: float, item: Any, matched: bool) -> None:
        self.key, self.time, self.item, self.matched = key, time, item, matched


class _Side:
    """Hold the items of one input: by arrival, by key and time, and by time alone."""

    __slots__ = ("by_time", "held", "keys")

    def __init__(self) -> None:
        self.held: dict[int, _Held] = {}
        self.keys: dict[Any, list[tuple[float, int]]] = {}
        self.by_time: list[tuple[float, int]] = []

    def hold(self, arrival: int, one: _Held) -> None:
        """Take one item in."""
        insort(self.keys.setdefault(one.key, []), (one.time, arrival))
        self.held[arrival] = one
        heappush(self.by_time, (one.time, arrival))

    def leave(self) -> _Held:
        """Let the item with the least time go; return it."""
        time, arrival = heappop(self.by_time)
        one = self.held.pop(arrival)
        same = self.keys[one.key]
        del same[bisect_left(same, (time, arrival))]
        if not same:
            del self.keys[one.key]
        return one


class IntervalJoin(JoinState):
    """Pair a left item with the right ones from `lower` to `upper` seconds after it (before it, where negative).

    A pair comes as soon as both are there: by arrival of the later, then of the earlier. An item leaves when the
    watermark proves that no partner can come, which may be at once. If it had none, and `how` asks for it, it comes out
    alone then: by the time until which it had to wait, left before right. What is below the watermark is too late: its
    partners may have left.
    """

    __slots__ = ("_how", "_lower", "_sides", "_upper")

    def __init__(self, lower: float, upper: float, how: How = "inner") -> None:
        super().__init__()
        require_how(how, ("inner", "left", "outer"), "interval_join")
        if not -math.inf < lower <= upper < math.inf:
            raise FlowError(
                f"interval_join({lower!r}, {upper!r}): expected two finite times, the lower first: "
                f"the right item comes so many seconds after the left one, at least and at most"
            )
        self._lower, self._upper, self._how = lower, upper, how
        self._sides = (_Side(), _Side())

    @property
    def retained(self) -> int:  # type: ignore[override]
        """Return how many items can still have partners."""
        return len(self._sides[LEFT].held) + len(self._sides[RIGHT].held)

    def add(self, port: int, key: Any, time: float, item: Any, own: float = -math.inf) -> Iterable[Any] | None:
        """Return the pairs with those that are there; None for an item below the watermark."""
        hash(key)
        if time < self.watermark or time < own:
            return None
        partners = self._partners(port, key, time)
        for partner in partners:
            partner.matched = True
        one = _Held(key, time, item, bool(partners))
        if self._passed(port, time):
            if not partners:
                return self._alone(port, one)
        else:
            self._sides[port].hold(self._arrival(port), one)
        if port == LEFT:
            return [Joined(key, item, partner.item) for partner in partners]
        return [Joined(key, partner.item, item) for partner in partners]

    def advance(self, watermark: float) -> Iterator[Any]:
        """Let those go that can have no more partners, and return those of them that had none."""
        self.watermark = max(self.watermark, watermark)
        while (port := self._next()) is not None:
            one = self._sides[port].leave()
            if not one.matched:
                yield from self._alone(port, one)

    def _next(self) -> int | None:
        """Return the port whose oldest item is the next to leave, None if both may stay."""
        lefts, rights = (side.by_time for side in self._sides)
        left = lefts and self._passed(LEFT, lefts[0][0])
        right = rights and self._passed(RIGHT, rights[0][0])
        if left and right:
            return RIGHT if self._until(RIGHT, rights[0][0]) < self._until(LEFT, lefts[0][0]) else LEFT
        return LEFT if left else RIGHT if right else None

    def _alone(self, port: int, one: _Held) -> list[Joined]:
        """Return what comes of an item that has no partner."""
        if port == LEFT:
            return [Joined(one.key, one.item, None)] * (self._how != "inner")
        return [Joined(one.key, None, one.item)] * (self._how == "outer")

    def _partners(self, port: int, key: Any, time: float) -> list[_Held]:
        """Return the items of the other input that an item goes with, by arrival."""
        side = self._sides[1 - port]
        same = side.keys.get(key)
        if same is None:
            return []
        if port == LEFT:
            first = bisect_left(same, (time + self._lower, 0))
            behind = bisect_right(same, time + self._upper, key=_time)
        else:
            # The same sums as above: what rounding makes of a difference could be something else.
            first = bisect_left(same, time, key=lambda entry: entry[0] + self._upper)
            behind = bisect_right(same, time, key=lambda entry: entry[0] + self._lower)
        return [side.held[arrival] for arrival in sorted(arrival for _, arrival in same[first:behind])]

    def _passed(self, port: int, time: float) -> bool:
        """Tell whether an item can have no partner at the watermark or after it."""
        if port == LEFT:
            return time + self._upper < self.watermark
        return self.watermark + self._lower > time

    def _until(self, port: int, time: float) -> float:
        return time + self._upper if port == LEFT else time - self._lower

    def _entries(self) -> Iterator[tuple[str, Iterable[Any]]]:
        for part, side in zip(("left", "right"), self._sides, strict=True):
            yield part, ((arrival, one.key, one.time, one.item, one.matched) for arrival, one in side.held.items())

    def _take_back(self, part: str, entries: list[Any]) -> None:
        side = self._sides[LEFT if part == "left" else RIGHT]
        for arrival, *rest in entries:
            side.hold(arrival, _Held(*rest))


def _time(entry: tuple[float, int]) -> float:
    return entry[0]
