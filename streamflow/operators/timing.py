"""`throttle`, `debounce` and `timeout`: what depends on the clock."""

from __future__ import annotations

from dataclasses import dataclass

from streamflow.model.interfaces import Operator
from streamflow.model.policies import FAIL, ErrorPolicy


@dataclass(frozen=True, eq=False)
class Throttle(Operator):
    """Let at most `count` items pass in any `per` seconds; nothing is dropped, the input waits."""

    count: int
    per: float
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `throttle(n per s)`, or the user's name."""
        return self.name or f"throttle({self.count} per {self.per:g} s)"

    @property
    def repeatable(self) -> bool:
        """Tell that only the pace depends on time, never the items; batch edges and watermarks may."""
        return False


@dataclass(frozen=True, eq=False)
class Debounce(Operator):
    """Hand on an item once `quiet` seconds have passed without another; those it displaces are dropped."""

    quiet: float
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `debounce(s)`, or the user's name."""
        return self.name or f"debounce({self.quiet:g} s)"

    @property
    def keeps(self) -> str:
        """Return that it is the item that waits."""
        return "the item that waits in debounce"

    @property
    def multiplies(self) -> bool:
        """Tell that items vanish here."""
        return True

    @property
    def repeatable(self) -> bool:
        """Tell that the output depends on time."""
        return False


@dataclass(frozen=True, eq=False)
class Timeout(Operator):
    """Fail with `ItemTimeout` when no item arrives for `seconds`."""

    seconds: float
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `timeout(s)`, or the user's name."""
        return self.name or f"timeout({self.seconds:g} s)"

    @property
    def repeatable(self) -> bool:
        """Tell that whether it fails depends on time."""
        return False
