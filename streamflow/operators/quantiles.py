"""A sketch of many numbers: exact while they are few, then a sample of which the error of every rank is bounded.

A slot is `[sides, values, values of weight 2, of weight 4, …]`. A level that is full is sorted, and every second of its
values goes up with twice the weight (Munro and Paterson 1980; the compactors of KLL, without chance, so that the same
items give the same answer). That moves the rank of any value by one weight of the level at most. A full level of
weight w stands for `CAPACITY * w` of the n values, so it happens at most `n / (CAPACITY * w)` times there: whatever the
order and however slots were merged, ranks are off by `n / CAPACITY` a level that was full, at most. Taking now the odd
ones, now the even ones (the bits of `sides`) lets most of that cancel.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate
from typing import Any

#: Values of one level: below this all are kept as they are.
CAPACITY = 2048


def begin(value: Any) -> list[Any]:
    """Return the slot of a first value; TypeError if it is no number."""
    return add([0, []], value)


def add(slot: list[Any], value: Any) -> list[Any]:
    """Take one more value, unless it is NaN; TypeError if it is no number."""
    number = math.ldexp(value, 0)
    if number == number:
        slot[1].append(number)
        if len(slot[1]) >= CAPACITY:
            compact(slot)
    return slot


def merge(one: list[Any], other: list[Any]) -> list[Any]:
    """Return a slot for the values of both."""
    for level, values in enumerate(other[1:], 1):
        if level < len(one):
            one[level] += values
        else:
            one.append(values)
    one[0] ^= other[0]
    compact(one)
    return one


def compact(slot: list[Any]) -> None:
    """Bring every level below its capacity: half of a full one goes up."""
    level = 0
    while (level := level + 1) < len(slot):
        values = slot[level]
        if len(values) < CAPACITY:
            continue
        if level + 1 == len(slot):
            slot.append([])
        values.sort()
        even = len(values) & ~1
        slot[level + 1] += values[slot[0] >> level & 1 : even : 2]
        del values[:even]
        slot[0] ^= 1 << level


def quantile(slot: list[Any], q: float) -> float:
    """Return the value at the share `q` of the ranks, in proportion between two; NaN if there is no value."""
    pairs = sorted((value, 1 << level) for level, values in enumerate(slot[1:]) for value in values)
    ends = list(accumulate(weight for _, weight in pairs))
    if not ends:
        return math.nan
    rank = q * (ends[-1] - 1)
    low: float = pairs[bisect_right(ends, math.floor(rank))][0]
    high: float = pairs[bisect_right(ends, math.ceil(rank))][0]
    return low if low == high else low * (1 - rank % 1) + high * (rank % 1)
