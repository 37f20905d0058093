"""What wakes a stage that waits for items: its processing time goes on, or nothing has come for long."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

from streamflow.model.markers import Marker, Wake
from streamflow.operators.event_time import Clock
from streamflow.operators.processing_time import WallClock

#: Seconds between two words on processing time to those who go by it behind an edge.
TELL_EVERY = 0.1
#: Seconds to wait at least: a rounding error must not have the stage wake for nothing, at the same time, for ever.
LEAST = 1e-6


class Woken(Protocol):
    """Be a stage that can be woken."""

    tells_time: bool

    @property
    def own_clock(self) -> Clock | None:
        """Return the clock of what it hands on."""

    @property
    def due(self) -> float:
        """Return from what time of that clock there is something to do."""

    def inject(self, marker: Marker) -> None:
        """Take a marker behind what already waits."""


class Alarm:
    """Hold the one timer of a stage, by the run's clock, which stands still while the run is paused.

    A timer that goes off too early, because the run was paused meanwhile, is set again.
    """

    def __init__(self, stage: Woken) -> None:
        self._stage = stage
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_since: float | None = None
        #: The run's clock; set for stages that could need it.
        self.run_time: Callable[[], float] | None = None
        self.idle_after: float | None = None

    def set(self) -> None:
        """Make sure that the stage is woken when something is due; it is about to wait."""
        if self.run_time is None or self._timer is not None:
            return
        wait = self._when() - self.run_time()
        if wait != math.inf:
            self._timer = asyncio.get_running_loop().call_later(max(wait, LEAST), self._ring)

    def _when(self) -> float:
        assert self.run_time is not None
        when = math.inf
        clock = self._stage.own_clock
        if isinstance(clock, WallClock):
            if self._stage.due != math.inf:
                when = clock.run_time_of(self._stage.due)
            if self._stage.tells_time:
                when = min(when, self.run_time() + TELL_EVERY)
        if self.idle_after is not None and self._quiet_since is None:
            self._quiet_since = self.run_time()
        return min(when, self._idle_from())

    def _idle_from(self) -> float:
        if self.idle_after is None or self._quiet_since is None:
            return math.inf
        return self._quiet_since + self.idle_after

    def _ring(self) -> None:
        self._stage.inject(Wake())

    def rang(self) -> None:
        """Take note that the stage is awake."""
        self._timer = None

    def note_items(self) -> None:
        """Take note that items have come."""
        self._quiet_since = None
        self.clear()

    def quiet_for_long(self) -> bool:
        """Tell, once, whether nothing has come for as long as makes an input idle."""
        if self.run_time is None or self.run_time() < self._idle_from():
            return False
        self._quiet_since = math.inf
        return True

    def clear(self) -> None:
        """Take the timer back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
