"""`scan`: hand on every intermediate result of a fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamflow.model.interfaces import State
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.callables import name_of
from streamflow.operators.element import ElementOperator


class ScanState(State):
    """Hold the value that the fold has reached."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def snapshot(self) -> Any:
        """Return the value."""
        return self.value

    def restore(self, snapshot: Any) -> None:
        """Set the value."""
        self.value = snapshot


@dataclass(frozen=True, eq=False)
class Scan(ElementOperator):
    """Replace each item by `call(value, item)`, where `value` is the previous result; an error leaves it unchanged."""

    call: Callable[[Any, Any], Any]
    initial: Any
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `scan(function)`, or the user's name."""
        return self.name or f"scan({name_of(self.call)})"

    @property
    def keeps(self) -> str:
        """Return that it is the value the fold has reached."""
        return "the value of a scan"

    @property
    def function(self) -> Callable[..., Any]:
        """Return the user's function."""
        return self.call

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return ("x = s.value = f(s.value, x)",)

    def apply(self, item: Any, state: ScanState, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        state.value = call(state.value, item)
        return state.value

    def start(self) -> ScanState:
        """Begin at the initial value."""
        return ScanState(self.initial)
