"""How many items to have under way when the user says `concurrency="auto"`. Pure.

Additive increase, multiplicative decrease on the round-trip time, after the adaptive request concurrency of Vector and
Netflix's gradient limits: one more while the limit was reached and waiting has not grown; fewer at once when it has,
or when calls fail.
"""

from __future__ import annotations


class AdaptiveLimit:
    """Hold the present limit, and change it once a round of that many results.

    A round is as long as the limit: judging more often would react to the same congestion twice. Times in seconds.
    """

    def __init__(self, *, start: int = 4, most: int = 1000, decrease: float = 0.7, tolerance: float = 1.5) -> None:
        self.limit = start
        self.most = most
        self._decrease = decrease
        self._tolerance = tolerance
        self._best: float | None = None
        self._total = 0.0
        self._count = 0
        self._failed = 0
        self._reached = False

    def observe(self, seconds: float, *, failed: bool, under_way: int) -> bool:
        """Take one result into account; return whether the limit has changed."""
        self._count += 1
        self._total += seconds
        self._failed += failed
        self._reached = self._reached or under_way >= self.limit
        return self._judge() if self._count >= self.limit else False

    def _judge(self) -> bool:
        mean = self._total / self._count
        before = self.limit
        # The best time drifts up slowly, so that a service that has become slower for good is not punished for ever.
        self._best = mean if self._best is None else min(mean, self._best * 1.02)
        if self._failed * 10 > self._count or mean > self._best * self._tolerance:
            self.limit = max(1, int(self.limit * self._decrease))
        elif self._reached:
            self.limit = min(self.most, self.limit + 1)
        self._total, self._count, self._failed, self._reached = 0.0, 0, 0, False
        return self.limit != before
