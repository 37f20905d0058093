"""Joins, slowly and obviously: which items are in time, and all pairs of them that belong together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from streamflow.model.joined import Joined, JoinedInWindow

#: (time, key), and a name that makes each item another.
Event = tuple[float, Any, str]
Windows = Callable[[float], list[tuple[float, float]]]


def with_watermarks(events: list[Event], lateness: float) -> list[tuple[Event, float]]:
    """Return each item with the watermark of its input, itself included."""
    highest, found = -math.inf, []
    for event in events:
        highest = max(highest, event[0])
        found.append((event, highest - lateness))
    return found


def parted(events: list[Event], lateness: float) -> tuple[list[Event], list[Event]]:
    """Return the items that are in time for an interval or as-of join, and those that are late."""
    marked = with_watermarks(events, lateness)
    return [one for one, mark in marked if one[0] >= mark], [one for one, mark in marked if one[0] < mark]


def in_windows(
    left: list[Event], right: list[Event], lateness: tuple[float, float], windows: Windows, how: str
) -> tuple[list[Any], list[Event], list[Event]]:
    """Return the results in order, and the late items of both sides."""
    sides: list[dict[tuple[float, float], list[Event]]] = [{}, {}]
    late: list[list[Event]] = [[], []]
    for side, events in enumerate((left, right)):
        for event, mark in with_watermarks(events, lateness[side]):
            open_ones = [(end, start) for start, end in windows(event[0]) if end > mark]
            for one in open_ones:
                sides[side].setdefault(one, []).append(event)
            if not open_ones:
                late[side].append(event)
    out: list[Any] = []
    for end, start in sorted({*sides[0], *sides[1]}):
        lefts, rights = (side.get((end, start), []) for side in sides)
        for key in dict.fromkeys(event[1] for event in [*lefts, *rights]):
            ones, others = ([event for event in events if event[1] == key] for events in (lefts, rights))
            pairs: list[tuple[Any, Any]] = [(one, other) for one in ones for other in others]
            if not others and how != "inner":
                pairs = [(one, None) for one in ones]
            if not ones and how == "outer":
                pairs = [(None, other) for other in others]
            out += [JoinedInWindow(key, *pair, start, end) for pair in pairs]
    return out, *late


def within(left: list[Event], right: list[Event], lower: float, upper: float, how: str) -> list[Any]:
    """Return the results of an interval join of items that are in time, in no order that counts."""
    pairs: list[tuple[Any, Any]] = [
        (one, other)
        for one in left
        for other in right
        if one[1] == other[1] and one[0] + lower <= other[0] <= one[0] + upper
    ]
    if how != "inner":
        pairs += [(one, None) for one in left if all(one is not pair[0] for pair in pairs)]
    if how == "outer":
        pairs += [(None, other) for other in right if all(other is not pair[1] for pair in pairs)]
    return [Joined((one or other)[1], one, other) for one, other in pairs]


def as_of(left: list[Event], right: list[Event], tolerance: float, how: str) -> list[Any]:
    """Return the results of an as-of join of items that are in time, in order."""
    out: list[Any] = []
    for one in sorted(left, key=lambda event: event[0]):
        found = None
        for other in sorted(right, key=lambda event: event[0]):
            if other[1] == one[1] and one[0] - tolerance <= other[0] <= one[0]:
                found = other
        if found is not None or how == "left":
            out.append(Joined(one[1], one, found))
    return out
