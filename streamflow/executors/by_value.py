"""Pickle by value what has no name in a module: functions of a script, lambdas, classes defined in functions.

Imported late: cloudpickle takes 30 ms, and most items need none of it.
"""

from __future__ import annotations

import io
from typing import Any

import cloudpickle


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it ships no types
    """Be cloudpickle's, but for open files: it would send a copy of what is in them, and each worker read its own."""

    def reducer_override(self, obj: Any) -> Any:
        """Refuse what would cross as something else than it is."""
        if isinstance(obj, io.TextIOWrapper):
            raise TypeError(f"cannot pickle an open file ({getattr(obj, 'name', '?')!r})")
        return super().reducer_override(obj)


def dumps(obj: Any) -> bytes:
    """Return `obj` as bytes, by value; raise what pickling raises."""
    file = io.BytesIO()
    Pickler(file, protocol=5).dump(obj)
    return file.getvalue()
