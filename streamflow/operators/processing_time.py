"""`processing_time`: an item's time is when it is processed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.element import ElementOperator
from streamflow.operators.event_time import Clock


class WallClock(Clock):
    """Tell the time of the wall, which goes on with the clock of the run, and never goes back."""

    __slots__ = ("_base", "run_time")

    def __init__(self, label: str) -> None:
        super().__init__(label=label)
        self._base: float | None = None
        #: The run's clock, which the engine sets.
        self.run_time: Callable[[], float] = time.monotonic

    def tick(self) -> float:
        """Return what time it is, and note it as the highest."""
        if self._base is None:
            self._base = time.time() - self.run_time()
        self.highest = self.now = max(self.highest, self._base + self.run_time())
        return self.now

    def run_time_of(self, moment: float) -> float:
        """Return what the run's clock shows when it is `moment`."""
        self.tick()
        assert self._base is not None
        return moment - self._base


@dataclass(frozen=True, eq=False)
class ProcessingTime(ElementOperator):
    """Give each item the time at which it passes."""

    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `processing_time`, or the user's name."""
        return self.name or "processing_time"

    @property
    def sets_time(self) -> bool:
        """Tell that it does."""
        return True

    @property
    def runs_by_clock(self) -> bool:
        """Tell that it goes by the run's clock."""
        return True

    @property
    def keeps(self) -> str:
        """Return what the clock goes by."""
        return "processing_time"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return ("t = s.tick()",)

    def apply(self, item: Any, state: WallClock, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        state.tick()
        return item

    def start(self) -> WallClock:
        """Begin at no time."""
        return WallClock(self.label)
