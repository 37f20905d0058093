"""`skip` and `drop_while`: leave out the beginning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamflow.model.interfaces import State
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.callables import name_of
from streamflow.operators.element import DROPPED, ElementOperator


class Leading(State):
    """Hold how many items are still to be left out, or whether any is."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def snapshot(self) -> Any:
        """Return what is left."""
        return self.left

    def restore(self, snapshot: Any) -> None:
        """Set what is left."""
        self.left = snapshot


@dataclass(frozen=True, eq=False)
class Skip(ElementOperator):
    """Leave out the first `count` items."""

    count: int
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `skip(n)`, or the user's name."""
        return self.name or f"skip({self.count})"

    @property
    def keeps(self) -> str:
        """Return that it is how many are still to be left out."""
        return f"what skip({self.count}) has left"

    @property
    def drops(self) -> bool:
        """Tell that the first items vanish."""
        return True

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return ("if s.left:", "    s.left -= 1", "    DROP")

    def apply(self, item: Any, state: Leading, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        if state.left:
            state.left -= 1
            return DROPPED
        return item

    def start(self) -> Leading:
        """Begin with all of them to leave out."""
        return Leading(self.count)


@dataclass(frozen=True, eq=False)
class DropWhile(ElementOperator):
    """Leave out items up to the first that does not satisfy `call`; it and all after it pass."""

    call: Callable[[Any], Any]
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `drop_while(function)`, or the user's name."""
        return self.name or f"drop_while({name_of(self.call)})"

    @property
    def function(self) -> Callable[..., Any]:
        """Return the user's function."""
        return self.call

    @property
    def keeps(self) -> str:
        """Return that it is whether the first to pass has come."""
        return "whether drop_while still drops"

    @property
    def drops(self) -> bool:
        """Tell that the first items vanish."""
        return True

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return ("if s.left:", "    if f(x): DROP", "    s.left = 0")

    def apply(self, item: Any, state: Leading, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        if state.left:
            if call(item):
                return DROPPED
            state.left = 0
        return item

    def start(self) -> Leading:
        """Begin by leaving out."""
        return Leading(1)
