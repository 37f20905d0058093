"""`key_by(...).join_table(...)`: one look into a table for each item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.callables import name_of
from streamflow.operators.element import DROPPED, ElementOperator
from streamflow.operators.joining.table import Lookup, Table


@dataclass(frozen=True, eq=False)
class JoinTable(ElementOperator):
    """Join each item with the row that `table` has for `key(item)`, as it was last read."""

    key: Callable[[Any], Any]
    table: Table
    how: Literal["inner", "left"] = "left"
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `join_table(load)`, or the user's name."""
        every = f", every={self.table.every:g} s" if self.table.every is not None else ""
        return self.name or f"join_table({name_of(self.table.load)}{every}, how={self.how})"

    @property
    def function(self) -> Callable[..., Any]:
        """Return the function that gives the key."""
        return self.key

    @property
    def drops(self) -> bool:
        """Tell whether items without a row vanish."""
        return self.how == "inner"

    @property
    def repeatable(self) -> bool:
        """Tell whether the table is the same for all items."""
        return self.table.every is None

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form: what is not there is None only if it is to be dropped."""
        return ("y = s.join(f(x), x)", *["if y is None: DROP"] * self.drops, "x = y")

    def apply(self, item: Any, state: Lookup, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        joined = state.join(call(item), item)
        return DROPPED if joined is None else joined

    def start(self) -> Lookup:
        """Begin with a table that is still to be read."""
        return Lookup(self.table, self.how)
