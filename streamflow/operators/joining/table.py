"""The join with a table: each item with what a mapping has for its key."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from streamflow.model.arguments import duration_of
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import State
from streamflow.model.joined import Joined
from streamflow.operators.callables import name_of, require_callable
from streamflow.operators.joining.state import require_how
from streamflow.operators.window_specs import Duration

_MISSING = object()


@dataclass(frozen=True, eq=False)
class Table:
    """Describe a table that `load` reads, once before the first item and then `every` so many seconds.

    `load` is plain or async, takes nothing and returns a mapping. A table is no state: a run that goes on from a
    checkpoint reads it anew.
    """

    load: Callable[[], Mapping[Any, Any] | Awaitable[Mapping[Any, Any]]]
    every: float | None = None

    def __post_init__(self) -> None:
        require_callable(self.load, "Table")
        if self.every is not None and not 0 < self.every < math.inf:
            raise FlowError(
                f"{self.label}: every={self.every!r} is no time to wait; give seconds above 0, or leave it out "
                f"to read the table once"
            )

    @property
    def label(self) -> str:
        """Return `Table(function)`."""
        return f"Table({name_of(self.load)})"


class Lookup(State):
    """Join items with the table as it was last read.

    A key that is not there leaves its item out (`inner`) or gives it None (`left`); a None of the table is a value.
    """

    __slots__ = ("_how", "_rows", "table")

    def __init__(self, table: Table, how: Literal["inner", "left"] = "left") -> None:
        require_how(how, ("inner", "left"), "join")
        self.table, self._how = table, how
        self._rows: Mapping[Any, Any] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def replace(self, rows: Any) -> None:
        """Take what `load` returned from now on; FlowError, and the table as it was, if that is no mapping."""
        if not isinstance(rows, Mapping):
            raise FlowError(
                f"{self.table.label}: {name_of(self.table.load)}() returned {type(rows).__name__}, expected "
                f"a mapping from key to row: a dict such as {{row['id']: row for row in rows}}"
            )
        self._rows = rows

    def join(self, key: Any, item: Any) -> Joined | None:
        """Return the item with its row; None if it is to be left out. TypeError for a key that cannot be hashed."""
        row = self._rows.get(key, _MISSING)
        if row is not _MISSING:
            return Joined(key, item, row)
        return Joined(key, item, None) if self._how == "left" else None

    def chunks(self) -> Iterator[Any]:
        """Yield nothing: a table is read anew."""
        return iter(())

    def snapshot(self) -> Any:
        """Return nothing."""
        return None

    def restore(self, snapshot: Any) -> None:
        """Take nothing."""
        return None


def table(
    load: Callable[[], Mapping[Any, Any] | Awaitable[Mapping[Any, Any]]], *, every: Duration | None = None
) -> Table:
    """Describe a table to join with: what `load()` returns, a mapping from key to row, read anew each `every`.

    `load` may be async; a plain one is called on a thread. It is read before the first item. While it is read again,
    or if that fails, the table stays as it was; if the first time fails, so does the run.
    """
    return Table(load, None if every is None else duration_of("table(every=...)", every))
