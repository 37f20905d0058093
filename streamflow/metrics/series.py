"""The samples of a whole run in bounded memory, however long it takes."""

from __future__ import annotations

from streamflow.model.statistics import Sample

#: Points remembered at most; an even number.
LIMIT = 600


class Series:
    """Remember at most `LIMIT` points: when they are full, each two become one, and so do the samples to come.

    A point stands for equally many samples as every other one, except the last.
    """

    def __init__(self) -> None:
        self._points: list[Sample] = []
        self._each = 1
        self._last: Sample | None = None
        self._in_last = 0

    def add(self, sample: Sample) -> None:
        """Take one sample."""
        self._last = sample if self._last is None else merged(self._last, sample, self._in_last)
        self._in_last += 1
        if self._in_last < self._each:
            return
        self._points.append(self._last)
        self._last, self._in_last = None, 0
        if len(self._points) == LIMIT:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [merged(first, second) for first, second in pairs]
            self._each *= 2

    def points(self) -> tuple[Sample, ...]:
        """Return what is remembered, from the start of the run to the latest sample."""
        return (*self._points, self._last) if self._last is not None else tuple(self._points)


def merged(first: Sample, second: Sample, weight: int = 1) -> Sample:
    """Return one sample for both, at the time of the second: peaks stay peaks, the processor's share is the mean.

    `first` stands for `weight` samples.
    """
    known = [latency for latency in (first.latency, second.latency) if latency is not None]
    return Sample(
        at=second.at,
        rss=max(first.rss, second.rss),
        cpu_percent=(first.cpu_percent * weight + second.cpu_percent) / (weight + 1),
        threads=max(first.threads, second.threads),
        descriptors=max(first.descriptors, second.descriptors),
        loop_lag=max(first.loop_lag, second.loop_lag),
        in_flight=max(first.in_flight, second.in_flight),
        queued=max(first.queued, second.queued),
        received=max(first.received, second.received),
        bytes_read=max(first.bytes_read, second.bytes_read),
        latency=max(known, default=None),
    )
