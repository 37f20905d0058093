"""Batches of keys against a plain loop: whatever the size of shares, and the order in which they come back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamflow.engine.folding import Failed, Fold
from streamflow.engine.keyed_batch import KeyedBatch, KeyShare, Missing
from streamflow.operators.keyed_steps import StateStep


def step(total: int, n: int) -> tuple[int | None, int]:
    """Fail at multiples of seven, forget at multiples of five."""
    if n % 7 == 0:
        raise ValueError(n)
    return (None if n % 5 == 0 else total + n), total


def reference(items: list[tuple[str, int]]) -> tuple[list[Any], list[tuple[str, int]]]:
    states: dict[str, int] = {}
    results: list[Any] = []
    for key, n in items:
        try:
            state, result = step(states.get(key, 0), n)
        except ValueError as error:
            results.append(str(error))
            continue
        results.append(result)
        if state is None:
            states.pop(key, None)
        else:
            states[key] = state
    return results, list(states.items())


@given(
    st.lists(st.tuples(st.sampled_from("aaab"), st.integers(1, 20)), max_size=40),
    st.integers(1, 9),
    st.booleans(),
    st.data(),
)
def test_results_and_states_are_those_of_a_plain_loop(
    items: list[tuple[str, int]], size: int, goes_on: bool, data: Any
) -> None:
    fold = Fold(StateStep(step, 0, None, "step"), "step", goes_on=goes_on)
    batch = KeyedBatch([n for _, n in items], 0.0, tries_again=not goes_on)
    for index, (key, _) in enumerate(items):
        batch.add(index, key)
    batch.begin()
    out: list[tuple[KeyShare, Any]] = []
    shares = 0
    while not batch.over:
        if batch.ready and (not out or data.draw(st.booleans())):
            share = batch.next_share(size)
            assert 1 <= share.count <= size
            assert not {work.key for work, _ in share.parts} & {w.key for s, _ in out for w, _ in s.parts}
            out.append((share, batch.given(share)))
            shares += 1
            continue
        share, given_ = out.pop(data.draw(st.integers(0, len(out) - 1)))
        if shares < 99 and data.draw(st.integers(0, 5)) == 0:
            batch.again(share, alone=data.draw(st.booleans()))
            continue
        for work, failed in batch.answered(share, fold(given_)):
            assert not goes_on
            if work.attempts < 2 and data.draw(st.booleans()):
                work.attempts += 1
                batch.try_again(work)
            else:
                batch.failed(work, failed)
    results, states = reference(items)
    assert [str(one.error) if isinstance(one, Failed) else one for one in batch.results] == results
    placed = sorted(states, key=lambda state: state[0])
    assert sorted((work.key, work.entry[0]) for work in batch.in_order() if work.entry) == placed
    assert [work.key for work in batch.in_order() if work.entry] == [key for key, _ in states]
    assert batch.left == 0


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=20), st.data())
def test_after_an_item_that_ends_the_run_no_more_is_begun_than_comes_before_it(keys: list[str], data: Any) -> None:
    bad = data.draw(st.integers(0, len(keys) - 1))

    def failing(total: int, index: int) -> tuple[int, int]:
        if index == bad:
            raise ValueError
        return total + 1, total

    fold = Fold(StateStep(failing, 0, None, "failing"), "failing", goes_on=False)
    batch = KeyedBatch(list(range(len(keys))), 0.0, tries_again=True)
    for index, key in enumerate(keys):
        batch.add(index, key)
    batch.begin()
    while not batch.over:
        share = batch.next_share(data.draw(st.integers(1, 4)))
        for work, failed in batch.answered(share, fold(batch.given(share))):
            batch.end_before(work.indexes[work.done])
            batch.failed(work, failed)
    assert all(result is not Missing for result in batch.results[: bad + 1])
    assert isinstance(batch.results[bad], Failed)
