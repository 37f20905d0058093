"""Values to bytes and back, types kept: what a checkpoint holds of state.

It is pickle, written by the fast code of C, and opened by a reader that hands out harmless names only
(`streamflow.state.names`). What cannot be opened again is refused when it is written.
"""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from streamflow.model.errors import CheckpointDamaged, CheckpointMismatch, NotSerialisable
from streamflow.state.names import Missing, Refused
from streamflow.state.openers import KNOWN
from streamflow.state.taking_apart import described, way_of, ways

#: What to do about a value of an operator's that `encode` refuses.
REMEDY = "keep plain values in state"
#: How deep the entry at fault is looked for.
DEPTH = 12
#: How many entries are tried at once: state may have a million.
TOGETHER = 500


def encode(value: Any) -> bytes:
    """Return `value` as bytes; NotSerialisable names the entry that cannot be written, and by which key it stands."""
    try:
        return _written(value)
    except Exception as error:
        raise NotSerialisable(blame(value)) from error


def decode(data: bytes) -> Any:
    """Return the value in what `encode` has returned; the caller has seen by a checksum that it is unaltered.

    Raises CheckpointMismatch if a class is missing, CheckpointDamaged if it names what no checkpoint of ours does.
    """
    try:
        return _Reader(io.BytesIO(data)).load()
    except Missing as error:
        raise CheckpointMismatch(f"the checkpoint holds instances of a class, but {error}") from error
    except Refused as error:
        raise CheckpointDamaged(f"the checkpoint was not written by streamflow: {error}") from error
    except Exception as error:
        raise CheckpointDamaged(
            f"the checkpoint cannot be opened: {type(error).__name__}: {error} (has a class changed that it holds?)"
        ) from error


def blame(value: Any) -> str:
    """Return which entry of `value` cannot be written down, and why; nothing if all of it can.

    >>> blame({"ann": 1, "bob": [2, len]})
    "key 'bob', entry 1: a function (<built-in function len>) cannot be written down"
    """
    path: list[str] = []
    reason, culprit = _reason(value)
    while reason and culprit is not value and len(path) < DEPTH:
        inner = next(_at_fault(value), None)
        if inner is None:
            break
        place, value, reason, culprit = inner
        path.append(place)
    return f"{', '.join(path)}: {reason}" if path else reason


def blame_key(kept: Iterable[tuple[Any, Any]]) -> str:
    """Return of which user's key something cannot be written down, and why; nothing if it is of none of them."""
    for key, value in kept:
        if reason := blame(key):
            return f"the key {described_key(key)}: {reason}"
        if reason := blame(value):
            return f"key {described_key(key)}: {reason}"
    return ""


def _at_fault(value: Any) -> Iterator[tuple[str, Any, str, Any]]:
    """Yield the entries that cannot be written: where, what, why, and what in them is to blame."""
    entries = _entries(value)
    while group := list(islice(entries, TOGETHER)):
        if _reason([entry for _, entry in group])[0]:
            for place, entry in group:
                reason, culprit = _reason(entry)
                if reason:
                    yield place, entry, reason, culprit


def _reason(value: Any) -> tuple[str, Any]:
    """Return why a value cannot be written, and what in it is to blame, if that is known."""
    try:
        _written(value)
    except Refused as error:
        return str(error), error.culprit
    except RecursionError:
        return f"{described(value)} is nested too deeply to be written down", value
    except Exception as error:
        return f"{described(value)} cannot be written down: {type(error).__name__}: {error}", None
    return "", None


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a value is made of, each with its place in it."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield f"key {described_key(key)}", entry
            yield "a key", key
    elif isinstance(value, (list, tuple, deque)):
        for index, entry in enumerate(value):
            yield f"entry {index}", entry
    elif isinstance(value, (set, frozenset)):
        for entry in value:
            yield "an entry", entry
    for name, entry in getattr(value, "__dict__", {}).items() if not isinstance(value, type) else ():
        yield f"attribute {name!r}", entry


def described_key(key: Any) -> str:
    """Return a key as a message names it."""
    try:
        text = repr(key)
    except Exception:
        return f"of type {type(key).__name__}"
    return text if len(text) <= 80 else f"{text[:79]}…"


def _written(value: Any) -> bytes:
    file = io.BytesIO()
    _Writer(file, protocol=5).dump(value)
    return file.getvalue()


class _Writer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, protocol: int) -> None:
        super().__init__(file, protocol)
        self._ways = ways()

    def reducer_override(self, obj: Any) -> Any:
        try:
            way = self._ways.get(type(obj))
            if way is None:
                way = self._ways[type(obj)] = way_of(type(obj))
            return way(obj)
        except Refused as error:
            error.culprit = obj
            raise


class _Reader(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        found = KNOWN.get((module_name, global_name))
        if found is None:
            raise Refused(f"it names {module_name}.{global_name}")
        return found
