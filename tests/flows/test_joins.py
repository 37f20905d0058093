"""Joins of two flows against a slow model: whatever the batches, the stages between, and which side is ahead."""

from __future__ import annotations

import asyncio
import gc
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.engine.ahead import may_wait
from streamflow.engine.planner import plan
from streamflow.engine.stages import join as join_stage
from streamflow.testing import FaultySink, FaultySource, InjectedError, cancel_everywhere, run
from tests.flows import joins_model as model
from tests.flows.test_windows import KINDS, at, ran, tumbling, whose

TIMES = st.tuples(st.integers(0, 160).map(lambda n: n / 4), st.sampled_from(["a", "b", None]))
EVENTS = st.lists(TIMES, max_size=30)
LATENESS = st.sampled_from([0.0, 3.0, 20.0])


async def after_a_while(event: Any) -> Any:
    await asyncio.sleep(event[0] % 1)
    return event


#: What may stand between the event time and the join.
BETWEEN: dict[str, Callable[[sf.Flow[Any]], sf.Flow[Any]]] = {
    "nothing": lambda flow: flow,
    "buffer": lambda flow: flow.buffer(2),
    "concurrent": lambda flow: flow.map(after_a_while, concurrency=3),
    "expand": lambda flow: flow.flat_map(lambda event: [event]).buffer(1).filter(lambda event: True),
    "merge": lambda flow: sf.merge(flow.buffer(1)),
}


class Sides:
    """Be two inputs, as the flows and for the model."""

    def __init__(self, data: st.DataObject) -> None:
        draw = data.draw
        self.events: list[list[Any]] = [
            [(*event, f"{name}{n}") for n, event in enumerate(draw(EVENTS, name))] for name in ("left", "right")
        ]
        self.lateness = draw(LATENESS), draw(LATENESS)
        self.between = [draw(st.sampled_from([*BETWEEN])) for _ in range(2)]
        self.batch = [draw(st.integers(1, 9)) for _ in range(2)]
        self.delay = [draw(st.sampled_from([0.0, 0.001, 0.7])) for _ in range(2)]
        self.fuse = draw(st.booleans())

    def flow(self, side: int) -> sf.KeyedFlow[Any, Any]:
        source = FaultySource(items=self.events[side], batch=self.batch[side], can_seek=True, delay=self.delay[side])
        timed = sf.flow(source).event_time(at, max_lateness=self.lateness[side])
        return BETWEEN[self.between[side]](timed).key_by(whose)

    def parted(self) -> tuple[list[list[Any]], list[Any]]:
        (left, left_late), (right, right_late) = (
            model.parted(events, lateness) for events, lateness in zip(self.events, self.lateness, strict=True)
        )
        return [left, right], late_ones(left_late, right_late)


def late_ones(left: list[Any], right: list[Any]) -> list[Any]:
    return [sf.Joined(one[1], one, None) for one in left] + [sf.Joined(one[1], None, one) for one in right]


def played(results: Any, fuse: bool, read_late: bool, counted: int) -> tuple[list[Any], list[Any]]:
    """Run a join, and return results and late items; the books must close."""

    async def main() -> tuple[list[Any], list[Any]]:
        out: list[Any] = []
        late: list[Any] = []
        ends = [results.to(out), *[results.late.to(late)] * read_late]
        report = await sf.together(*ends).run(fuse=fuse)
        stages = report.statistics.stages
        assert all(stage.conserved for stage in stages)
        assert all(edge.conserved for edge in report.statistics.edges)
        (joined,) = (stage for stage in stages if stage.kind == "join")
        assert joined.retained == joined.abandoned == 0
        assert joined.dropped == (0 if read_late else counted)
        return out, late

    return run(main)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(st.data(), st.sampled_from(["inner", "left", "outer"]), st.booleans())
