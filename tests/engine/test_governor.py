"""The governor by itself: readings in, steps out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamflow.engine.governor import (
    AHEAD,
    LONGEST,
    PATIENCE_AT_MOST,
    SHORTEST,
    TRIM_AT_LEAST_EVERY,
    WHILE_HELD,
    WORTH,
    Governor,
    Reading,
)

LIMIT = 800 << 20
MIB = 1 << 20


def held(governor: Governor, at: float = 0.0) -> Governor:
    assert governor.decide(Reading(at, LIMIT)) == "hold"
    return governor


def test_the_marks_lie_below_the_limit_in_proportion_and_not_too_far() -> None:
    small, large = Governor(LIMIT), Governor(64 << 30)
    assert (small.high, small.low) == (700 << 20, 600 << 20)
    assert large.limit - large.high == 256 << 20
    assert small.low < small.soft < small.high < small.limit


def test_trims_before_it_holds() -> None:
    governor = Governor(LIMIT)
    assert governor.decide(Reading(0.0, 100 * MIB)) == "go on"
    assert governor.decide(Reading(1.0, governor.soft)) == "trim"
    assert governor.decide(Reading(2.0, governor.soft)) == "go on"  # it is at it
    governor.trimmed(2.0, 0)
    assert governor.decide(Reading(2.1, governor.soft)) == "go on"  # that was of no use: not at once again
    assert governor.decide(Reading(3.0, governor.soft)) == "trim"
    assert governor.decide(Reading(3.1, governor.high)) == "hold"


def test_holds_before_the_limit_would_be_reached_at_this_pace() -> None:
    governor = Governor(LIMIT)
    governor.decide(Reading(0.0, 300 * MIB))
    # 300 MiB came in 5 ms: as many again before anybody could look.
    assert governor.decide(Reading(AHEAD / 2, 600 * MIB)) == "hold"


def test_what_lies_between_the_marks_changes_nothing() -> None:
    between = Governor(LIMIT).low + MIB
    free, holding = Governor(LIMIT), held(Governor(LIMIT))
    assert free.decide(Reading(1.0, between)) == "go on"
    assert holding.decide(Reading(0.1, between, moved=True)) in ("go on", "trim")
    assert holding.held
    assert holding.decide(Reading(0.2, holding.low - 1, moved=True)) == "let go"
    assert not holding.held


def test_settled_it_collects_once_and_then_lets_batches_pass_one_at_a_time() -> None:
    governor = held(Governor(LIMIT))
    assert governor.decide(Reading(0.01, LIMIT, settled=True)) == "collect"
    assert governor.decide(Reading(0.02, LIMIT, settled=True)) == "go on"
    governor.trimmed(0.03, 0)
    steps = []
    for tick in range(4, 12, 2):
        steps.append(governor.decide(Reading(tick / 100, LIMIT, settled=True)))
        steps.append(governor.decide(Reading((tick + 1) / 100, LIMIT, moved=True)))
    assert steps == ["let one pass", "go on"] * 4


def test_settled_below_the_upper_mark_nothing_more_can_be_won_by_holding() -> None:
    governor = held(Governor(LIMIT))
    assert governor.decide(Reading(0.01, governor.high - 1, settled=True)) == "collect"
    governor.trimmed(0.02, 0)
    assert governor.decide(Reading(0.03, governor.high - 1, settled=True)) == "let go"


def test_a_call_that_stands_still_is_given_longer_each_time() -> None:
    governor = held(Governor(LIMIT))
    passes = []
    for tick in range(1, 20_000):
        at = tick * WHILE_HELD
        step = governor.decide(Reading(at, LIMIT))
        if step == "let one pass":
            passes.append(round(at))
        elif step == "trim":
            governor.trimmed(at, 0)
    assert passes[:5] == [1, 3, 7, 15, 31]
    assert passes[-1] - passes[-2] <= PATIENCE_AT_MOST + 1


def test_looks_more_often_the_nearer_the_mark_is() -> None:
    governor = Governor(64 << 30)
    governor.decide(Reading(0.0, 1 << 30))
    assert governor.pause == LONGEST
    governor.decide(Reading(100.0, governor.high - 8 * MIB))
    assert governor.pause == SHORTEST
    governor.decide(Reading(101.0, governor.high))
    assert governor.pause == WHILE_HELD


def test_the_books() -> None:
    governor = Governor(LIMIT)
    governor.decide(Reading(0.0, 500 * MIB))
    governor.decide(Reading(1.0, 750 * MIB))
    governor.trimmed(1.5, 10 * MIB)
    governor.passed()
    governor.decide(Reading(2.0, 770 * MIB, moved=True))
    assert governor.statistics().seconds_held == 1.0
    governor.decide(Reading(3.0, 100 * MIB, moved=True))
    now = governor.statistics()
    assert (now.limit, now.now, now.peak) == (LIMIT, 100 * MIB, 770 * MIB)
    assert (now.held, now.times_held, now.seconds_held) == (False, 1, 2.0)
    assert (now.trims, now.reclaimed, now.let_through) == (1, 10 * MIB, 1)
    assert repr(governor) == f"<Governor: {100 * MIB:,} of {LIMIT:,} bytes, sources free>"


def test_where_no_source_is_left_nothing_is_held() -> None:
    governor = held(Governor(LIMIT))
    assert governor.release(Reading(2.0, LIMIT + 1)) == "let go"
    assert governor.release(Reading(3.0, LIMIT)) == "go on"
    assert (governor.statistics().peak, governor.statistics().seconds_held) == (LIMIT + 1, 2.0)


PAST = st.lists(
    st.tuples(
        st.floats(0.001, 3.0),
        st.integers(0, 2 * LIMIT),
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, 0, WORTH]),
    ),
    max_size=40,
)


def walked(past: list[tuple[float, int, bool, bool, int | None]]) -> tuple[Governor, float]:
    """Return a governor with this past, in which trims ended now and then, and the time."""
    governor, at = Governor(LIMIT), 0.0
    for seconds, size, moved, settled, reclaimed in past:
        at += seconds
        governor.decide(Reading(at, size, moved, settled))
        if reclaimed is not None:
            governor.trimmed(at, reclaimed)
    return governor, at


@given(PAST, st.booleans(), st.booleans(), st.integers(LIMIT, 2 * LIMIT))
def test_never_held_for_ever_while_nothing_moves(
    past: list[tuple[float, int, bool, bool, int | None]], settled: bool, trims_end: bool, size: int
) -> None:
    """Whatever was before, and even if a trim never returns: a batch is let pass, again and again."""
    governor, at = walked(past)
    passes = 0
    for _ in range(20_000):
        at += WHILE_HELD
        step = governor.decide(Reading(at, size, False, settled))
        passes += step == "let one pass"
        if step in ("trim", "collect") and trims_end:
            governor.trimmed(at, 0)
        if passes == 3:
            return
    raise AssertionError(f"{passes} batches let through")


@given(PAST, st.integers(0, 2 * LIMIT))
def test_every_past_ends_free_once_memory_is_low(
    past: list[tuple[float, int, bool, bool, int | None]], size: int
) -> None:
    governor, at = walked(past)
    governor.decide(Reading(at + 1, size))
    governor.decide(Reading(at + 2, governor.low - 1))
    assert not governor.held


@given(PAST)
def test_held_and_free_take_turns_and_trims_keep_their_distance(
    past: list[tuple[float, int, bool, bool, int | None]],
) -> None:
    governor, at = Governor(LIMIT), 0.0
    holding = False
    trimming = False
    for seconds, size, moved, settled, reclaimed in past:
        at += seconds
        step = governor.decide(Reading(at, size, moved, settled))
        assert (step == "hold") <= (not holding)
        assert (step in ("let go", "let one pass", "collect")) <= holding
        if size < governor.low and step != "hold":
            assert not governor.held
        if step in ("trim", "collect"):
            assert not trimming
            trimming = True
        if reclaimed is not None and trimming:
            governor.trimmed(at, reclaimed)
            trimming = False
        holding = governor.held
        assert 0 < governor.pause <= LONGEST < TRIM_AT_LEAST_EVERY
