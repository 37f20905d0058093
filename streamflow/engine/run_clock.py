"""The time of a run, which stands still while the run is paused."""

from __future__ import annotations

import math
from asyncio import AbstractEventLoop


class RunClock:
    """Tell seconds by the clock of `loop`, less the time that the run stood paused."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._stood = 0.0
        self._stopped_at: float | None = None

    def now(self) -> float:
        """Return the time of the run."""
        return (self._loop.time() if self._stopped_at is None else self._stopped_at) - self._stood

    def due(self, deadline: float) -> float:
        """Return when, by the loop's clock, it will be `deadline`: never, as far as a standing clock knows."""
        return math.inf if self._stopped_at is not None else deadline + self._stood

    def passed(self, deadline: float) -> bool:
        """Tell whether `deadline` is over."""
        return self._loop.time() >= self.due(deadline)

    def stop(self) -> None:
        """Stand still."""
        self._stopped_at = self._loop.time()

    def go_on(self) -> None:
        """Go on from the time at which the clock stopped."""
        if self._stopped_at is not None:
            self._stood += self._loop.time() - self._stopped_at
            self._stopped_at = None
