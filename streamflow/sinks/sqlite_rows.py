"""Rows of a table, made of items."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

#: What SQLite holds as it is.
PLAIN = (str, int, float, bytes, type(None))


class Rows:
    """Make rows of dicts, dataclasses, lists and tuples; the first item decides the `columns` that were not given."""

    def __init__(self, columns: Sequence[str] | None) -> None:
        self.columns = None if columns is None else tuple(columns)

    def columns_of(self, item: Any) -> tuple[str, ...]:
        """Return the columns that the first item would decide."""
        if isinstance(item, dict) and item and all(isinstance(name, str) for name in item):
            return tuple(item)
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return tuple(field.name for field in dataclasses.fields(item))
        if isinstance(item, (list, tuple)):
            raise TypeError("a list or a tuple has no names: say columns=[...]")
        raise TypeError(f"expected a dict with fields that have names, a dataclass or a tuple, not {_called(item)}")

    def row(self, item: Any) -> tuple[Any, ...]:
        """Return the values of an item in the order of the columns, or say what is wrong with it."""
        columns = self.columns
        assert columns is not None
        if isinstance(item, dict):
            if len(item) != len(columns) or not all(name in item for name in columns):
                missing = [name for name in columns if name not in item]
                unknown = [name for name in item if name not in columns]
                raise ValueError(
                    f"fields that are not those of the table{f', missing: {missing}' if missing else ''}"
                    f"{f', unknown: {unknown}' if unknown else ''}; choose them in a .map(...)"
                )
            found = itemgetter(*columns)(item)
            row = found if len(columns) > 1 else (found,)
        elif isinstance(item, (list, tuple)):
            if len(item) != len(columns):
                raise ValueError(f"{len(item)} values for {len(columns)} columns")
            row = tuple(item)
        elif dataclasses.is_dataclass(item) and not isinstance(item, type):
            try:
                row = tuple(getattr(item, name) for name in columns)
            except AttributeError as error:
                raise ValueError(str(error)) from None
        else:
            raise TypeError(f"expected a dict, a dataclass or a tuple, not {_called(item)}")
        for name, value in zip(columns, row, strict=True):
            _require_plain(name, value)
        return row


def _require_plain(name: str, value: Any) -> None:
    if value.__class__ is str:
        if not value.isascii():
            value.encode()  # a lone surrogate has no form there
    elif not isinstance(value, PLAIN):
        raise TypeError(
            f"column {name!r}: SQLite holds texts, numbers and bytes, not {_called(value)}: make one in a .map(...)"
        )
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"column {name!r}: {value} is beyond the 64 bits of SQLite's numbers")


def _called(value: Any) -> str:
    return type(value).__qualname__
