"""Values told apart, in a slot `[{value: count}, NaNs]`: NaN equals nothing, so that as a key it is not found again."""

from __future__ import annotations

import math
import operator
from typing import Any


def count(slot: list[Any], value: Any) -> list[Any]:
    """Count one more of `value`."""
    if value == value:
        slot[0][value] = slot[0].get(value, 0) + 1
    else:
        slot[1] += 1
    return slot


def note(slot: list[Any], value: Any) -> list[Any]:
    """Remember that `value` was there, without a count."""
    if value == value:
        slot[0][value] = None
    else:
        slot[1] = 1
    return slot


def merge(one: list[Any], other: list[Any]) -> list[Any]:
    """Add up the counts of both."""
    counts = one[0]
    for value, times in other[0].items():
        counts[value] = counts.get(value, 0) + times
    return [counts, one[1] + other[1]]


def most_common(slot: list[Any], k: int) -> list[tuple[Any, int]]:
    """Return the `k` most frequent values and their counts; of equally frequent ones the first that came is first."""
    counts = [*slot[0].items(), *[(math.nan, slot[1])] * (slot[1] > 0)]
    return sorted(counts, key=operator.itemgetter(1), reverse=True)[:k]
