"""Refuse graphs whose shape makes them wait for themselves."""

from __future__ import annotations

from itertools import combinations

from streamflow.model.errors import FlowError
from streamflow.model.graph import Part
from streamflow.model.interfaces import Operator
from streamflow.operators.edge import Buffer
from streamflow.operators.fan import Concat, Merge, Zip


def refuse_diamonds(parts: tuple[Part, ...]) -> None:
    """Raise FlowError where a fan-out comes together again by `zip` or `concat` in a way that fills an edge for ever.

    A producer waits for its slowest consumer. If one way to the join carries nothing while the other is full, the join
    waits for the first and the producer for the second. `merge` takes from whichever has something, so it is safe.
    """
    joins = [part for part in parts if isinstance(part.what, (Zip, Concat))]
    above = _ancestors(parts) if joins else {}
    for join in joins:
        for one, other in combinations(join.inputs, 2):
            common = above[one] & above[other]
            for shared in (part for part in parts if part in common):  # in the order in which they were written
                ways = [
                    [part for part in parts if part in above[end] - common and shared in above[part]]
                    for end in (one, other)
                ]
                _refuse(join, shared, *ways)


def _refuse(join: Part, shared: Part, first: list[Part], second: list[Part]) -> None:
    join_label, shared_label = _label(join), _label(shared)
    if isinstance(join.what, Concat) and not _never_blocks(second):
        raise FlowError(
            f"{join_label}: two of its inputs come from {shared_label!r}, and it reads the second only after the first "
            f"has ended, so the edge between would fill and everything wait; use merge, run over the source twice, "
            f"or let that edge spill: .buffer(overflow='spill', bytes='1GB')"
        )
    for way, other in ((first, second), (second, first)):
        uneven = [part for part in way if _uneven(part)]
        if uneven and not _never_blocks(other):
            raise FlowError(
                f"{join_label}: two of its inputs come from {shared_label!r}, and {_label(uneven[0])!r} on the way "
                f"drops or multiplies items, so one edge could fill while the other stays empty and everything waits; "
                f"make both ways one to one (give None instead of dropping), use merge, "
                f"or let the other way spill: .buffer(overflow='spill', bytes='1GB')"
            )


def _label(part: Part) -> str:
    return part.what.label


def _uneven(part: Part) -> bool:
    return isinstance(part.what, Operator) and (part.what.multiplies or isinstance(part.what, (Merge, Concat)))


def _never_blocks(way: list[Part]) -> bool:
    return any(isinstance(part.what, Buffer) and part.what.overflow != "block" for part in way)


def _ancestors(parts: tuple[Part, ...]) -> dict[Part, set[Part]]:
    """Return for each part itself and everything that feeds it."""
    above: dict[Part, set[Part]] = {}
    for part in parts:
        above[part] = {part}.union(*(above[one] for one in part.inputs))
    return above
