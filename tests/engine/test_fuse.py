"""The generated function against its interpreted twin, and both against plain Python."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf

Chain = list[tuple[str, int]]
CHAINS = st.lists(
    st.tuples(
        st.sampled_from(
            ["map", "filter", "tap", "scan", "take", "skip", "take_while", "drop_while", "distinct", "fails", "batch"]
        ),
        st.integers(0, 6),
    ),
    max_size=6,
)


def add(n: int, by: int) -> int:
    return n + by


def described(chain: Chain, seen: list[Any]) -> sf.Flow[Any]:
    """Return the flow of a chain; `seen` gets what its taps see."""
    flow: sf.Flow[Any] = sf.flow(list(range(40)))
    for what, k in chain:
        flow = STEPS[what](flow, k, seen)
    return flow


def fails_at(k: int) -> Callable[[Any], Any]:
    def step(item: Any) -> Any:
        if item == k:
            raise ValueError(f"no {item}")
        return item

    return step


STEPS: dict[str, Callable[[sf.Flow[Any], int, list[Any]], sf.Flow[Any]]] = {
    "map": lambda flow, k, seen: flow.map(lambda n: [n, k] if isinstance(n, list) else n + k),
    "filter": lambda flow, k, seen: flow.filter(lambda n: hash(str(n)) is not None and str(n)[-1:] != str(k)),
    "tap": lambda flow, k, seen: flow.tap(lambda n: seen.append((k, n))),
    "scan": lambda flow, k, seen: flow.scan(lambda value, n: value * 2 + len(str(n)), k),
    "take": lambda flow, k, seen: flow.take(k * 3),
    "skip": lambda flow, k, seen: flow.skip(k),
    "take_while": lambda flow, k, seen: flow.take_while(lambda n: str(n) != str(k + 20)),
    "drop_while": lambda flow, k, seen: flow.drop_while(lambda n: str(n) < str(k)),
    "distinct": lambda flow, k, seen: flow.distinct(lambda n: len(str(n)) % (k + 1)),
    "fails": lambda flow, k, seen: flow.map(fails_at(k), on_error="skip"),
    "batch": lambda flow, k, seen: flow.batch(k + 1),
}


def outcome(chain: Chain, *, fuse: bool) -> tuple[Any, ...]:
    seen: list[Any] = []
    out: list[Any] = []
    report = described(chain, seen).to(out).run_sync(fuse=fuse)
    counts = [(s.received, s.passed, s.dropped, s.failed, s.emitted, s.drops) for s in report.statistics.stages]
    assert all(stage.conserved for stage in report.statistics.stages)
    assert all(edge.conserved for edge in report.statistics.edges)
    return out, seen, counts


@given(CHAINS)
def test_generated_and_interpreted_do_the_same(chain: Chain) -> None:
    fused, twin = outcome(chain, fuse=True), outcome(chain, fuse=False)
    assert fused[:2] == twin[:2]
    if not any(what in ("take", "take_while") for what, _ in chain):
        # Where a flow ends early, how far the stages before an edge have read ahead is a matter of slices.
        assert fused[2] == twin[2]


@given(CHAINS)
def test_both_drivers_do_the_same(chain: Chain) -> None:
    by_hand: list[Any] = []
    assert list(described(chain, by_hand)) == outcome(chain, fuse=True)[0]


def test_a_failure_names_operator_item_and_position_without_costing_anything() -> None:
    def boom(n: int) -> int:
        if n == 13:
            raise ValueError("thirteen")
        return n

    out: list[int] = []
    flow = sf.flow(range(5, 30)).map(lambda n: n + 1).map(boom, name="boom").filter(lambda n: n % 2 == 0).to(out)
    for fuse in (True, False):
        out.clear()
        with pytest.raises(ValueError, match="thirteen") as caught:
            flow.run_sync(fuse=fuse)
        [note] = caught.value.__notes__
        assert "operator 'boom'" in note
        assert "item 7 of its input" in note
        assert "item 7" in note.split("source position")[1]
        assert out == [6, 8, 10, 12]  # what came before it was handed on


def test_the_generated_source_is_in_the_traceback() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(sf.flow([1, 0]).map(lambda n: 1 / n).map(str))
    text = "".join(traceback.format_exception(caught.value))
    assert "x = f0(x)" in text


async def fetch(n: int) -> int:
    return n


async def many(n: int) -> Any:
    yield n


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(
    "finish",
    [
        lambda flow: flow.map(lambda n: fetch(n)).to(None),
        lambda flow: flow.filter(lambda n: fetch(n)).to(None),
        lambda flow: flow.map(lambda n: many(n)).to(None),
        lambda flow: flow.to(lambda n: fetch(n)),
    ],
    ids=["map", "filter", "async generator", "sink"],
)
@pytest.mark.parametrize(
    "before",
    [
        lambda flow: flow,
        lambda flow: flow.filter(lambda n: n > 3_000),
        lambda flow: flow.skip(17),
        lambda flow: flow.map(fails_at(0), on_error="skip"),
        lambda flow: flow.map(str).filter(lambda n: n.endswith("7")),
    ],
    ids=["first", "filtered", "skipped", "failed", "mapped"],
)
def test_a_plain_function_whose_first_result_is_awaitable_fails_naming_the_fix(
    before: Any, finish: Any, fuse: bool
) -> None:
    with pytest.raises(sf.FlowError, match="Make it `async def`"):
        finish(before(sf.flow(range(10_000)))).run_sync(fuse=fuse)


def test_state_is_unchanged_by_an_error_in_scan() -> None:
    def fold(value: int, n: int) -> int:
        if n == 3:
            raise ValueError
        return value + n

    assert list(sf.flow([1, 2, 3, 4]).scan(fold, 0, on_error="skip")) == [1, 3, 7]


def test_what_a_dropped_first_batch_leaves_is_not_lost() -> None:
    assert list(sf.flow(range(5000)).filter(lambda n: n >= 4990)) == list(range(4990, 5000))


def test_a_stop_iteration_of_the_users_is_a_failure_like_any_other() -> None:
    def step(n: int) -> int:
        return next(iter(()))

    async def awaited(n: int) -> int:
        return next(iter(()))

    for function in (step, awaited):
        # A coroutine cannot raise StopIteration: Python makes a RuntimeError of it on the way to the caller.
        with pytest.raises(RuntimeError) as caught:
            sf.flow([1, 2]).map(function).to(None).run_sync()
        error = caught.value if hasattr(caught.value, "__notes__") else caught.value.__cause__
        assert error is not None
        assert "item 0 of its input" in error.__notes__[0]