def test_joins_in_windows(kind: str, data: st.DataObject, how: Any, read_late: bool) -> None:
    sides = Sides(data)
    spec, windows = KINDS[kind]
    expected, *late = model.in_windows(*sides.events, sides.lateness, windows, how)
    joined = sides.flow(0).join(sides.flow(1), window=spec, how=how)
    out, found_late = played(joined, sides.fuse, read_late, len(late_ones(*late)))
    assert out == expected
    assert not read_late or Counter(found_late) == Counter(late_ones(*late))


@settings(max_examples=100)
@given(st.data(), st.sampled_from(["inner", "left", "outer"]), st.booleans(), st.integers(-9, 9), st.integers(0, 9))
def test_joins_by_interval(data: st.DataObject, how: Any, read_late: bool, lower: int, length: int) -> None:
    sides = Sides(data)
    in_time, late = sides.parted()
    joined = sides.flow(0).join(sides.flow(1), within=(lower, lower + length), how=how)
    out, found_late = played(joined, sides.fuse, read_late, len(late))
    assert Counter(out) == Counter(model.within(*in_time, lower, lower + length, how))
    assert not read_late or Counter(found_late) == Counter(late)


@settings(max_examples=100)
@given(st.data(), st.sampled_from(["inner", "left"]), st.booleans(), st.sampled_from([None, 0, 5]))
def test_joins_as_of_a_time(data: st.DataObject, how: Any, read_late: bool, tolerance: Any) -> None:
    sides = Sides(data)
    in_time, late = sides.parted()
    joined = sides.flow(0).join_asof(sides.flow(1), tolerance=tolerance, how=how)
    out, found_late = played(joined, sides.fuse, read_late, len(late))
    assert out == model.as_of(*in_time, math.inf if tolerance is None else tolerance, how)
    assert not read_late or Counter(found_late) == Counter(late)


def keyed(events: Any, **options: Any) -> sf.KeyedFlow[Any, Any]:
    return sf.flow(events).event_time(at, **options).key_by(whose)


