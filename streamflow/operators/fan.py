"""`route`, `merge`, `zip` and `concat`: where a flow parts and comes together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from streamflow.model.interfaces import Operator
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.callables import name_of
from streamflow.operators.element import ElementOperator


@dataclass(frozen=True, eq=False)
class Route(ElementOperator):
    """Send each item to the output named by `call(item)`, to `default` if no output has that name.

    It ends its stage: what it hands on are pairs of the output and the item, which the outlet sorts.
    """

    call: Callable[[Any], Any]
    outputs: tuple[Any, ...]
    default: Any = None
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `route(function)`, or the user's name."""
        return self.name or f"route({name_of(self.call)})"

    @property
    def function(self) -> Callable[..., Any]:
        """Return what chooses the output."""
        return self.choose

    @property
    def multiplies(self) -> bool:
        """Tell that each output gets only some of the items."""
        return True

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return ("x = (f(x), x)",)

    def apply(self, item: Any, state: Any, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        return (call(item), item)

    def choose(self, item: Any) -> Any:
        """Return the output for `item`; LookupError if there is none."""
        chosen = self.call(item)
        if isawaitable(chosen):
            return chosen  # the first item is checked for this, with the fix in the message
        if chosen in self.outputs:
            return chosen
        if self.default is None:
            raise LookupError(
                f"{self.label}: no output is named {chosen!r} (there are {', '.join(map(repr, self.outputs))}); "
                f"add it, or give default="
            )
        return self.default


@dataclass(frozen=True, eq=False)
class Output(Operator):
    """Be one output of a `route`."""

    which: Any
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def multiplies(self) -> bool:
        """Tell that items which go elsewhere are missing here."""
        return True


@dataclass(frozen=True, eq=False)
class Merge(Operator):
    """Interleave the inputs by arrival, each in its own order; end when all have ended."""

    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def repeatable(self) -> bool:
        """Tell that the output depends on arrival."""
        return False


@dataclass(frozen=True, eq=False)
class Zip(Operator):
    """Join the n-th items of all inputs into a tuple; end at the shortest, or fail there if `strict`."""

    strict: bool = False
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def keeps(self) -> str:
        """Return that it is what waits for its counterpart."""
        return "what waits in zip"


@dataclass(frozen=True, eq=False)
class Concat(Operator):
    """Hand on the first input whole, then the next, and so on."""

    name: str | None = None
    errors: ErrorPolicy = FAIL
