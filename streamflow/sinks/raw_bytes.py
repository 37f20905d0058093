"""A file of bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from streamflow.sinks.file_lines import FileLines


@dataclass(frozen=True, kw_only=True)
class Bytes(FileLines[Any]):
    """Write items to a file (.bin) as the bytes that they are, one after the other, with nothing between them.

    Items are bytes, bytearrays, memoryviews, arrays of numbers (numpy's too): whatever lies in memory as bytes.
    """

    lines: ClassVar[bool] = False

    @property
    def encode(self) -> Callable[[Any], Any]:
        """Return what looks at items."""
        return as_bytes


def as_bytes(item: Any) -> bytes | memoryview:
    """Return the bytes of `item`, not copied if they lie together; TypeError for what are no bytes."""
    if item.__class__ is bytes:
        return item
    try:
        view = memoryview(item)
    except TypeError:
        raise TypeError(
            f"a sink of bytes takes bytes, bytearrays, memoryviews and arrays, not {type(item).__qualname__}: "
            f"make bytes of it in a .map(...) before the sink"
        ) from None
    if "O" in view.format:
        raise TypeError("an array of Python objects holds addresses, not values: make bytes of it in a .map(...)")
    return view.cast("B") if view.c_contiguous and view.nbytes else view.tobytes()
