"""Which window an item belongs to: `tumbling`, `sliding`, `session` and `global_window`, as a user describes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from streamflow.model.arguments import duration_of, whole_number
from streamflow.model.errors import FlowError
from streamflow.operators.grid import DAY, Grid, require_whole, zone_of

#: Seconds, a timedelta, or text as "5s", "500ms", "1m", "2h", "1d".
Duration = float | str | timedelta


@dataclass(frozen=True, slots=True)
class Tumbling:
    """Windows of one length, each beginning where the one before it ends."""

    grid: Grid

    @property
    def label(self) -> str:
        """Return it as in the flow."""
        return f"tumbling({_shown(self.grid)})"


@dataclass(frozen=True, slots=True)
class Sliding:
    """Windows of one length that begin each so often, so that an item is in several."""

    grid: Grid

    @property
    def label(self) -> str:
        """Return it as in the flow."""
        return f"sliding({_shown(self.grid)})"


@dataclass(frozen=True, slots=True)
class Session:
    """Windows that grow as long as items of their key follow each other within `gap` seconds."""

    gap: float

    @property
    def label(self) -> str:
        """Return it as in the flow."""
        return f"session({self.gap:g} s)"


@dataclass(frozen=True, slots=True)
class GlobalWindow:
    """One window for all time, which gives a result for each `count` items, or each `every` seconds of event time."""

    count: int | None
    every: float | None
    keep: bool

    @property
    def label(self) -> str:
        """Return it as in the flow."""
        parts = [f"count={self.count}"] if self.count is not None else []
        parts += [f"every={self.every:g} s"] if self.every is not None else []
        return f"global_window({', '.join([*parts, *['keep=True'] * self.keep])})"


#: Windows that one item may be in: each is work that holds the loop.
MOST_WINDOWS = 10_000
#: Times of today in seconds, as floats, are no finer than a quarter of that.
LEAST_LENGTH = 1e-6

WindowSpec = Tumbling | Sliding | Session | GlobalWindow


def tumbling(size: Duration, *, offset: Duration = 0, timezone: str | None = None) -> Tumbling:
    """Return windows of `size`, counted from 1970-01-01 00:00 UTC, or from midnight in `timezone`, and `offset`.

    A day in Europe/Rome has 23 and 25 hours twice a year, and as many windows of '1h'. Weeks of '7d' begin on Thursday,
    as 1970 did; with `offset='4d'` on Monday.
    """
    return Tumbling(_grid("tumbling", size, size, offset, timezone))


def sliding(size: Duration, every: Duration, *, offset: Duration = 0, timezone: str | None = None) -> Sliding:
    """Return windows of `size` of which one begins each `every`; an item is in size ÷ every of them.

    With `timezone` both are whole days.
    """
    grid = _grid("sliding", size, every, offset, timezone)
    if grid.zone is not None and not (grid.size / DAY).is_integer() & (grid.every / DAY).is_integer():
        raise FlowError(
            f"sliding: with timezone= both lengths must be whole days, not {grid.size:g} s each {grid.every:g} s: on "
            f"days of 23 and 25 hours shorter ones have no place of their own; leave out timezone="
        )
    if grid.every > grid.size:
        raise FlowError(
            f"sliding: windows of {grid.size:g} s that begin each {grid.every:g} s leave gaps, and items in them would "
            f"be in no window; filter them out, and use tumbling"
        )
    if grid.size / grid.every > MOST_WINDOWS:
        raise FlowError(
            f"sliding: with {grid.size:g} s each {grid.every:g} s every item would be in {grid.size / grid.every:,.0f} "
            f"windows, and more than {MOST_WINDOWS:,} are too many: give a longer every="
        )
    return Sliding(grid)


def session(gap: Duration) -> Session:
    """Return windows that end when no item of their key has come for `gap` of event time."""
    return Session(duration_of("session", gap))


def global_window(count: int | None = None, every: Duration | None = None, keep: bool = False) -> GlobalWindow:
    """Return one window for all time, which gives a result of a key after `count` items of it, each `every`, or both.

    It begins anew after each result, unless `keep`: then it goes on. What is left gives a result at the end.
    """
    if count is not None:
        whole_number("global_window(count=...)", count, 1)
    if not isinstance(keep, bool):
        raise FlowError(f"global_window(keep={keep!r}): expected True or False")
    return GlobalWindow(count, None if every is None else duration_of("global_window(every=...)", every), keep)


def _grid(what: str, size: Duration, every: Duration, offset: Duration, timezone: str | None) -> Grid:
    length = duration_of(what, size)
    step = length if every is size else duration_of(f"{what}(every=...)", every)
    if min(length, step) < LEAST_LENGTH:
        raise FlowError(f"{what}: {min(length, step):g} s is less than event times can tell apart: give '1us' at least")
    zone = zone_of(f"{what}(timezone=...)", timezone)
    require_whole(what, length, zone)
    require_whole(what, step, zone)
    return Grid(length, step, duration_of(f"{what}(offset=...)", offset, zero=True), zone)


def _shown(grid: Grid) -> str:
    parts = [f"{grid.size:g} s"]
    parts += [f"every={grid.every:g} s"] if grid.every != grid.size else []
    parts += [f"offset={grid.offset:g} s"] if grid.offset else []
    parts += [f"timezone={grid.zone.key}"] if grid.zone is not None else []
    return ", ".join(parts)
