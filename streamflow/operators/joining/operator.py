"""`key_by(...).join(...)` and `.join_asof(...)`: two keyed flows become one, by event time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from streamflow.model.arguments import duration_of
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Operator
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.callables import name_of
from streamflow.operators.grid import Grid
from streamflow.operators.joining.as_of import AsOfJoin
from streamflow.operators.joining.interval import IntervalJoin
from streamflow.operators.joining.state import How, JoinState, require_how
from streamflow.operators.joining.windowed import WindowedJoin
from streamflow.operators.window_specs import Duration, Sliding, Tumbling, WindowSpec


@dataclass(frozen=True, slots=True)
class InWindows:
    """Pair what is in the same window."""

    spec: Tumbling | Sliding
    repeatable = True
    timed_results = True

    @property
    def label(self) -> str:
        """Return it as in the flow."""
        return f"join(window={self.spec.label}"

    def start(self, how: Any) -> JoinState:
        """Begin with no window."""
        return WindowedJoin(_Assign(self.spec.grid), how)


@dataclass(frozen=True, slots=True)
class Within:
    """Pair a left item with the right ones from `lower` to `upper` seconds after it, as soon as both are there."""

    lower: float
    upper: float
    repeatable = False
    timed_results = False

    @property
    def label(self) -> str:
        """Return it as in the flow."""
        return f"join(within=({self.lower:g} s, {self.upper:g} s)"

    def start(self, how: Any) -> JoinState:
        """Begin with nothing held."""
        return IntervalJoin(self.lower, self.upper, how)


@dataclass(frozen=True, slots=True)
class AsOf:
    """Pair a left item with the latest right one up to its time, not older than `tolerance` seconds."""

    tolerance: float
    repeatable = True
    timed_results = False

    @property
    def label(self) -> str:
        """Return it as in the flow."""
        return "join_asof(" + (f"tolerance={self.tolerance:g} s" if self.tolerance < math.inf else "")

    def start(self, how: Any) -> JoinState:
        """Begin with nothing held."""
        return AsOfJoin(self.tolerance, how)


class _Assign:
    """Name the windows of a time; those of the last one are at hand."""

    __slots__ = ("_from", "_grid", "_until", "_windows")

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._from = self._until = math.inf
        self._windows: list[tuple[float, float]] = []

    def __call__(self, time: float) -> list[tuple[float, float]]:
        if not self._from <= time < self._until:
            grid = self._grid
            numbers = grid.covering(time)
            self._windows = [grid.bounds(n) for n in numbers]
            # The same windows hold every time until one of them ends or the next begins, and back to where that was so.
            self._from = max(self._windows[-1][0], grid.bounds(numbers[0] - 1)[1])
            self._until = min(self._windows[0][1], grid.begin(numbers[-1] + 1))
        return self._windows


@dataclass(frozen=True, eq=False)
class Join(Operator):
    """Pair the items of two inputs that have the same key and belong together by `form`.

    `keys` are the functions of the two inputs. Late items are dropped, or leave by the second output if `parts_late`.
    """

    keys: tuple[Callable[[Any], Any], Callable[[Any], Any]]
    form: InWindows | Within | AsOf
    how: How
    name: str | None = None
    errors: ErrorPolicy = FAIL
    parts_late: bool = False

    @property
    def label(self) -> str:
        """Return `join(…)`, or the user's name."""
        return self.name or self._form

    @property
    def _form(self) -> str:
        opening = self.form.label
        return f"{opening}{'' if opening.endswith('(') else ', '}how={self.how})"

    @property
    def multiplies(self) -> bool:
        """Tell that many items become one, or one many."""
        return True

    @property
    def repeatable(self) -> bool:
        """Tell whether the order of the results is independent of which input is ahead."""
        return self.form.repeatable

    @property
    def timed_results(self) -> bool:
        """Tell whether results have an event time: the last one in their window."""
        return self.form.timed_results

    @property
    def keeps(self) -> str:
        """Return everything that gives the items held their meaning."""
        return f"{self._form} by {name_of(self.keys[0])} and {name_of(self.keys[1])}"

    def parting_late(self) -> Join:
        """Return it with an output for late items."""
        return replace(self, parts_late=True)

    def start(self) -> JoinState:
        """Begin with nothing held."""
        return self.form.start(self.how)


def join_form(window: WindowSpec | None, within: tuple[Duration, Duration] | None, how: object) -> InWindows | Within:
    """Return what `join(...)` describes; FlowError for what cannot work."""
    require_how(how, ("inner", "left", "outer"), "join")
    if (window is None) == (within is None):
        raise FlowError(
            "join(...): say which items belong together: either window=sf.tumbling('1m'), or within=('-5s', '10s'), "
            "the right item's time less the left one's"
        )
    if within is not None:
        if not isinstance(within, (tuple, list)) or len(within) != 2:
            raise FlowError(f"join(within={within!r}): expected two durations, as in ('-5s', '10s')")
        lower, upper = (_signed("join(within=...)", one) for one in within)
        if lower > upper:
            raise FlowError(f"join(within={within!r}): the first must be the lesser one: exchange them")
        return Within(lower, upper)
    if not isinstance(window, (Tumbling, Sliding)):
        raise FlowError(
            f"join(window={getattr(window, 'label', window)!r}): expected sf.tumbling(...) or sf.sliding(...), whose "
            f"windows both flows share; for items that are near each other, use within="
        )
    return InWindows(window)


def as_of_form(tolerance: Duration | None, how: object) -> AsOf:
    """Return what `join_asof(...)` describes; FlowError for what cannot work."""
    require_how(how, ("inner", "left"), "join_asof")
    if tolerance is None:
        return AsOf(math.inf)
    return AsOf(duration_of("join_asof(tolerance=...)", tolerance, zero=True))


def _signed(what: str, duration: Any) -> float:
    """Return the seconds of a duration that may be negative."""
    if isinstance(duration, str) and duration.lstrip().startswith("-"):
        return -duration_of(what, duration.replace("-", "", 1), zero=True)
    zero: Any = timedelta(0) if isinstance(duration, timedelta) else 0
    negative = isinstance(duration, (int, float, timedelta)) and duration < zero
    return -duration_of(what, -duration, zero=True) if negative else duration_of(what, duration, zero=True)
