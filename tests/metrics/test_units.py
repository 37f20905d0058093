"""Figures that are short, true, and bear a unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.metrics.units import UNITS, Kind, clock, round_step, share, ticks, written

KINDS = st.sampled_from(list(UNITS))
FIGURES = st.one_of(st.just(0.0), st.floats(1e-7, 1e12))


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        (0, "items", "0"),
        (7, "items/s", "7/s"),
        (999.7, "items", "1 k"),
        (999_999, "items/s", "1 M/s"),
        (1_234_567, "items/s", "1.23 M/s"),
        (0, "bytes", "0 B"),
        (1000, "bytes", "1,000 B"),
        (1536, "bytes", "1.5 KiB"),
        (2**20 - 1, "bytes", "1 MiB"),
        (0, "seconds", "0 s"),
        (4.2e-6, "seconds", "4.2 µs"),
        (0.9999, "seconds", "1 s"),
        (90, "seconds", "1.5 min"),
        (17.28, "per cent", "17 %"),
    ],
)
def test_a_figure_is_written_with_three_digits_and_a_unit(value: float, kind: Kind, says: str) -> None:
    assert written(value, kind) == says


@given(FIGURES, KINDS)
def test_what_is_written_is_never_long_and_never_an_exponent(value: float, kind: Kind) -> None:
    text = written(min(value, 1e4) if kind == "per cent" else value, kind)
    assert len(text) <= 16
    assert "e+" not in text


@given(FIGURES, KINDS)
def test_the_ticks_of_an_axis_are_few_distinct_and_cover_it(top: float, kind: Kind) -> None:
    found = ticks(top, kind)
    values = [value for value, _ in found]
    assert values[0] == 0
    assert values[-1] >= top * (1 - 1e-9)
    assert values == sorted(set(values))
    assert 2 <= len(found) <= 9
    assert len({label for _, label in found}) == len(found)


@given(st.floats(1e-9, 1e12))
def test_a_step_is_round_and_hardly_larger_than_asked_for(width: float) -> None:
    assert width * (1 - 1e-6) <= round_step(width) <= width * 2.6


@pytest.mark.parametrize(
    ("seconds", "says"), [(0, "0:00"), (59.9, "0:59"), (3599, "59:59"), (3601, "1:00:01"), (200_000, "2 d 7:33:20")]
)
def test_a_clock(seconds: float, says: str) -> None:
    assert clock(seconds) == says


@given(st.floats(0, 1e9), st.floats(-1, 1e9))
def test_a_share_is_one(part: float, whole: float) -> None:
    assert 0 <= share(part, whole) <= 1
