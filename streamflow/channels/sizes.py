"""How many bytes a batch holds: exact for buffers, one bounded sample for everything else."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

#: The most objects one sample looks at: a bound on its cost, not on what it may find.
SAMPLE_OBJECTS = 64


def size_of_items(items: list[Any]) -> int:
    """Return the bytes that `items` hold: exact for bytes, str and arrays; else one item's depth times their number.

    It never raises: what an item answers when it is asked for its size is nobody's failure.
    """
    first = items[0]
    kind = type(first)
    if kind is int or kind is float or kind is bool:
        return 32 * len(items)
    middle = items[len(items) // 2]
    if kind is type(middle) is type(items[-1]):
        try:
            if kind is bytes or kind is str:
                return sum(map(len, items)) + 50 * len(items)
            if _is_buffer(first):
                return sum(map(_buffer_size, items))
        except Exception:  # others are between them, or one of them answers oddly
            return sample_size(middle) * len(items)
    # The middle item: the first of a batch is the least typical one (headers, warm-up).
    return sample_size(middle) * len(items)


def sample_size(item: Any) -> int:
    """Return the bytes `item` and what it refers to hold, looking at `SAMPLE_OBJECTS` objects at most."""
    total, seen, waiting, looked = 0, set[int](), [item], 0
    while waiting and looked < SAMPLE_OBJECTS:
        here = waiting.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        looked += 1
        try:
            total += _buffer_size(here) if _is_buffer(here) else sys.getsizeof(here, 64)
            waiting.extend(_parts(here))
        except Exception:  # the user's own properties may raise anything
            total += 64
    # What was not looked at counts like the average of what was: an estimate that cannot be zero.
    return total + (total // max(looked, 1)) * len(waiting)


def _parts(item: Any) -> list[Any]:
    if isinstance(item, (str, bytes, int, float)):
        return []
    if isinstance(item, Mapping):
        return [*item.keys(), *item.values()]
    if isinstance(item, (list, tuple, set, frozenset)):
        return list(item)
    fields = getattr(item, "__struct_fields__", None) or getattr(type(item), "__slots__", None)
    if isinstance(fields, (tuple, list)):
        return [getattr(item, name) for name in fields if hasattr(item, name)]
    return [vars(item)] if hasattr(item, "__dict__") else []


def _is_buffer(item: Any) -> bool:
    return isinstance(item, (bytearray, memoryview)) or isinstance(getattr(item, "nbytes", None), int)


def _buffer_size(item: Any) -> int:
    return len(item) if isinstance(item, bytearray) else int(item.nbytes)
