"""`take` and `take_while`: end the flow early, which is success."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamflow.model.interfaces import State
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.callables import name_of
from streamflow.operators.element import DROPPED, ElementOperator


class Countdown(State):
    """Count what may still pass."""

    __slots__ = ("finished", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.finished = left == 0

    def snapshot(self) -> Any:
        """Return what is left."""
        return self.left

    def restore(self, snapshot: Any) -> None:
        """Set what is left."""
        self.left = snapshot
        self.finished = snapshot == 0

    def admit(self) -> None:
        """Let one more pass."""
        self.left -= 1
        self.finished = self.left == 0


@dataclass(frozen=True, eq=False)
class Take(ElementOperator):
    """Hand on the first `count` items, then close the input."""

    count: int
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `take(n)`, or the user's name."""
        return self.name or f"take({self.count})"

    @property
    def keeps(self) -> str:
        """Return that it is how many may still pass."""
        return f"what take({self.count}) has left"

    @property
    def drops(self) -> bool:
        """Tell that what follows the last item vanishes."""
        return True

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return ("if s.finished: STOP", "s.admit()")

    def apply(self, item: Any, state: Countdown, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        if state.finished:
            return DROPPED
        state.admit()
        return item

    def start(self) -> Countdown:
        """Begin with all of them left."""
        return Countdown(self.count)


class Gate(State):
    """Remember whether a predicate has decided."""

    __slots__ = ("finished",)

    def __init__(self) -> None:
        self.finished = False

    def snapshot(self) -> Any:
        """Return whether it has decided."""
        return self.finished

    def restore(self, snapshot: Any) -> None:
        """Set whether it has decided."""
        self.finished = snapshot


@dataclass(frozen=True, eq=False)
class TakeWhile(ElementOperator):
    """Hand items on up to the first that does not satisfy `call`, then close the input."""

    call: Callable[[Any], Any]
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `take_while(function)`, or the user's name."""
        return self.name or f"take_while({name_of(self.call)})"

    @property
    def function(self) -> Callable[..., Any]:
        """Return the user's function."""
        return self.call

    @property
    def keeps(self) -> str:
        """Return that it is whether the last has passed."""
        return "whether take_while has decided"

    @property
    def drops(self) -> bool:
        """Tell that what follows vanishes."""
        return True

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return ("if s.finished: STOP", "if not f(x):", "    s.finished = True", "    STOP")

    def apply(self, item: Any, state: Gate, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        if state.finished:
            return DROPPED
        if not call(item):
            state.finished = True
            return DROPPED
        return item

    def start(self) -> Gate:
        """Begin undecided."""
        return Gate()
