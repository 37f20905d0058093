"""Joins in windows, against a model that works everything out from all items there ever were."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.model.errors import FlowError
from streamflow.model.joined import JoinedInWindow
from streamflow.operators.joining import state as joining_state
from streamflow.operators.joining.state import LEFT, RIGHT, How, JoinState
from streamflow.operators.joining.windowed import WindowedJoin
from tests.operators.joining.driving import ITEMS, SCRIPTS, Item, in_time, play, saved

HOWS = st.sampled_from(["inner", "left", "outer"])
SIZES = st.sampled_from([(5, 5), (6, 2), (7, 3), (2, 5)])


def windows(size: float, every: float) -> Any:
    """Return a slow way to name the windows of a time: latest first, to show that their order does not matter."""

    def assign(time: float) -> list[tuple[float, float]]:
        starts = [every * n for n in range(-10, 20)]
        return [(start, start + size) for start in reversed(starts) if start <= time < start + size]

    return assign


def model(accepted: list[Item], watermark: float, assign: Any, how: How) -> list[Any]:
    """Return what all windows that are closed have given."""
    inside: dict[tuple[float, float], list[Item]] = {}
    for item in accepted:
        for start, end in assign(item.time):
            if end > item.watermark:
                inside.setdefault((end, start), []).append(item)
    results = []
    for (end, start), items in sorted(inside.items()):
        if end > watermark:
            continue
        lefts = [item for item in items if item.port == LEFT]
        rights = [item for item in items if item.port == RIGHT]
        for key in dict.fromkeys(item.key for item in [*lefts, *rights]):
            mine: list[Any] = [item.name for item in lefts if item.key == key]
            theirs: list[Any] = [item.name for item in rights if item.key == key]
            if how == "outer":
                mine = mine or [None]
            if how != "inner":
                theirs = theirs or [None]
            results += [JoinedInWindow(key, one, other, start, end) for one, other in product(mine, theirs)]
    return results


@given(SCRIPTS, HOWS, SIZES)
def test_every_window_gives_its_pairs_when_it_closes_and_holds_nothing_after(
    script: list[Any], how: How, size: tuple[float, float]
) -> None:
    assign = windows(*size)

    def look(state: JoinState, accepted: list[Item], watermark: float, results: list[Any]) -> None:
        assert results == model(accepted, watermark, assign, how)
        held = [item for item in accepted if max(end for _, end in assign(item.time)) > watermark]
        assert state.retained == len(held)

    play(lambda: WindowedJoin(assign, how), script, look)


@given(st.lists(ITEMS, max_size=12), st.lists(ITEMS, max_size=12), st.lists(st.booleans()), HOWS, SIZES, st.booleans())
def test_the_results_do_not_depend_on_how_the_inputs_interleave(
    left: list[Any], right: list[Any], choices: list[bool], how: How, size: tuple[float, float], ordered: bool
) -> None:
    sides = [[(key, time) for _, key, time in side] for side in (left, right)]

    def told(choices: list[bool]) -> list[Any]:
        script = in_time(sides, choices, ordered)
        names = [0, 0]
        state = WindowedJoin(windows(*size), how)
        results: list[Any] = []
        for step in script:
            if isinstance(step, tuple):
                port, key, time = step
                names[port] += 1
                found = state.add(port, key, time, f"{'lr'[port]}{names[port]}")
                assert found == (() if windows(*size)(time) else None)
            else:
                results += state.advance(step)
        return results + state.flush()

    assert told(choices) == told([])


def test_results_are_made_one_at_a_time() -> None:
    state = WindowedJoin(windows(10, 10))
    for number in range(600):
        state.add(number % 2, "hot", 5.0, number)
    results = state.advance(10.0)
    assert next(results) == JoinedInWindow("hot", 0, 1, 0.0, 10.0)
    assert sum(1 for _ in results) == 300 * 300 - 1
    assert state.retained == 0


def test_an_item_is_late_when_all_of_its_windows_are_closed() -> None:
    state = WindowedJoin(windows(6, 2))
    assert list(state.advance(8.0)) == []
    assert state.add(LEFT, "a", 3.9, "late") is None  # the last of its windows ended at 8
    assert state.add(LEFT, "a", 4.0, "just") == ()
    assert state.add(RIGHT, "a", 4.0, "too") == ()
    assert state.flush() == [JoinedInWindow("a", "just", "too", 4.0, 10.0)]


def test_a_key_that_cannot_be_hashed_leaves_nothing() -> None:
    state = WindowedJoin(windows(5, 5))
    with pytest.raises(TypeError, match="unhashable"):
        state.add(LEFT, [], 1.0, "x")
    assert (state.retained, state.flush()) == (0, [])


def test_a_large_state_is_saved_in_pieces_with_each_item_once() -> None:
    state = WindowedJoin(windows(6, 2))
    for number in range(5000):
        state.add(number % 2, number // 2, 3.0, number)
    chunks = list(state.chunks())
    assert max(len(entries) for _, entries in chunks) <= joining_state.PIECE
    assert sum(len(entries) for part, entries in chunks if part) == 5000
    assert len(saved(state, lambda: WindowedJoin(windows(6, 2))).flush()) == 5000 / 2 * 3


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(FlowError, match=r"join\(how='right'\): .*exchange the two inputs"):
        WindowedJoin(windows(5, 5), "right")  # type: ignore[arg-type]
