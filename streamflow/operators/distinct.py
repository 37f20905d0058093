"""`distinct`: hand on each key once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamflow.model.interfaces import State
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.element import DROPPED, ElementOperator


class Seen(State):
    """Remember keys in the order in which they were first seen, the last `limit` of them if there is a limit."""

    __slots__ = ("keys", "limit")

    def __init__(self, limit: int | None) -> None:
        # A plain dict would look for its oldest key past all that were deleted before it.
        self.keys: OrderedDict[Any, None] = OrderedDict()
        self.limit = limit

    def snapshot(self) -> Any:
        """Return the keys, oldest first."""
        return tuple(self.keys)

    def restore(self, snapshot: Any) -> None:
        """Set the keys."""
        self.keys = OrderedDict.fromkeys(snapshot)

    def new(self, key: Any) -> bool:
        """Tell whether `key` is new, and remember it."""
        if key in self.keys:
            return False
        self.keys[key] = None
        if self.limit is not None and len(self.keys) > self.limit:
            self.keys.popitem(last=False)
        return True


@dataclass(frozen=True, eq=False)
class Distinct(ElementOperator):
    """Leave out items whose key (`call(item)`, or the item itself) was seen before.

    Without `limit` every key is kept in memory; with it the last `limit` new ones are, oldest forgotten first.
    """

    call: Callable[[Any], Any] | None = None
    limit: int | None = None
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def keeps(self) -> str:
        """Return that it is the keys seen, and how many of them."""
        return f"the keys seen by distinct(limit={self.limit})"

    @property
    def function(self) -> Callable[..., Any] | None:
        """Return the user's function, if one was given."""
        return self.call

    @property
    def drops(self) -> bool:
        """Tell that repetitions vanish."""
        return True

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return ("if not s.new(f(x)): DROP",) if self.call is not None else ("if not s.new(x): DROP",)

    def apply(self, item: Any, state: Seen, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        return item if state.new(item if self.call is None else call(item)) else DROPPED

    def start(self) -> Seen:
        """Begin with nothing seen."""
        return Seen(self.limit)