# -- which side is ahead ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", ["left", "right"])
def test_the_side_that_is_ahead_waits(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick input does not pile up while the other is far behind."""
    monkeypatch.setattr(join_stage, "AHEAD", 50)

    async def main() -> None:
        events = [(float(n), n % 3) for n in range(5000)]
        lazy = sf.flow(FaultySource(items=events, batch=20, delay=0.01)).event_time(at).buffer(20).key_by(whose)
        hasty = sf.flow(FaultySource(items=events, batch=20)).event_time(at).buffer(20).key_by(whose)
        left, right = (lazy, hasty) if slow == "left" else (hasty, lazy)
        out: list[Any] = []
        most = 0
        async with left.join(right, within=(0, 1)).to(out).start() as handle:
            while handle.state == "running":
                await asyncio.sleep(0.1)
                most = max([most, *(one.retained for one in handle.statistics().stages if one.kind == "join")])
        assert 0 < most < 150
        assert len(out) == 5000

    run(main)


@settings(max_examples=40)
@given(st.integers(1, 60), st.booleans(), st.sampled_from(["drop", "late", "window", "all gone"]))
def test_a_flow_joined_with_itself_never_waits_for_itself(count: int, swapped: bool, way: str) -> None:
    events = [(float(n), n % 2) for n in range(4 * count)]
    flow = sf.flow(FaultySource(items=events, batch=7))
    timed = flow.event_time(at).buffer(1)
    ways: dict[str, Callable[[], sf.KeyedFlow[Any, Any]]] = {
        "drop": lambda: timed.filter(lambda event: event[0] % 4 == 0).buffer(1).key_by(whose),
        "late": lambda: flow.buffer(1).event_time(at, max_lateness=1000).buffer(1).key_by(whose),
        "window": lambda: timed.key_by(whose).window(sf.tumbling(20)).collect().buffer(1).key_by(lambda one: one.key),
        "all gone": lambda: flow.filter(lambda event: False).buffer(1).event_time(at).key_by(whose),
    }
    one, other = timed.map(after_a_while, concurrency=2).buffer(1).key_by(whose), ways[way]()
    left, right = (other, one) if swapped else (one, other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join_stage, "AHEAD", 3)
        out = ran(left.join(right, window=sf.tumbling(20), how="outer"))
    if way == "drop":
        kept = [event for event in events if event[0] % 4 == 0]
        sides = (kept, events) if swapped else (events, kept)
        assert out == model.in_windows(*sides, (0, 0), tumbling(20), "outer")[0]  # type: ignore[arg-type]
    assert out


def test_the_very_same_flow_on_both_sides() -> None:
    flow = keyed([(float(n), n % 2) for n in range(100)])
    assert len(ran(flow.join(flow, within=(0, 0)))) == 100
    assert ran(flow.join_asof(flow)) == [sf.Joined(n % 2, (float(n), n % 2), (float(n), n % 2)) for n in range(100)]


def test_two_joins_may_share_both_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would wait for the other's side, if one that is ahead had to wait here."""
    monkeypatch.setattr(join_stage, "AHEAD", 3)
    events = [(float(n), 0) for n in range(400)]
    one, other = (sf.flow(FaultySource(items=events, batch=5)).buffer(1) for _ in range(2))
    strict, lenient = 0, 100

    def side(flow: sf.Flow[Any], lateness: float) -> sf.KeyedFlow[Any, Any]:
        return flow.event_time(at, max_lateness=lateness).buffer(1).key_by(whose)

    first = side(one, strict).join(side(other, lenient), within=(0, 0))
    second = side(one, lenient).join(side(other, strict), within=(0, 0))
    out: list[Any] = []
    again: list[Any] = []
    run(lambda: sf.together(first.to(out), second.to(again)).run())
    assert len(out) == len(again) == 400


def test_who_may_wait_for_whom() -> None:
    one, other = (sf.flow(FaultySource(items=[])).event_time(at) for _ in range(2))
    plain = one.key_by(whose).join(other.key_by(whose), within=(0, 0))

    def waits(*ends: Any) -> tuple[bool, ...]:
        planned = plan(sf.together(*ends)._graph)
        return may_wait(planned, next(stage.index for stage in planned.stages if stage.kind == "join"))

    assert waits(plain.to([])) == (True, True)
    assert waits(plain.to([]), other.to([])) == (True, True)  # what is always read holds nobody up
    assert waits(plain.to([]), sf.zip(other, sf.flow([1])).to([])) == (False, True)
    assert waits(one.key_by(whose).join(one.buffer(1).key_by(whose), within=(0, 0)).to([])) == (False, False)


def test_an_idle_input_does_not_hold_up_the_other() -> None:
    async def main() -> None:
        left, right = sf.inbox(10), sf.inbox(10)
        flows = [sf.flow(box).event_time(at, idle_after=5).key_by(whose) for box in (left, right)]
        out: list[Any] = []
        async with flows[0].join_asof(flows[1]).to(out).start() as handle:
            await right.send((0.0, "a"))
            for n in (1.0, 2.0, 3.0):
                await left.send((n, "a"))
            await asyncio.sleep(1)
            assert out == []
            await asyncio.sleep(10)
            await left.send((4.0, "a"))
            await asyncio.sleep(1)
            assert [one.left[0] for one in out] == [1.0, 2.0, 3.0]
            await handle.cancel()

    run(main)


@pytest.mark.parametrize("empty", ["left", "right"])
def test_one_input_is_empty(empty: str) -> None:
    events = [(1.0, "a"), (2.0, "b")]
    left, right = keyed([] if empty == "left" else events), keyed([] if empty == "right" else events)
    out = ran(left.join(right, window=sf.tumbling(10), how="outer"))
    assert [one.right if empty == "left" else one.left for one in out] == events
    assert ran(left.join(right, within=(0, 5))) == []


# -- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["left", "right"])
@pytest.mark.parametrize("how", ["inner", "left", "outer"])
def test_where_a_side_has_failed_nothing_is_said_to_have_no_partner(failing: str, how: Any) -> None:
    async def main() -> None:
        events = [(float(n), 0) for n in range(50)]
        broken = keyed(FaultySource(items=events, batch=1, fail_at=3, delay=0.01))
        whole = keyed(FaultySource(items=events, batch=50))
        left, right = (broken, whole) if failing == "left" else (whole, broken)
        sink = FaultySink()
        with pytest.raises(InjectedError):
            await left.join(right, within=(0, 0), how=how).to(sink).run()
        assert all(None not in one[1:] for one in sink.log.items)

    run(main)


def unhashable(event: Any) -> Any:
    return [1] if event[1] == "list" else 1 / event[1]


@pytest.mark.parametrize("form", [{"window": sf.tumbling(10)}, {"within": (0, 10)}])
def test_keys_that_are_none_follow_the_policy(form: Any) -> None:
    bad = [(1.0, "list"), (2.0, 1), (3.0, 0)]

    def flow(**policy: Any) -> Any:
        left, right = (sf.flow(bad).event_time(at).key_by(unhashable, **policy) for _ in range(2))
        return left.join(right, **form)

    with pytest.raises(TypeError, match="unhashable") as caught:
        ran(flow())
    assert "item 0 of its input" in "".join(caught.value.__notes__)
    assert [one[:3] for one in ran(flow(on_error="skip"))] == [(1.0, (2.0, 1), (2.0, 1))]
    letters: list[Any] = []
    assert len(ran(flow(on_error=sf.dead_letter(letters)))) == 1
    assert sorted(letter.exception for letter in letters) == [
        "TypeError",
        "TypeError",
        "ZeroDivisionError",
        "ZeroDivisionError",
    ]
    assert {letter.position.index for letter in letters} == {0, 2}
    with pytest.raises(sf.TooManyFailures):
        ran(flow(on_error="skip", max_failures=2))


def test_nan_is_one_key_and_none_is_another() -> None:
    events = [(1.0, float("nan")), (2.0, None)]
    out = ran(keyed(events).join(keyed([(1.0, float("nan")), (2.0, None)]), window=sf.tumbling(10)))
    assert [(one.left[0], one.right[0]) for one in out] == [(1.0, 1.0), (2.0, 2.0)]


def test_an_async_key_function_behind_a_lambda_is_refused() -> None:
    async def key(event: Any) -> Any:
        return event[1]

    flow = sf.flow([(1.0, "a")]).event_time(at).key_by(lambda event: key(event))
    with pytest.raises(sf.FlowError, match="must be plain"):
        ran(flow.join(flow, within=(0, 0)))


def test_a_position_is_known_in_a_key_function() -> None:
    found: list[Any] = []

    def key(event: Any) -> Any:
        found.append(sf.position())
        return event[1]

    flow = sf.flow([(1.0, "a"), (2.0, "a")]).event_time(at)
    ran(flow.key_by(key).join(keyed([]), within=(0, 0)))
    assert {str(one) for one in found} == {"between list, item 0 and list, item 1"}
    found.clear()
    exact = (
        flow.map(lambda event, where: event, with_position=True).buffer(1).tap(lambda _, __: None, with_position=True)
    )
    ran(exact.key_by(key).join(keyed([]), within=(0, 0)))
    assert [str(one) for one in found] == ["list, item 0", "list, item 1"]


def test_it_can_be_cancelled_at_every_await() -> None:
    async def scenario() -> None:
        events = [(float(n), n % 2) for n in range(6)]
        left, right = (keyed(FaultySource(items=events, batch=2, delay=0.001)) for _ in range(2))
        await left.join(right, window=sf.tumbling(4), how="outer").to(FaultySink()).run()

    cancel_everywhere(scenario)
    gc.collect()


def test_a_large_product_does_not_hold_the_loop() -> None:
    """The pairs of one window are made while they are taken, and others are served between."""

    async def main() -> None:
        events = [(1.0, "a")] * 400
        counted = 0

        def count(_: Any) -> None:
            nonlocal counted
            counted += 1

        ticks = 0
        async with keyed(events).join(keyed(events), window=sf.tumbling(10)).to(count).start() as handle:
            while handle.state == "running":
                await asyncio.sleep(0)
                ticks += 1
        assert counted == 160_000
        assert ticks > 20

    asyncio.run(main())


# -- what cannot work -------------------------------------------------------------------------------------------------


def test_what_cannot_work_is_refused() -> None:
    good: Any = keyed([])
    untimed = sf.flow([]).key_by(whose)
    sides: list[Any] = [(untimed, good, "left"), (good, untimed, "right")]
    for left, right, side in sides:
        for joined in (left.join(right, within=(0, 1)), left.join_asof(right), left.join(right, window=sf.tumbling(1))):
            with pytest.raises(sf.FlowError, match=rf"on the {side} nothing has said when .*event_time"):
                ran(joined)
    wrong: list[tuple[Any, str]] = [
        (lambda: good.join(good), "either window="),
        (lambda: good.join(good, window=sf.tumbling(1), within=(0, 1)), "either window="),
        (lambda: good.join(good, within=(1, 0)), "exchange them"),
        (lambda: good.join(good, within=("1s",)), "expected two durations"),
        (lambda: good.join(good, within=("soon", 1)), "no stretch of time"),
        (lambda: good.join(good, within=(None, 1)), "not a number of seconds"),
        (lambda: good.join(good, window=sf.session("1m")), "use within="),
        (lambda: good.join(good, within=(0, 1), how="right"), "exchange the two inputs"),
        (lambda: good.join_asof(good, how="outer"), "'inner', 'left'"),
        (lambda: good.join_asof(good, tolerance=-1), "seconds from 0 on"),
        (lambda: good.join(sf.flow([]), within=(0, 1)), r"key it, as in .key_by"),
        (lambda: good.join(untimed.join, within=(0, 1)), "expected a keyed flow"),
        (lambda: good.join(sf.flow([]).key_by(whose, on_error="skip"), within=(0, 1)), "the same on_error="),
    ]
    for make, said in wrong:
        with pytest.raises(sf.FlowError, match=said):
            make()


def test_results_of_windows_have_a_time_and_the_others_none() -> None:
    flow = keyed([(float(n), n % 2) for n in range(40)])
    joined = flow.join(flow, window=sf.tumbling(10))
    hourly = joined.key_by(lambda one: one.key).window(sf.tumbling(20)).aggregate(n=sf.agg.count())
    assert [(one.key, one.start, one.value["n"]) for one in ran(hourly)] == [
        (0, 0.0, 50),
        (1, 0.0, 50),
        (0, 20.0, 50),
        (1, 20.0, 50),
    ]
    with pytest.raises(sf.FlowError, match="have no time of their own"):
        ran(flow.join(flow, within=(0, 1)).key_by(whose).window(sf.tumbling(20)).collect())


def test_it_says_what_it_is() -> None:
    flow = keyed([])
    assert "join(window=tumbling(60 s), how=left)" in flow.join(flow, window=sf.tumbling("1m"), how="left").explain()
    found = flow.join(flow, within=("-5s", "10s")).explain()
    assert "join(within=(-5 s, 10 s), how=inner)" in found
    assert "not repeatable byte for byte, because of join(within" in found
    assert "join_asof(how=left)" in flow.join_asof(flow).explain()
    found = flow.join_asof(flow, tolerance="1m", name="price of the moment").explain()
    assert "price of the moment  [join]" in found
    assert "\nrepeatable" in found
