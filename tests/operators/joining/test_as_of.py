"""The as-of join, against a model that looks through all right items for each left one."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.model.errors import FlowError
from streamflow.model.joined import Joined
from streamflow.operators.joining import state as joining_state
from streamflow.operators.joining.as_of import AsOfJoin
from streamflow.operators.joining.state import LEFT, RIGHT, JoinState
from tests.operators.joining.driving import ITEMS, SCRIPTS, Item, in_time, play, saved

HOWS = st.sampled_from(["inner", "left"])
TOLERANCES = st.sampled_from([math.inf, 0.0, 2.0, 5.0])
How = Literal["inner", "left"]


def model(accepted: list[Item], watermark: float, tolerance: float, how: How) -> list[Any]:
    """Return what all left items below the watermark have given."""
    results = []
    for left in sorted((item for item in accepted if item.port == LEFT), key=lambda item: item.time):
        if left.time >= watermark:
            continue
        rights = [
            (item.time, number, item.name)
            for number, item in enumerate(accepted)
            if item.port == RIGHT and item.key == left.key and 0 <= left.time - item.time <= tolerance
        ]
        if rights or how == "left":
            results.append(Joined(left.key, left.name, max(rights)[2] if rights else None))
    return results


def held(accepted: list[Item], watermark: float, tolerance: float) -> int:
    """Return how many items can still matter."""
    if watermark == math.inf:
        return 0
    to_come = [item for item in accepted if item.time >= watermark]
    passed = {
        item.key
        for item in accepted
        if item.port == RIGHT and item.time < watermark and watermark - item.time <= tolerance
    }
    return len(to_come) + len(passed)


@given(SCRIPTS, HOWS, TOLERANCES)
def test_each_left_item_has_the_latest_right_one_and_no_other_is_held(
    script: list[Any], how: How, tolerance: float
) -> None:
    def look(state: JoinState, accepted: list[Item], watermark: float, results: list[Any]) -> None:
        assert all(item.time >= item.watermark for item in accepted)
        assert results == model(accepted, watermark, tolerance, how)
        assert state.retained == held(accepted, watermark, tolerance)

    play(lambda: AsOfJoin(tolerance, how), script, look)


@given(
    st.lists(ITEMS, max_size=12), st.lists(ITEMS, max_size=12), st.lists(st.booleans()), HOWS, TOLERANCES, st.booleans()
)
def test_the_results_do_not_depend_on_how_the_inputs_interleave(
    left: list[Any], right: list[Any], choices: list[bool], how: How, tolerance: float, ordered: bool
) -> None:
    sides = [[(key, time) for _, key, time in side] for side in (left, right)]

    def told(choices: list[bool]) -> list[Any]:
        names = [0, 0]
        state = AsOfJoin(tolerance, how)
        results: list[Any] = []
        for step in in_time(sides, choices, ordered):
            if isinstance(step, tuple):
                port, key, time = step
                names[port] += 1
                assert state.add(port, key, time, f"{'lr'[port]}{names[port]}") == ()
            else:
                results += state.advance(step)
        return results + state.flush()

    assert told(choices) == told([])


def test_a_partner_of_the_same_time_may_still_come() -> None:
    state = AsOfJoin()
    state.add(LEFT, "a", 5.0, "left")
    assert not list(state.advance(5.0))
    state.add(RIGHT, "a", 5.0, "first")
    state.add(RIGHT, "a", 5.0, "last")
    assert list(state.advance(5.1)) == [Joined("a", "left", "last")]
    assert state.add(RIGHT, "a", 5.0, "late") is None


def test_a_key_that_was_heard_of_again_does_not_keep_the_others_from_being_forgotten() -> None:
    state = AsOfJoin(tolerance=2.0)
    for key, time in (("a", 0.0), ("b", 1.0), ("a", 2.0)):
        state.add(RIGHT, key, time, "row")
        assert not list(state.advance(time + 0.5))
    assert not list(state.advance(3.5))
    assert state.retained == 1


def test_a_partner_is_just_not_too_old() -> None:
    state = AsOfJoin(tolerance=2.0)
    state.add(RIGHT, "a", 1.0, "row")
    assert not list(state.advance(3.0))
    assert state.retained == 1
    state.add(LEFT, "a", 3.0, "in time")
    state.add(LEFT, "a", 3.5, "later")
    assert list(state.advance(4.0)) == [Joined("a", "in time", "row"), Joined("a", "later", None)]
    assert state.retained == 0


def test_neither_items_nor_keys_are_compared() -> None:
    state = AsOfJoin()
    for key in (None, "a", 1j):
        for port in (RIGHT, LEFT):
            state.add(port, key, 1.0, {port: key})
    assert [joined.key for joined in state.flush()] == [None, "a", 1j]


def test_unhashable_keys_leave_nothing_and_the_state_is_saved_in_pieces() -> None:
    state = AsOfJoin()
    with pytest.raises(TypeError, match="unhashable"):
        state.add(LEFT, {}, 1.0, "x")
    assert state.retained == 0
    for number in range(9000):
        state.add(int(number % 3 > 0), number // 3, float(number % 3), number)
    assert len(list(state.advance(1.5))) == 3000
    chunks = list(state.chunks())
    assert max(len(entries) for _, entries in chunks) <= joining_state.PIECE
    assert saved(state, AsOfJoin).retained == 6000


@pytest.mark.parametrize("tolerance", [-1.0, math.nan])
def test_a_tolerance_that_cannot_work_is_refused(tolerance: float) -> None:
    with pytest.raises(FlowError, match=r"as_of_join\(tolerance=.*0 or more"):
        AsOfJoin(tolerance)
    with pytest.raises(FlowError, match=r"as_of_join\(how='outer'\): expected one of 'inner', 'left'"):
        AsOfJoin(how="outer")  # type: ignore[arg-type]
