"""Quantiles of a stream of durations, over a bounded sample."""

from __future__ import annotations

from collections import deque

from streamflow.model.statistics import Latency

#: Probes remembered: at ten a second for each source, several minutes.
KEPT = 4096


class Durations:
    """Remember the last `KEPT` durations, and how many there were."""

    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=KEPT)
        self._count = 0
        self._worst: float | None = None

    def add(self, seconds: float) -> None:
        """Take one duration."""
        self._kept.append(seconds)
        self._count += 1
        self._worst = seconds if self._worst is None else max(self._worst, seconds)

    def take_worst(self) -> float | None:
        """Return the longest since this was last asked, or None."""
        worst, self._worst = self._worst, None
        return worst

    def latency(self) -> Latency:
        """Return the quantiles."""
        if not self._kept:
            return Latency()
        ordered = sorted(self._kept)
        return Latency(
            count=self._count,
            p50=quantile(ordered, 0.50),
            p95=quantile(ordered, 0.95),
            p99=quantile(ordered, 0.99),
            max=ordered[-1],
        )


def quantile(ordered: list[float], q: float) -> float:
    """Return the smallest of the sorted values that at least the fraction `q` of them do not exceed.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    rank = -(-q * len(ordered) // 1)  # the ceiling
    return ordered[max(0, min(len(ordered) - 1, int(rank) - 1))]
