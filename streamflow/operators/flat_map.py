"""`flat_map` and `unbatch`: many items from one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamflow.model.interfaces import Operator
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.callables import name_of


@dataclass(frozen=True, eq=False)
class FlatMap(Operator):
    """Hand on each item of what `call(item)` gives (the item itself without `call`).

    The iterable is pulled a slice at a time, so that an expansion into millions neither fills memory nor holds the
    loop; an async iterable is awaited. It ends its stage: the children are counted afresh.
    """

    call: Callable[[Any], Any] | None = None
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `flat_map(function)` or `unbatch`, or the user's name."""
        return self.name or ("unbatch" if self.call is None else f"flat_map({name_of(self.call)})")

    @property
    def multiplies(self) -> bool:
        """Tell that one item becomes many."""
        return True
