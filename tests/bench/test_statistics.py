"""Figures follow from runs by pure functions."""

import pytest

from bench.statistics import metric_of, percentile, ratio_of_rounds, rotated, value_of
from bench.works import Figure, Outcome


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.5, 5.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([float(n) for n in range(1, 101)], 1.0, 100.0),
    ],
)
def test_a_percentile_is_one_of_the_values(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_a_percentile_of_nothing_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, share)


def test_ratios_are_taken_within_a_round_so_that_a_slow_round_cancels_out() -> None:
    assert ratio_of_rounds([2.0, 20.0, 3.0], [1.0, 10.0, 2.0]) == (2.0, 1.5, 2.0)


def test_ratios_of_unlike_numbers_of_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio_of_rounds([1.0], [1.0, 2.0])


def test_seconds_are_counted_for_each_unit_of_size() -> None:
    run = Outcome(seconds=2.0, count=1, checksum=1, peak_mib=7.0, metrics={"p50_us": 3.0})

    assert metric_of(run, "seconds", 4) == 0.5
    assert metric_of(run, "peak_mib", 4) == 7.0
    assert metric_of(run, "p50_us", 4) == 3.0


def test_a_list_turns_round_by_round() -> None:
    assert [rotated(["a", "b", "c"], by) for by in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]
    assert rotated([], 3) == []


def test_a_figure_is_a_median_or_a_ratio_and_keeps_its_bounds() -> None:
    metrics = {"ours": [1.0, 3.0, 2.0], "theirs": [4.0, 12.0, 8.0]}

    assert value_of(Figure("ours", metric="p50_us", at_most=2), metrics) == 2.0
    assert value_of(Figure("theirs", over="ours", at_least=3), metrics) == 4.0
    assert Figure("ours", at_most=2).is_met_by(2.0)
    assert not Figure("ours", at_most=2).is_met_by(2.1)
    assert not Figure("ours", at_least=2).is_met_by(1.9)
