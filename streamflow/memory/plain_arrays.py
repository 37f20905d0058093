"""Arrays of plain numbers without a pickle: what they are fits in a line, and what is in them lies in shared memory.

Pickling one array and putting it together again takes some 40 µs on both sides, as long as copying a megabyte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

#: What an array is: its type as NumPy writes it (byte order included), and its shape.
Meta = tuple[str, tuple[int, ...]]
#: Kinds of numbers that are nothing but their bytes: truth values, integers, floats, complex ones.
KINDS = "biufc"


def is_plain(value: Any, least: int) -> bool:
    """Tell whether `value` is an array of plain numbers in C order, of at least `least` bytes."""
    # NumPy is looked up, never imported: without it there are no arrays.
    array = getattr(sys.modules.get("numpy"), "ndarray", None)
    return type(value) is array and value.nbytes >= least and value.dtype.kind in KINDS and value.flags.c_contiguous


def metas_of(values: Sequence[Any], least: int) -> list[Meta] | None:
    """Return what the arrays in `values` are; None unless all of them are plain."""
    metas: list[Meta] = []
    for value in values:
        if not is_plain(value, least):
            return None
        metas.append((value.dtype.str, value.shape))
    return metas


def arrays_over(metas: Iterable[Meta], views: Iterable[memoryview]) -> list[Any]:
    """Return arrays right over `views`, which they keep alive; over a view that is read-only, so is the array."""
    import numpy  # late: whoever has such arrays has it

    return [numpy.frombuffer(view, kind).reshape(shape) for (kind, shape), view in zip(metas, views, strict=True)]
