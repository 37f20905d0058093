"""`batch`: gather items into lists, by number and (if asked) by time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamflow.model.interfaces import Operator, State
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.element import KEPT, ElementOperator


class Gathering(State):
    """Hold the items of a batch that is not full."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items: list[Any] = []

    @property
    def retained(self) -> int:  # type: ignore[override]
        """Return how many items wait."""
        return len(self.items)

    def snapshot(self) -> Any:
        """Return a copy of the items: a barrier does not flush them."""
        return tuple(self.items)

    def restore(self, snapshot: Any) -> None:
        """Set the items."""
        self.items = list(snapshot)

    def flush(self) -> list[Any]:
        """Give the partial batch, if there is one."""
        items, self.items = self.items, []
        return [items] if items else []


@dataclass(frozen=True, eq=False)
class BatchBySize(ElementOperator):
    """Gather each `size` items into a list; the last may be shorter. It ends its stage: batches are counted afresh."""

    size: int
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `batch(n)`, or the user's name."""
        return self.name or f"batch({self.size})"

    @property
    def multiplies(self) -> bool:
        """Tell that many items become one."""
        return True

    @property
    def keeps(self) -> str:
        """Return that it is a partial batch of a certain size."""
        return f"a partial batch({self.size})"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return (
            "s.items.append(x)",
            f"if len(s.items) < {self.size}: KEEP",
            "x = s.items",
            "s.items = []",
        )

    def apply(self, item: Any, state: Gathering, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        state.items.append(item)
        if len(state.items) < self.size:
            return KEPT
        full, state.items = state.items, []
        return full

    def start(self) -> Gathering:
        """Begin empty."""
        return Gathering()


@dataclass(frozen=True, eq=False)
class BatchWithin(Operator):
    """Gather up to `size` items into a list, and hand it on at the latest `within` seconds after its first."""

    size: int
    within: float
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `batch(n, within=s)`, or the user's name."""
        return self.name or f"batch({self.size}, within={self.within:g})"

    @property
    def keeps(self) -> str:
        """Return that it is a partial batch of a certain size."""
        return f"a partial batch({self.size})"

    @property
    def multiplies(self) -> bool:
        """Tell that many items become one."""
        return True

    @property
    def repeatable(self) -> bool:
        """Tell that the output depends on time."""
        return False
