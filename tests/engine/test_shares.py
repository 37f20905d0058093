"""Shares: how large they are, how well they fill workers, and how pieces become whole again."""

from __future__ import annotations

import heapq
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamflow.engine.shares import (
    CROSSING_SECONDS,
    MAX_SHARE,
    SHARE_BYTES,
    SHARE_SECONDS,
    Assembly,
    Broken,
    share_size,
)

counts = st.integers(1, 1 << 40)
costs = st.floats(1e-9, 1e3)
sizes = st.floats(0, 1e12)


@given(counts, st.integers(1, 512), costs, costs, sizes)
def test_a_share_is_bounded_by_time_bytes_and_what_is_fair(
    there: int, workers: int, cost: float, crossing: float, size: float
) -> None:
    share = share_size(there, workers, cost, crossing, size)
    assert 1 <= share <= MAX_SHARE
    if share > 1:
        assert share * cost <= SHARE_SECONDS * 1.0001
        assert share * crossing <= CROSSING_SECONDS * 1.0001
        assert share * size <= SHARE_BYTES * 1.0001
        assert 2 * workers * (share - 1) < there


def test_nobody_knows_the_cost_of_the_first_item() -> None:
    assert share_size(1_000_000, 2, 0.0, 0.0, 0.0) == 1


def _finish(items: list[float], workers: int, *, adapt: bool = True) -> float:
    """Return when all workers are done, if each takes its next share when it is idle."""
    idle = [(0.0, worker) for worker in range(workers)]
    at, cost = 0, 0.0
    while at < len(items):
        now, worker = heapq.heappop(idle)
        size = share_size(len(items) - at, workers, cost, 0.0, 0.0) if adapt else -(-len(items) // workers)
        share = items[at : at + size]
        at += len(share)
        seconds = sum(share)
        cost = max(seconds / len(share), cost * 0.8)
        heapq.heappush(idle, (now + seconds, worker))
    return max(now for now, _ in idle)


@given(st.integers(0, 1 << 30), st.integers(2, 8), st.floats(1.05, 3.0))
def test_uneven_items_are_split_nearly_as_well_as_can_be(seed: int, workers: int, shape: float) -> None:
    """Pareto's costs, from 20 µs to 100 ms: idle at the end is at most a share and the longest item."""
    draw = random.Random(seed)
    items = [min(20e-6 * draw.paretovariate(shape), 0.1) for _ in range(3_000)]
    ideal = sum(items) / workers
    assert _finish(items, workers) <= ideal + max(items) + 2 * SHARE_SECONDS


def test_costs_that_grow_would_ruin_a_static_split() -> None:
    items = [n * 1e-6 for n in range(10_000)]
    ideal = sum(items) / 2
    assert _finish(items, 2) < 1.01 * ideal
    assert _finish(items, 2, adapt=False) > 1.4 * ideal


@given(st.data())
def test_pieces_come_together_in_any_order(data: st.DataObject) -> None:
    """Items give results, nothing, or fail for good; what leaves is what came before the first failure."""
    count = data.draw(st.integers(1, 12))
    fates = data.draw(st.lists(st.sampled_from(["result", "nothing", "fails"]), min_size=count, max_size=count))
    order = data.draw(st.permutations(range(count)))
    share = Assembly(0, 100, list(range(count)), None)
    gone: list[int] = []
    for index in order:
        before: list[Any] | Broken | None = share.whole()
        if before is not None:
            break
        gone.append(index)
        if not share.still_missing([index]):
            continue  # it comes after one that has failed
        if fates[index] == "result":
            share.results[index] = index * 10
            share.settle([index])
        elif fates[index] == "nothing":
            share.settle([index])
        else:
            share.fail(index, ValueError(index))
    first = fates.index("fails") if "fails" in fates else count
    expected = [index * 10 for index in range(first) if fates[index] == "result"]
    whole = share.whole()
    if first == count:
        assert whole == expected
    else:
        assert isinstance(whole, Broken)
        assert whole.outputs == expected
        assert whole.error.args == (first,)


def test_attempts_are_counted_by_item() -> None:
    share = Assembly(0, 0, ["a", "b"], None)
    assert [share.attempt(0), share.attempt(0), share.attempt(1)] == [1, 2, 1]
