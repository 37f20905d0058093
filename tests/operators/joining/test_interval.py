"""The interval join, against a model that compares every item with every other."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamflow.model.errors import FlowError
from streamflow.model.joined import Joined
from streamflow.operators.joining import state as joining_state
from streamflow.operators.joining.interval import IntervalJoin
from streamflow.operators.joining.state import LEFT, RIGHT, How, JoinState
from tests.operators.joining.driving import SCRIPTS, Item, play, saved

HOWS = st.sampled_from(["inner", "left", "outer"])
BOUNDS = st.tuples(st.integers(-6, 6), st.integers(0, 6)).map(lambda pair: (float(pair[0]), float(sum(pair))))


class Model:
    """Remember all items; tell what each step gives."""

    def __init__(self, lower: float, upper: float, how: How) -> None:
        self.lower, self.upper, self.how = lower, upper, how
        self.items: list[Item] = []
        self.alone: set[str] = set()

    def fits(self, one: Item, other: Item) -> bool:
        left, right = (one, other) if one.port == LEFT else (other, one)
        near = left.time + self.lower <= right.time <= left.time + self.upper
        return near and one.key == other.key and one.port != other.port

    def until(self, item: Item) -> float:
        return item.time + self.upper if item.port == LEFT else item.time - self.lower

    def add(self, new: Item) -> list[Any]:
        partners = [item for item in self.items if self.fits(item, new)]
        self.items.append(new)
        pairs = [(new, item) if new.port == LEFT else (item, new) for item in partners]
        return [Joined(new.key, left.name, right.name) for left, right in pairs]

    def advance(self, watermark: float) -> list[Any]:
        ports = {"inner": (), "left": (LEFT,), "outer": (LEFT, RIGHT)}[self.how]
        gone = [
            item
            for item in self.items
            if item.port in ports and item.name not in self.alone and self.until(item) < watermark
            if not any(self.fits(item, other) for other in self.items)
        ]
        self.alone |= {item.name for item in gone}
        gone.sort(key=lambda item: (self.until(item), item.port))  # and by arrival, since sorting keeps it
        return [Joined(item.key, *((item.name, None) if item.port == LEFT else (None, item.name))) for item in gone]


@given(SCRIPTS, HOWS, BOUNDS)
def test_every_pair_comes_at_once_and_every_lone_item_when_nothing_can_come(
    script: list[Any], how: How, bounds: tuple[float, float]
) -> None:
    reference = Model(*bounds, how)
    expected: list[Any] = []

    def look(state: JoinState, accepted: list[Item], watermark: float, results: list[Any]) -> None:
        for item in accepted[len(reference.items) :]:
            assert item.time >= watermark
            expected.extend(reference.add(item))
        expected.extend(reference.advance(watermark))
        assert results == expected
        assert state.retained == sum(reference.until(item) >= watermark for item in accepted)

    play(lambda: IntervalJoin(*bounds, how), script, look)


@given(SCRIPTS, HOWS, BOUNDS)
def test_all_that_is_not_below_the_watermark_is_taken(script: list[Any], how: How, bounds: tuple[float, float]) -> None:
    state = IntervalJoin(*bounds, how)
    watermark = -math.inf
    for step in script:
        if isinstance(step, tuple):
            port, key, time = step
            assert (state.add(port, key, time, step) is None) == (time < watermark)
        elif step != "save":
            watermark = max(watermark, step)
            list(state.advance(step))


FLOATS = st.floats(-1e3, 1e3)


@given(st.lists(st.tuples(st.integers(0, 1), FLOATS), max_size=12), FLOATS, st.floats(0, 10))
@example([(LEFT, 0.1), (RIGHT, 0.1 + 0.2)], 0.0, 0.2)  # 0.1 + 0.2 - 0.2 is not 0.1
def test_rounding_loses_no_pair_and_joins_none_twice(
    items: list[tuple[int, float]], lower: float, width: float
) -> None:
    """Items come by time, and the watermark is that of each: whatever was let go had no partner to come."""
    upper = lower + width
    items.sort(key=lambda entry: entry[1])
    state = IntervalJoin(lower, upper, "outer")
    results: list[Any] = []
    for number, (port, time) in enumerate(items):
        results += state.advance(time)
        results += state.add(port, "k", time, number) or ()
    results += state.flush()
    expected = set()
    for left, (_, before) in enumerate(items):
        for right, (_, after) in enumerate(items):
            if (items[left][0], items[right][0]) == (LEFT, RIGHT) and before + lower <= after <= before + upper:
                expected.add((left, right))
    pairs = [(left, right) for _, left, right in results if left is not None and right is not None]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == expected
    seen = {number for pair in pairs for number in pair}
    alone = [left if right is None else right for _, left, right in results if left is None or right is None]
    assert sorted(alone) == [number for number in range(len(items)) if number not in seen]


def test_pairs_come_by_the_arrival_of_the_earlier_items_whatever_their_times() -> None:
    state = IntervalJoin(-5.0, 5.0)
    for name, time in (("x", 3.0), ("y", 1.0), ("z", 2.0)):
        assert state.add(RIGHT, "a", time, name) == []
    assert state.add(LEFT, "a", 2.0, "l") == [Joined("a", "l", name) for name in "xyz"]


def test_unhashable_keys_leave_nothing_and_the_state_is_saved_in_pieces() -> None:
    state = IntervalJoin(-1.0, 1.0, "outer")
    with pytest.raises(TypeError, match="unhashable"):
        state.add(LEFT, {}, 1.0, "x")
    assert state.retained == 0
    for number in range(5000):
        state.add(number % 2, number // 2, 3.0, number)
    chunks = list(state.chunks())
    assert max(len(entries) for _, entries in chunks) <= joining_state.PIECE
    again = saved(state, lambda: IntervalJoin(-1.0, 1.0, "outer"))
    assert again.flush() == []  # that each had its partner was saved
    assert again.retained == 0


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (-math.inf, 0.0), (0.0, math.inf), (math.nan, 1.0), (0.0, math.nan)])
def test_bounds_that_cannot_work_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(FlowError, match=r"interval_join\(.*expected two finite times, the lower first"):
        IntervalJoin(*bounds)
