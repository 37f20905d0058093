"""`event_time`: say when each item happened, and how far the stream has come by that."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from time import time
from typing import Any

from streamflow.model.interfaces import State
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.callables import name_of
from streamflow.operators.element import ElementOperator

_MOST = sys.float_info.max
#: Three million years ago. From a time without bounds the clock could not go on by `max_ahead`.
EARLIEST = -1e14
#: How many make a second, of units in which times are given by mistake.
_UNITS = {"milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
_TAKEN = "expected seconds since the epoch, a datetime or ISO 8601 text"


class Clock(State):
    """Follow the highest event time so far; the watermark lies `lateness` below it.

    Both are functions of the items alone. `bound` is where a closer look at a time is due: it may be one from the far
    future, which must not close every window.
    """

    __slots__ = ("bound", "highest", "label", "lateness", "max_ahead", "now")

    def __init__(self, lateness: float = 0.0, max_ahead: float = math.inf, label: str = "event_time") -> None:
        self.highest = -math.inf
        self.bound = -math.inf
        self.lateness = lateness
        self.max_ahead = max_ahead
        self.label = label
        #: The time of the item under way, for the interpreted twin.
        self.now: float = 0.0

    @property
    def watermark(self) -> float:
        """Return the time before which nothing is expected any more."""
        return self.highest - self.lateness

    def convert(self, given: Any) -> float:
        """Make seconds since the epoch of what the user's function has returned; a naive datetime is in UTC."""
        if isinstance(given, str):
            try:
                given = datetime.fromisoformat(given)
            except ValueError:
                raise ValueError(f"{self.label}: {given!r} is no time: {_TAKEN}") from None
        if isinstance(given, datetime):
            return (given if given.tzinfo is not None else given.replace(tzinfo=UTC)).timestamp()
        if given is None or isinstance(given, (bool, date)) or not _is_number(given):
            raise TypeError(f"{self.label}: {given!r} ({type(given).__name__}) is no time: {_TAKEN}")
        return float(given)

    def leap(self, found: float) -> None:
        """Take a time beyond `bound`: refuse it if no clock can show it, else go on by `max_ahead` at the most."""
        limit = time() + self.max_ahead
        if found < EARLIEST:
            self.refuse(found)
        if not found <= limit or not found <= _MOST:
            raise ValueError(f"{self.label}: {found!r} {self._too_far(found)}")
        if self.highest == -math.inf or found <= self.highest + self.max_ahead:
            self.highest = found
        else:
            self.highest += self.max_ahead
        self.bound = min(self.highest + self.max_ahead, limit, _MOST)

    def _too_far(self, found: float) -> str:
        if not found <= _MOST:
            return f"is no time: {_TAKEN}"
        return f"is further ahead of the wall clock than max_ahead={self.max_ahead:g} s allows{self._unit(found)}"

    def _unit(self, found: float) -> str:
        """Ask whether the time is in another unit: the largest in which the wall clock may show it."""
        for unit, parts in _UNITS.items():
            if found > 1e11 and found / parts <= time() + self.max_ahead:
                return f"; are these {unit}? Divide them by {parts:,}"
        return ""

    def refuse(self, found: float) -> None:
        """Raise ValueError for NaN, minus infinity, and what is before all calendars."""
        raise ValueError(f"{self.label}: {found!r} is no time: {_TAKEN}")

    def admit(self, found: Any) -> float:
        """Do what the generated lines do with what the user's function has returned; return the time."""
        if found.__class__ is not float and found.__class__ is not int:
            found = self.convert(found)
        if found > self.highest:
            if found <= self.bound:
                self.highest = found
            else:
                self.leap(found)
        elif not found >= EARLIEST:
            self.refuse(found)
        self.now = found
        return float(found)

    def snapshot(self) -> Any:
        """Return the highest time."""
        return self.highest

    def restore(self, snapshot: Any) -> None:
        """Set the highest time; the next one above it is looked at closely."""
        self.highest = snapshot
        self.bound = -math.inf


@dataclass(frozen=True, eq=False)
class EventTime(ElementOperator):
    """Give each item the time `call(item)`; the item itself is unchanged.

    `max_lateness`, `idle_after` and `max_ahead` are in seconds; None for the latter two switches them off.
    """

    call: Callable[[Any], Any]
    max_lateness: float = 0.0
    idle_after: float | None = None
    max_ahead: float | None = 86400.0
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `event_time(function)`, or the user's name."""
        return self.name or f"event_time({name_of(self.call)})"

    @property
    def function(self) -> Callable[..., Any]:
        """Return the user's function."""
        return self.call

    @property
    def sets_time(self) -> bool:
        """Tell that it does."""
        return True

    @property
    def keeps(self) -> str:
        """Return what the clock goes by: another lateness would make other items late."""
        return f"event_time(max_lateness={self.max_lateness:g}, max_ahead={self.max_ahead})"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form: `t` is the time of the item from here on."""
        return (
            "t = f(x)",
            "if t.__class__ is not float and t.__class__ is not int: t = s.convert(t)",
            "if t > s.highest:",
            "    if t <= s.bound: s.highest = t",
            "    else: s.leap(t)",
            f"elif not t >= {EARLIEST!r}: s.refuse(t)",
        )

    def apply(self, item: Any, state: Clock, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        state.admit(call(item))
        return item

    def start(self) -> Clock:
        """Begin before all time."""
        ahead = math.inf if self.max_ahead is None else self.max_ahead
        return Clock(self.max_lateness, ahead, self.label)


def _is_number(given: Any) -> bool:
    """Tell whether a float can be made of it; a bool of NumPy's is no number, as one of Python's is none."""
    return hasattr(given, "__float__") and getattr(getattr(given, "dtype", None), "kind", "") != "b"
