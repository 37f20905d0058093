"""Windows against a slow model: whatever the batches, the stages and the order in which items come."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import FaultySource, run
from tests.flows.windows_model import Model, SessionModel, global_model, told

#: What happened when, to whom: times come out of order.
EVENTS = st.lists(
    st.tuples(st.integers(0, 400).map(lambda n: n / 4), st.sampled_from(["a", "b", None, 3])), max_size=60
)

#: The same, so close together that gaps of exactly a session's length are there.
NEAR = st.lists(st.tuples(st.integers(0, 60).map(lambda n: n / 2), st.sampled_from(["a", "b"])), max_size=40)


def at(event: Any) -> float:
    time: float = event[0]
    return time


def whose(event: Any) -> Any:
    return event[1]


async def after_a_while(event: Any) -> Any:
    await asyncio.sleep(event[0] % 1)
    return event


def put(seen: list[Any], event: Any) -> list[Any]:
    seen.append(event[2])
    return seen


def put_all(one: list[Any], other: list[Any]) -> list[Any]:
    return one + other


async def alone(event: Any) -> Any:
    await asyncio.sleep(0.001)
    yield event


def unchanged(event: Any) -> Any:
    return event


#: What may stand between the event time and the windows: nothing, or an edge, over which time must travel.
BETWEEN: dict[str, Callable[[sf.Flow[Any]], sf.Flow[Any]]] = {
    "one stage": lambda flow: flow,
    "maps": lambda flow: flow.map(lambda event: event).filter(lambda event: True),
    "buffer": lambda flow: flow.buffer(2),
    "concurrent": lambda flow: flow.map(after_a_while, concurrency=3),
    "expand": lambda flow: flow.flat_map(lambda event: [event]).buffer().scan(lambda _, event: event, None),
    "async expand": lambda flow: flow.flat_map(alone).timeout(60),
    "positions": lambda flow: flow.map(lambda event, where: event, with_position=True),
    "two edges": lambda flow: flow.buffer(3).tap(lambda event: None).buffer(1).throttle(7, per=0.1),
    "threads": lambda flow: flow.map(unchanged, on=sf.threads(2)),
    "spill": lambda flow: flow.buffer(2, bytes="9MB", overflow="spill").throttle(5, per=0.01),
    "parted": lambda flow: flow.branch(lambda event: True)[0].buffer(2),
}


def tumbling(size: float) -> Callable[[float], list[tuple[float, float]]]:
    return lambda time: [(time // size * size, time // size * size + size)]


def sliding(size: float, every: float) -> Callable[[float], list[tuple[float, float]]]:
    def windows(time: float) -> list[tuple[float, float]]:
        last = time // every * every
        starts = [last - n * every for n in range(int(size // every) + 2)]
        return sorted((start, start + size) for start in starts if start <= time < start + size)

    return windows


KINDS = {
    "tumbling": (sf.tumbling(10), tumbling(10)),
    "sliding": (sf.sliding(12, 4), sliding(12, 4)),
    "uneven": (sf.sliding(10, 4), sliding(10, 4)),
}


def ran(flow: sf.Flow[Any], *, fuse: bool = True) -> list[Any]:
    """Run `flow` on a virtual clock and return what came out; the books must close."""

    async def main() -> list[Any]:
        out: list[Any] = []
        report = await flow.to(out).run(fuse=fuse)
        assert all(stage.conserved for stage in report.statistics.stages)
        assert all(edge.conserved for edge in report.statistics.edges)
        return out

    return run(main)


def source(events: list[Any], batch: int) -> sf.Flow[Any]:
    return sf.flow(FaultySource(items=events, batch=batch, can_seek=True, delay=0.001))


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(EVENTS, st.sampled_from([0.0, 3.0, 20.0]), st.integers(1, 9), st.booleans())
def test_windows_give_what_the_model_gives(
    kind: str, between: str, events: list[Any], lateness: float, batch: int, fuse: bool
) -> None:
    spec, windows = KINDS[kind]
    model = Model(windows, lateness=lateness)
    for event in events:
        model.take(event[0], event[1], event)
    model.go_on(math.inf)
    timed = source(events, batch).event_time(at, max_lateness=lateness)
    found = BETWEEN[between](timed).key_by(whose).window(spec).collect()
    assert told(ran(found, fuse=fuse)) == model.out


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(EVENTS, st.sampled_from([0.0, 7.0]), st.integers(1, 9), st.booleans(), st.booleans())
def test_late_items_are_dropped_and_counted_or_leave_by_an_output_of_their_own(
    kind: str, events: list[Any], lateness: float, batch: int, fuse: bool, read: bool
) -> None:
    spec, windows = KINDS[kind]
    model = Model(windows, lateness=lateness)
    for event in events:
        model.take(event[0], event[1], event)
    model.go_on(math.inf)
    results = source(events, batch).event_time(at, max_lateness=lateness).key_by(whose).window(spec).collect()

    async def main() -> None:
        out: list[Any] = []
        late: list[Any] = []
        ends = [results.to(out), results.late.to(late)] if read else [results.to(out)]
        report = await sf.together(*ends).run(fuse=fuse)
        assert told(out) == model.out
        assert late == (model.late if read else [])
        stages = report.statistics.stages
        assert all(stage.conserved for stage in stages)
        assert stages[0].dropped == (0 if read else len(model.late))
        assert stages[0].passed == len(events) - stages[0].dropped

    run(main)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("between", ["one stage", "buffer"])
@settings(max_examples=60)
@given(
    EVENTS,
    st.sampled_from([0.0, 7.0]),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from([None, 3.0, 25.0]),
    st.sampled_from([None, 0.5, 30.0]),
)
def test_early_and_updated_results(
    kind: str,
    between: str,
    events: list[Any],
    lateness: float,
    batch: int,
    fuse: bool,
    every: float | None,
    keep: float | None,
) -> None:
    spec, windows = KINDS[kind]
    model = Model(windows, lateness=lateness, every=every, keep=keep)
    for event in events:
        model.take(event[0], event[1], event)
    model.close(math.inf)
    timed = BETWEEN[between](source(events, batch).event_time(at, max_lateness=lateness))
    late: Any = "drop" if keep is None else "update"
    found = timed.key_by(whose).window(spec, every=every, late=late, keep=keep).collect()
    assert told(ran(found, fuse=fuse)) == model.out


@pytest.mark.parametrize("between", ["one stage", "buffer", "concurrent"])
@settings(max_examples=60)
@given(
    NEAR,
    st.sampled_from([0.0, 7.0, 40.0]),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from([None, 3.0, 25.0]),
    st.sampled_from([1.5, 6.0, 30.0]),
)
def test_sessions(
    between: str, events: list[Any], lateness: float, batch: int, fuse: bool, every: float | None, gap: float
) -> None:
    model = SessionModel(gap, lateness=lateness, every=every)
    for event in events:
        model.take(event[0], event[1], event)
    model.close(math.inf)
    timed = BETWEEN[between](source(events, batch).event_time(at, max_lateness=lateness))
    assert told(ran(timed.key_by(whose).window(sf.session(gap), every=every).collect(), fuse=fuse)) == model.out


@pytest.mark.parametrize("between", ["one stage", "buffer"])
@settings(max_examples=60)
@given(
    EVENTS,
    st.sampled_from([0.0, 7.0]),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from([None, 3.0, 25.0]),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
)
def test_global_windows(
    between: str,
    events: list[Any],
    lateness: float,
    batch: int,
    fuse: bool,
    every: float | None,
    count: int | None,
    keep: bool,
) -> None:
    flow = source(events, batch)
    if every is not None:
        flow = flow.event_time(at, max_lateness=lateness)
    windowed = BETWEEN[between](flow).key_by(whose).window(sf.global_window(count, every, keep))
    assert told(ran(windowed.collect(), fuse=fuse)) == global_model(events, lateness, count, every, keep)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 60), max_size=25).map(sorted), min_size=1, max_size=3),
    st.lists(st.floats(0, 0.01), min_size=3, max_size=3),
    st.integers(1, 9),
)
def test_inputs_that_are_merged_wait_for_each_other(inputs: list[list[int]], delays: list[float], batch: int) -> None:
    flows = [
        sf.flow(FaultySource(items=times, batch=batch, delay=delay)).event_time(lambda t: t)
        for times, delay in zip(inputs, delays, strict=False)
    ]
    windows = sf.merge(*flows).key_by(lambda t: t % 2).window(sf.tumbling(7)).collect()
    counts: dict[tuple[float, int], list[int]] = {}
    for time in sorted(time for times in inputs for time in times):
        counts.setdefault((time // 7 * 7, time % 2), []).append(time)
    found = ran(windows)
    # Each input is in order, so that none of its items is late, however far another one is ahead.
    assert {(one.start, one.key): sorted(one.value) for one in found} == counts
    assert [one.end for one in found] == sorted(one.end for one in found)


@settings(max_examples=40)
@given(EVENTS, EVENTS, st.booleans())
def test_inputs_one_after_the_other_are_as_if_time_were_set_behind_them(one: Any, other: Any, fuse: bool) -> None:
    def windows(flow: sf.Flow[Any]) -> list[Any]:
        return ran(flow.key_by(whose).window(sf.tumbling(10)).collect(), fuse=fuse)

    timed = [source(events, 4).event_time(at, max_lateness=5) for events in (one, other)]
    behind = sf.concat(source(one, 4), source(other, 4)).event_time(at, max_lateness=5)
    # Each has a watermark of its own, which begins anew with the second: the first one's stands.
    assert windows(sf.concat(*timed)) == windows(behind)


@pytest.mark.parametrize("fuse", [True, False])
def test_windows_end_with_a_flow_that_is_cut_short(fuse: bool) -> None:
    flow = sf.flow(range(10**9)).event_time(lambda t: t).take(25).key_by(lambda t: t % 2)
    assert [one.value for one in ran(flow.window(sf.tumbling(20)).aggregate(n=sf.agg.count()), fuse=fuse)] == [
        {"n": 10},
        {"n": 10},
        {"n": 3},
        {"n": 2},
    ]
    endless = sf.flow(range(10**9)).event_time(lambda t: t).key_by(lambda t: t % 2)
    assert [one.start for one in ran(endless.window(sf.tumbling(20)).collect().take(3), fuse=fuse)] == [0, 0, 20]


@pytest.mark.parametrize("kind", [*KINDS, "session", "global", "none"])
@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([1, 5, 9, "x", "y"])), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_an_item_that_one_aggregation_refuses_is_in_none_of_them(
    kind: str, items: list[tuple[int, Any]], summing: bool, fuse: bool
) -> None:
    events = [(time, "a", amount, n) for n, (time, amount) in enumerate(items)]
    keyed = sf.flow(events).event_time(at, max_lateness=100).key_by(whose, on_error="skip")
    aggregations = {
        "all": sf.agg.collect(),
        "n": sf.agg.count(),
        "latest": sf.agg.max(at),
        "most": sf.agg.max(lambda event: event[2]),
    }
    if summing:
        aggregations["total"] = sf.agg.sum(lambda event: event[2])
    else:
        # These have slots that are changed in place.
        aggregations |= {
            "mean": sf.agg.mean(at),
            "distinct": sf.agg.distinct(lambda event: event[2] if event[3] % 3 else [event[2]]),
            "top": sf.agg.top_k(2, lambda event: event[2]),
            "custom": sf.agg.custom(list, put, put_all),
            "median": sf.agg.quantile(0.5, at),
        }
    specs: dict[str, Any] = {"session": sf.session(5), "global": sf.global_window()}
    spec = KINDS[kind][0] if kind in KINDS else specs.get(kind)
    flow = keyed.aggregate(**aggregations) if spec is None else keyed.window(spec).aggregate(**aggregations)
    found = [one.value for one in ran(flow, fuse=fuse)]
    for value in found:
        kept = value["all"]
        assert value["n"] == len(kept)
        assert value == {name: one.over(kept) for name, one in aggregations.items()}
    for event in events:
        times = sum(event in value["all"] for value in found)
        assert times in (0, len(KINDS[kind][1](event[0])) if kind in KINDS else 1)


def test_results_have_a_form_in_json(tmp_path: Any) -> None:
    flow = sf.flow([(0.0, "a"), (1.0, "a")]).event_time(at).key_by(whose)
    flow.window(sf.tumbling(10)).aggregate(n=sf.agg.count()).to(tmp_path / "windows.jsonl").run_sync()
    assert (tmp_path / "windows.jsonl").read_text() == '{"key":"a","start":0.0,"end":10.0,"value":{"n":2}}\n'
    flow.aggregate(n=sf.agg.count()).to(tmp_path / "keys.jsonl").run_sync()
    assert (tmp_path / "keys.jsonl").read_text() == '{"key":"a","value":{"n":2}}\n'


def test_the_plain_for_loop_gives_the_same() -> None:
    events = [(0.0, "a"), (3.0, "b"), (12.0, "a"), (5.0, "b"), (31.0, "b")]
    for between in ("one stage", "buffer", "maps", "expand"):
        flow = BETWEEN[between](sf.flow(events).event_time(at)).key_by(whose)
        found = list(flow.window(sf.tumbling(10)).aggregate(n=sf.agg.count(), last=sf.agg.last(at)))
        assert found == [
            sf.WindowResult("a", 0.0, 10.0, {"n": 1, "last": 0.0}),
            sf.WindowResult("b", 0.0, 10.0, {"n": 1, "last": 3.0}),
            sf.WindowResult("a", 10.0, 20.0, {"n": 1, "last": 12.0}),
            sf.WindowResult("b", 30.0, 40.0, {"n": 1, "last": 31.0}),
        ]
    assert list(flow.window(sf.tumbling(10)).collect().late) == [(5.0, "b")]
