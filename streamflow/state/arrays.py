"""Arrays and scalars of NumPy in a checkpoint: their bytes, and a description that can hold no pointer."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow.state.names import Refused


def described(kind: Any) -> Any:
    """Return the description of a dtype in plain values; Refused if it has none that says it all."""
    if kind.hasobject:
        raise Refused(f"an array of {kind} has Python objects among its fields")
    try:
        descr = np.lib.format.dtype_to_descr(kind)
        if np.lib.format.descr_to_dtype(descr) == kind and kind.metadata is None:
            return descr
    except (ValueError, TypeError, UserWarning):
        pass
    raise Refused(f"an array of {kind} cannot be written down: convert it with .astype()")


def dtype_of(descr: Any) -> Any:
    """Return the dtype that `descr` describes; never one with pointers in its items."""
    kind = np.lib.format.descr_to_dtype(descr)
    if kind.hasobject:
        raise Refused("a description of plain items names Python objects")
    return kind


def array_over(descr: Any, shape: tuple[int, ...], order: Any, data: bytes | bytearray) -> Any:
    """Return the array over `data`, which is checked to be long enough; one over `bytes` is read-only."""
    if not isinstance(data, (bytes, bytearray)):
        raise Refused(f"an array lies over a {type(data).__name__}")
    return np.ndarray(shape, dtype_of(descr), data, order=order)


def array_of(shape: tuple[int, ...], items: list[Any]) -> Any:
    """Return an array of objects."""
    flat = np.empty(len(items), object)
    for index, item in enumerate(items):
        flat[index] = item
    return flat.reshape(shape)


def text_scalar(text: str | bytes) -> Any:
    """Return a scalar that is a text or bytes, of whatever length and ending."""
    return np.str_(text) if isinstance(text, str) else np.bytes_(text)
