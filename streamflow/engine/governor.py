"""When a run is near its memory limit: a state machine that takes readings and says what to do. Pure.

Sources are held at a mark below the limit and let go at a lower one. It cannot deadlock: while they are held and
nothing moves any more, one batch is let through, again and again, whoever it is that holds the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streamflow.model.statistics import MemoryStatistics

Step = Literal["go on", "trim", "hold", "collect", "let one pass", "let go"]

#: Bytes a second that sources may add: so much that a reading comes in time, whatever they read.
FASTEST = 8e9
#: Seconds from one reading to the next: near the mark, while sources are held, and at most.
SHORTEST, WHILE_HELD, LONGEST = 0.005, 0.01, 0.25
#: Seconds ahead that the growth between two readings is thought to go on.
AHEAD = 0.01
#: The share of the limit between it and the mark, and again from there to the lower mark; in bytes at most.
MARGIN, MARGIN_AT_MOST = 1 / 8, 256 << 20
#: Seconds until the next trim, while sources are held for it, and at most, while trims find nothing.
TRIM_EVERY, TRIM_WHILE_HELD, TRIM_AT_LEAST_EVERY = 0.25, 0.05, 8.0
#: Bytes from which on a trim has found something.
WORTH = 1 << 20
#: Seconds without any movement after which a batch is let through although some call is under way; each time twice as
#: many. That call may wait for what the sources have not read yet.
PATIENCE, PATIENCE_AT_MOST = 1.0, 32.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold what was seen at one moment, in seconds and bytes.

    `moved`: an item has gone on since the reading before. `settled`: nothing is under way, and nothing can move unless
    a source reads.
    """

    at: float
    bytes: int
    moved: bool = False
    settled: bool = False


class Governor:
    """Hold sources while memory is above a mark below `limit`; keep the books of it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        margin = min(int(limit * MARGIN), MARGIN_AT_MOST)
        self.high = limit - margin
        self.low = self.high - margin
        #: From here on, what is not in use is given back before anybody is held.
        self.soft = self.high - margin // 2
        self.held = False
        self._last: Reading | None = None
        self._held_since = 0.0
        self._still_since = 0.0
        self._patience = PATIENCE
        self._trim_at = 0.0
        self._trim_pause = TRIM_EVERY
        self._trimming = False
        self._collected = False
        self._peak = self._times = self._trims = self._reclaimed = self._passed = 0
        self._seconds = 0.0

    def decide(self, now: Reading) -> Step:
        """Take a reading and return what to do."""
        rate = self._growth(now)
        self._last = now
        self._peak = max(self._peak, now.bytes)
        if not self.held:
            return self._decide_free(now, rate)
        if now.moved:
            self._still_since = now.at
        return self._decide_held(now)

    def _growth(self, now: Reading) -> float:
        if self._last is None or now.at <= self._last.at:
            return 0.0
        return max(0.0, (now.bytes - self._last.bytes) / (now.at - self._last.at))

    def _decide_free(self, now: Reading, rate: float) -> Step:
        if now.bytes >= self.high or now.bytes + rate * AHEAD >= self.limit:
            self.held, self._held_since, self._still_since = True, now.at, now.at
            self._patience, self._collected = PATIENCE, False
            self._trim_at = min(self._trim_at, now.at + TRIM_WHILE_HELD)
            self._times += 1
            return "hold"
        return self._trim(now) if now.bytes >= self.soft else "go on"

    def _decide_held(self, now: Reading) -> Step:
        if now.bytes < self.low:
            return self._let_go(now)
        if now.at - self._still_since >= self._patience:
            self._patience = min(2 * self._patience, PATIENCE_AT_MOST)
            return self._let_one_pass(now)
        if now.settled and not now.moved:
            return self._decide_settled(now)
        return self._trim(now)

    def _decide_settled(self, now: Reading) -> Step:
        """What was under way is done: what can be had back is had back once; then holding on would help nobody."""
        if self._trimming:
            return "go on"
        if not self._collected or now.at >= self._trim_at:
            self._collected = self._trimming = True
            return "collect"
        return self._let_go(now) if now.bytes < self.high else self._let_one_pass(now)

    def _trim(self, now: Reading) -> Step:
        if self._trimming or now.at < self._trim_at:
            return "go on"
        self._trimming = True
        return "trim"

    def _let_go(self, now: Reading) -> Step:
        self.held = False
        self._seconds += now.at - self._held_since
        return "let go"

    def _let_one_pass(self, now: Reading) -> Step:
        self._still_since = now.at
        return "let one pass"

    def passed(self) -> None:
        """Be told that a source was let through, which there may be none of: the user has paused them too."""
        self._passed += 1

    def release(self, now: Reading) -> Step:
        """Take a reading where there is no source any more that could be held."""
        self._last = now
        self._peak = max(self._peak, now.bytes)
        return self._let_go(now) if self.held else "go on"

    def trimmed(self, at: float, reclaimed: int) -> None:
        """Be told that a trim is over and by how many bytes memory fell; what finds little is tried less often."""
        self._trimming = False
        self._trims += 1
        self._reclaimed += max(reclaimed, 0)
        worth = reclaimed >= WORTH
        if worth:
            self._trim_pause = TRIM_WHILE_HELD if self.held else TRIM_EVERY
        else:
            self._trim_pause = min(2 * self._trim_pause, TRIM_AT_LEAST_EVERY)
        self._trim_at = at + self._trim_pause

    @property
    def pause(self) -> float:
        """Return the seconds until the next reading is due."""
        if self.held or self._last is None:
            return WHILE_HELD
        return min(max((self.high - self._last.bytes) / FASTEST, SHORTEST), LONGEST)

    @property
    def seconds_of_this_hold(self) -> float:
        """Return for how long the sources are, or were, held this time, as far as was read."""
        return self._last.at - self._held_since if self._last is not None and self._times else 0.0

    def statistics(self) -> MemoryStatistics:
        """Return the figures as of the latest reading."""
        return MemoryStatistics(
            limit=self.limit,
            now=self._last.bytes if self._last is not None else 0,
            peak=self._peak,
            held=self.held,
            times_held=self._times,
            seconds_held=self._seconds + (self.seconds_of_this_hold if self.held else 0.0),
            trims=self._trims,
            reclaimed=self._reclaimed,
            let_through=self._passed,
        )

    def __repr__(self) -> str:
        now = self._last.bytes if self._last is not None else 0
        return f"<Governor: {now:,} of {self.limit:,} bytes, sources {'held' if self.held else 'free'}>"
