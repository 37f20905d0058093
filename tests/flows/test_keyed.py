"""Keys without windows, against plain dicts."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import run
from tests.flows.test_windows import at, ran, source, whose

ITEMS = st.lists(st.tuples(st.integers(0, 50), st.sampled_from(["a", "b", None, math.nan, 1, True])), max_size=40)


def plus(total: int, item: Any) -> int:
    return total + int(item[0])


def named(key: Any) -> Any:
    return "nan" if key != key else key


@settings(max_examples=60)
@given(ITEMS, st.integers(1, 7), st.booleans())
def test_scan_reduce_and_aggregate_keep_keys_apart_as_a_dict_does(items: Any, batch: int, fuse: bool) -> None:
    def keyed() -> sf.KeyedFlow[Any, Any]:
        return source(items, batch).key_by(lambda item: item[1] if item[1] == item[1] else float("nan"))

    totals: dict[Any, int] = {}
    steps: list[tuple[Any, int]] = []
    for item in items:
        key = named(item[1])
        totals[key] = totals.get(key, 0) + item[0]
        steps.append((key, totals[key]))
    assert [(named(k), v) for k, v in ran(keyed().scan(plus, 0), fuse=fuse)] == steps
    folded = ran(keyed().reduce(lambda one, other: (one[0] + other[0], one[1])), fuse=fuse)
    assert [(named(k), v[0]) for k, v in folded] == list(totals.items())
    counted = ran(keyed().aggregate(total=sf.agg.sum(at), n=sf.agg.count()), fuse=fuse)
    assert [(named(k), v["total"]) for k, v in counted] == list(totals.items())


@settings(max_examples=60)
@given(ITEMS, st.integers(1, 7), st.booleans(), st.sampled_from([None, 5.0, 20.0]), st.booleans())
def test_map_with_state_forgets_what_is_none_and_what_was_not_touched(
    items: Any, batch: int, fuse: bool, ttl: float | None, edge: bool
) -> None:
    def step(seen: int, item: Any) -> tuple[int | None, int]:
        return (None if item[0] == 7 else seen + 1), seen

    expected: list[int] = []
    states: dict[Any, tuple[int, float]] = {}
    highest = -math.inf
    for item in items:
        highest = max(highest, item[0])
        key = named(item[1])
        seen, touched = states.get(key, (0, highest))
        if ttl is not None and touched + ttl <= highest:
            seen = 0
        expected.append(seen)
        if item[0] == 7:
            states.pop(key, None)
        else:
            states[key] = (seen + 1, highest)
    flow = source(items, batch).event_time(at)
    keyed = (flow.buffer(3) if edge else flow).key_by(whose)
    assert ran(keyed.map_with_state(step, 0, ttl=ttl), fuse=fuse) == expected


def test_a_ttl_without_event_time_goes_by_the_clock_of_the_run() -> None:
    async def main() -> None:
        inbox: sf.Inbox[str] = sf.inbox(10)
        out: list[int] = []
        flow = sf.flow(inbox).key_by(str).map_with_state(lambda seen, _: (seen + 1, seen), 0, ttl="10s")
        async with flow.to(out).start() as handle:
            for wait in (0, 9, 9, 11):
                await asyncio.sleep(wait)
                await inbox.send("a")
            await asyncio.sleep(1)
            await handle.pause()
            await asyncio.sleep(100)
            await handle.resume()
            await inbox.send("a")
            await handle.drain()
        assert out == [0, 1, 2, 0, 1]

    run(main)


def test_a_mutable_beginning_is_not_shared_between_keys() -> None:
    def gather(seen: list[int], n: int) -> list[int]:
        seen.append(n)
        return list(seen)

    found = list(sf.flow([1, 2, 3]).key_by(lambda n: n % 2).scan(gather, []))
    assert dict(found) == {1: [1, 3], 0: [2]}


@pytest.mark.parametrize("fuse", [True, False])
def test_what_cannot_be_a_key_is_an_items_failure(fuse: bool) -> None:
    for make in (
        lambda keyed: keyed.scan(lambda n, _: n + 1, 0),
        lambda keyed: keyed.aggregate(n=sf.agg.count()),
        lambda keyed: keyed.map_with_state(lambda s, x: (1, x)),
        lambda keyed: keyed.window(sf.global_window()).collect(),
    ):
        items = ["a", ["b"], "c"]
        with pytest.raises(TypeError, match="unhashable type: 'list'"):
            ran(make(sf.flow(items).key_by(lambda item: item)), fuse=fuse)
        assert len(ran(make(sf.flow(items).key_by(lambda item: item, on_error="skip")), fuse=fuse)) == 2


def test_a_function_that_gives_no_pair_is_told() -> None:
    with pytest.raises(TypeError, match=r"expected \(state, result\) of the function, it gave int"):
        list(sf.flow([1]).key_by(abs).map_with_state(lambda state, n: n))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda keyed: keyed.aggregate(), "name at least one"),
        (lambda keyed: keyed.aggregate(n=sf.agg.count), r"call it: sf.agg.count\(\)"),
        (lambda keyed: keyed.aggregate(n=3), "expected one of sf.agg"),
        (lambda keyed: keyed.map_with_state(len, ttl="soon"), "no stretch of time"),
        (lambda keyed: keyed.window("1m"), "expected sf.tumbling"),
        (lambda keyed: keyed.window(sf.tumbling(0)), "above 0"),
        (lambda keyed: keyed.window(sf.sliding("1m", "2m")), "leave gaps"),
        (lambda keyed: keyed.window(sf.tumbling("7h", timezone="Europe/Rome")), "divide a day evenly"),
        (lambda keyed: keyed.window(sf.tumbling("1d", timezone="Europe/Rom")), "no time zone"),
        (lambda keyed: keyed.window(sf.tumbling(1), late="update"), "one needs the other"),
        (lambda keyed: keyed.window(sf.tumbling(1), late="keep"), "expected 'drop' or 'update'"),
        (lambda keyed: keyed.window(sf.session(1), late="update", keep=1), "could join sessions"),
        (lambda keyed: keyed.window(sf.global_window(0)), "whole number from 1 on"),
        (
            lambda keyed: keyed.window(sf.session(1)).aggregate(n=sf.agg.custom(int, lambda a, b: a)),
            "cannot be merged",
        ),
        (lambda keyed: keyed.window(sf.tumbling(1)).collect().to(None).plan, r"put .event_time\(...\)"),
    ],
)
def test_what_cannot_work_is_refused_with_its_fix(wrong: Any, message: str) -> None:
    with pytest.raises(sf.FlowError, match=message):
        wrong(sf.flow([1]).key_by(abs))


@pytest.mark.parametrize(
    ("between", "message"),
    [
        (lambda flow: flow.batch(3), "has no time of its own"),
        (lambda flow: sf.zip(flow, flow), "has no time of its own"),
        (lambda flow: flow.map(asyncio.sleep, concurrency=2, ordered=False), "overtake each other"),
        (lambda flow: sf.merge(flow, sf.flow([1])), "nothing has said when"),
        (lambda flow: flow.key_by(abs).reduce(max), "have no time of their own"),
    ],
)
def test_windows_over_what_has_lost_its_time_are_refused(between: Any, message: str) -> None:
    flow = between(sf.flow([1]).event_time(abs)).key_by(abs).window(sf.tumbling(1)).collect()
    with pytest.raises(sf.FlowError, match=message):
        flow.to(None).explain()
