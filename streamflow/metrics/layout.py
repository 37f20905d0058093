"""Where the boxes of a plan stand: a row for each step away from the sources, nothing on top of another. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Edge = tuple[str, str]
#: A box, or the place where the edge of that number passes a row.
Place = str | tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Hold the middle of each box, by column and row, and of each edge the columns and rows that it passes."""

    boxes: Mapping[str, tuple[float, int]]
    edges: Sequence[Sequence[tuple[float, int]]]
    columns: float
    rows: int


def laid_out(names: Sequence[str], edges: Sequence[Edge], *, passing: float = 0.45) -> Layout:
    """Place boxes of width 1 below those that feed them; an edge that passes a row takes `passing` of a box there."""
    row = rows_of(names, edges)
    levels: list[list[Place]] = [[] for _ in range(max(row.values(), default=-1) + 1)]
    for name in names:
        levels[row[name]].append(name)
    paths: list[list[Place]] = []
    for number, (producer, consumer) in enumerate(edges):
        between = range(row[producer] + 1, row[consumer])
        for at in between:
            levels[at].append((number, at))
        paths.append([producer, *((number, at) for at in between), consumer])
    x = _columns(levels, paths, passing)
    left = min((at - _half(place, passing) for place, at in x.items()), default=0.0)
    right = max((at + _half(place, passing) for place, at in x.items()), default=0.0)
    level = {place: at for at, places in enumerate(levels) for place in places}
    return Layout(
        boxes={name: (x[name] - left, row[name]) for name in names},
        edges=[[(x[place] - left, level[place]) for place in path] for path in paths],
        columns=right - left,
        rows=len(levels),
    )


def rows_of(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return for each box the length of the longest way to it."""
    row = dict.fromkeys(names, 0)
    for _ in names:  # as often as the longest way can be long; a circle, which no plan has, would end here, too
        moved = False
        for producer, consumer in edges:
            if row[consumer] <= row[producer]:
                row[consumer], moved = row[producer] + 1, True
        if not moved:
            break
    return row


def _half(place: Place, passing: float) -> float:
    return (1.0 if isinstance(place, str) else passing) / 2


def _columns(levels: list[list[Place]], paths: list[list[Place]], passing: float) -> dict[Place, float]:
    """Put each place below the mean of those that lead to it, or as near as there is room."""
    above: dict[Place, list[Place]] = {}
    for path in paths:
        for upper, lower in pairwise(path):
            above.setdefault(lower, []).append(upper)
    x: dict[Place, float] = {}
    for places in levels:
        wanted = {
            place: sum(x[one] for one in above[place]) / len(above[place]) if place in above else 0.0
            for place in places
        }
        # Boxes first where two want the same column: what passes by goes round them.
        places.sort(key=lambda place: (wanted[place], not isinstance(place, str)))
        _spread(places, wanted, passing, x)
    return x


def _spread(places: list[Place], wanted: Mapping[Place, float], passing: float, x: dict[Place, float]) -> None:
    """Move those that overlap to the right, then all of them back by what they were moved on the average."""
    edge = float("-inf")
    found: dict[Place, float] = {}
    for place in places:
        half = _half(place, passing)
        found[place] = max(wanted[place], edge + half)
        edge = found[place] + half
    moved = sum(found[place] - wanted[place] for place in places) / max(len(places), 1)
    x.update({place: at - moved for place, at in found.items()})
