"""A series is bounded, covers the whole run evenly, and forgets no peak."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from streamflow.metrics.quantiles import Durations
from streamflow.metrics.series import LIMIT, Series
from streamflow.model.statistics import Sample


def sample(at: int, rss: int = 0, cpu: float = 0.0, latency: float | None = None) -> Sample:
    return Sample(
        at=float(at),
        rss=rss,
        cpu_percent=cpu,
        threads=1,
        descriptors=1,
        loop_lag=0.0,
        in_flight=0,
        queued=rss,
        received=at,
        latency=latency,
    )


@given(count=st.integers(1, 10 * LIMIT), peak=st.integers(0, 10 * LIMIT))
def test_it_is_bounded_even_and_keeps_the_ends_and_the_peak(count: int, peak: int) -> None:
    series = Series()
    for at in range(1, count + 1):
        series.add(sample(at, rss=9 if at == peak else 1, latency=9.0 if at == peak else None))
    points = series.points()
    assert len(points) <= LIMIT
    assert len(points) >= min(count, LIMIT // 2)
    assert points[-1].at == points[-1].received == count
    ends = [0.0, *(point.at for point in points)]
    widths = [after - before for before, after in itertools.pairwise(ends)]
    assert len(set(widths[:-1])) <= 1
    assert widths[-1] <= widths[0]
    if 1 <= peak <= count:
        assert [point.rss for point in points].count(9) == 1
        assert [point.latency for point in points].count(9.0) == 1
        assert max(point.queued for point in points) == 9


@given(st.lists(st.floats(0, 400), min_size=1, max_size=3 * LIMIT))
def test_the_share_of_the_processor_is_the_mean(shares: list[float]) -> None:
    series = Series()
    for at, share in enumerate(shares):
        series.add(sample(at, cpu=share))
    points = series.points()
    width = int(points[1].at - points[0].at) if len(points) > 1 else len(shares)
    for k, point in enumerate(points):
        here = shares[k * width : (k + 1) * width]
        assert abs(point.cpu_percent - sum(here) / len(here)) < 1e-6


def test_a_run_of_days_is_remembered_in_the_same_space() -> None:
    series = Series()
    for at in range(0, 4 * 86_400, 4):
        series.add(sample(at))
    assert LIMIT // 2 <= len(series.points()) <= LIMIT


def test_the_longest_duration_is_told_once() -> None:
    durations = Durations()
    for seconds in (0.1, 0.3, 0.2):
        durations.add(seconds)
    assert (durations.take_worst(), durations.take_worst()) == (0.3, None)
