"""The order of what is under way: pure, so it is tested without a loop."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamflow.engine.adaptive import AdaptiveLimit
from streamflow.engine.alignment import Alignment
from streamflow.engine.ordering import NOTHING, Ordered, Signal, Unordered
from streamflow.engine.waiting import circle_of_waits
from streamflow.model.markers import Barrier, LatencyProbe


def leave_all(order: Ordered | Unordered) -> list[Any]:
    out: list[Any] = []
    while order.ready():
        values, signal = order.leave(3)
        out += values
        if signal is not None:
            out.append(signal)
    return out


@given(st.permutations(range(20)), st.sets(st.integers(0, 20), max_size=4), st.sets(st.integers(0, 19), max_size=5))
def test_results_leave_in_the_order_of_their_items(done: list[int], marks: set[int], gone: set[int]) -> None:
    order = Ordered(32)
    for n in sorted(marks):
        order.mark(Barrier(n), n)
    out = leave_all(order)
    for item in done:
        first = order.close(item, NOTHING if item in gone else item)
        assert first == (item == order.head)
        out += leave_all(order)
    expected: list[Any] = []
    for n in range(21):
        expected += [Barrier(n)] * (n in marks)
        expected += [n] * (n < 20 and n not in gone)
    assert out == expected


def test_an_error_leaves_after_what_came_before_it() -> None:
    order, error = Ordered(4), ValueError()
    order.close(1, Signal(error))
    assert not order.ready()
    order.close(0, "first")
    assert leave_all(order) == ["first", error]


@given(st.permutations(range(12)), st.integers(0, 12))
def test_a_marker_is_a_fence_for_what_is_unordered(done: list[int], taken: int) -> None:
    order = Unordered()
    order.mark(Barrier(1), taken)
    out: list[Any] = []
    for item in [one for one in done if one < taken]:
        assert order.fenced
        order.close(item, item)
        out += leave_all(order)
    assert not order.fenced
    out += leave_all(order)
    assert out == [one for one in done if one < taken] + [Barrier(1)]


def test_a_latency_probe_is_no_fence() -> None:
    order = Unordered()
    order.mark(LatencyProbe(0.0), 2)
    assert not order.fenced
    for item in range(3):
        order.close(item, item)
    assert leave_all(order) == [0, 1, LatencyProbe(0.0), 2]


def test_the_limit_grows_by_one_and_falls_by_a_factor() -> None:
    limit = AdaptiveLimit(start=4, most=100)

    def a_round(seconds: float, *, failed: bool = False) -> int:
        for _ in range(limit.limit):
            limit.observe(seconds, failed=failed, under_way=limit.limit)
        return limit.limit

    assert [a_round(1.0) for _ in range(3)] == [5, 6, 7]
    assert a_round(2.0) == 4  # waiting has grown by more than half
    assert a_round(1.0) == 5
    assert a_round(1.0, failed=True) == 3
    for _ in range(500):
        a_round(1.0)
    assert limit.limit == 100


def test_the_limit_does_not_grow_while_it_is_not_reached() -> None:
    limit = AdaptiveLimit(start=10)
    for _ in range(100):
        limit.observe(1.0, failed=False, under_way=3)
    assert limit.limit == 10


def test_inputs_are_held_until_all_have_delivered_their_barrier() -> None:
    alignment, barrier = Alignment(3), Barrier(1)
    assert alignment.deliver(0, barrier) is None
    assert [alignment.readable(port) for port in range(3)] == [False, True, True]
    assert alignment.end(1) is None
    assert alignment.deliver(2, barrier) == barrier
    assert [alignment.readable(port) for port in range(3)] == [True, False, True]


def test_an_input_that_ends_counts_as_aligned() -> None:
    alignment, barrier = Alignment(2), Barrier(1)
    assert alignment.deliver(0, barrier) is None
    assert alignment.end(1) == barrier


def test_a_circle_of_waits_is_found_and_nothing_else_is() -> None:
    assert circle_of_waits({"a": {"b"}, "b": {"a"}}, set()) == ["a", "b"]
    assert circle_of_waits({"a": {"b"}, "b": {"c"}}, {"c"}) == []
    assert circle_of_waits({"a": {"b", "c"}, "b": {"a"}}, {"c"}) == []
    assert circle_of_waits({"x": {"a"}, "a": {"b"}, "b": {"a"}}, set()) == ["a", "b"]
    assert circle_of_waits({}, set()) == []
