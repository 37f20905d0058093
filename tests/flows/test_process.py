"""Processors: one coroutine that takes the items and the timers of its keys, against a slow, obvious model."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.model import events
from streamflow.testing import FaultySink, FaultySource, InjectedError, cancel_everywhere, no_leaks, run
from tests.flows.test_loops import LOOPS, check_books, on

KEYS = ["a", "b", None, 3, math.nan, ("c", 1)]
LATENESS = 2
#: What an item has its key do: set or forget its value, set or cancel a timer so many seconds from its own time.
DEEDS = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 3)),
    st.tuples(st.just("clear"), st.just(0)),
    st.tuples(st.sampled_from(["timer", "cancel"]), st.integers(-2, 6)),
)
ITEMS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(KEYS), st.lists(DEEDS, max_size=3)), max_size=25)
Events = AsyncIterator[sf.KeyedItem | sf.Timer]


def at(item: Any) -> Any:
    return item[0]


def whose(item: Any) -> Any:
    return item[1]


async def deeds(inbox: Any, out: Any, state: sf.KeyState) -> None:
    """Do what the items say; each second timer of a key sets another one."""
    async for event in inbox:
        value = state.get("none")
        if isinstance(event, sf.Timer):
            await out(("timer", str(event.key), event.time, state.now, value))
            if isinstance(value, int) and value % 2:
                state.set(value + 1)
                state.set_timer(event.time + 3)
            continue
        await out(("item", str(event.key), event.time, state.now, value))
        for deed, argument in event.value[2]:
            if deed == "set":
                state.set(argument)
            elif deed == "clear":
                state.clear()
            elif deed == "timer":
                state.set_timer(event.time + argument)
            else:
                state.cancel_timer(event.time + argument)


class Model:
    """Do the same with two dicts, by looking at everything each time."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.timers: dict[str, set[float]] = {}
        self.order: list[str] = []
        self.now = -math.inf
        self.out: list[Any] = []

    def all(self, items: list[Any]) -> list[Any]:
        for time, key, what in items:
            self.go_on(max(self.now, time - LATENESS))
            name = str(key)
            self.out.append(("item", name, time, self.now, self.values.get(name, "none")))
            for deed, argument in what:
                if deed == "set":
                    self.values[name] = argument
                elif deed == "clear":
                    self.values.pop(name, None)
                elif deed == "timer":
                    self.set_timer(name, time + argument)
                else:
                    self.timers.get(name, set()).discard(time + argument)
                self.note(name)
            self.fire()
        self.go_on(math.inf)
        return self.out

    def set_timer(self, name: str, moment: float) -> None:
        if self.now != math.inf:
            self.timers.setdefault(name, set()).add(moment)

    def note(self, name: str) -> None:
        known = name in self.values or bool(self.timers.get(name))
        if known and name not in self.order:
            self.order.append(name)
        elif not known and name in self.order:
            self.order.remove(name)

    def go_on(self, now: float) -> None:
        self.now = now
        self.fire()

    def fire(self) -> None:
        while True:
            due = [(time, self.order.index(name), name) for name, times in self.timers.items() for time in times]
            due = [one for one in due if one[0] <= self.now]
            if not due:
                return
            time, _, name = min(due)
            self.timers[name].discard(time)
            self.note(name)
            value = self.values.get(name, "none")
            self.out.append(("timer", name, time, self.now, value))
            if isinstance(value, int) and value % 2:
                self.values[name] = value + 1
                self.set_timer(name, time + 3)
                self.note(name)


def expected(items: list[Any]) -> list[Any]:
    return Model().all(items)


@settings(max_examples=60)
@given(ITEMS, st.integers(1, 5), st.booleans())
def test_items_timers_and_states_are_those_of_the_model(items: list[Any], batch: int, edge: bool) -> None:
    async def main() -> None:
        flow = sf.flow(FaultySource(items=items, batch=batch)).event_time(at, max_lateness=LATENESS)
        if edge:
            flow = flow.buffer(2).map(later, concurrency=2)
        out: list[Any] = []
        report = await flow.key_by(whose).process(deeds).to(out).run()
        assert out == expected(items)
        check_books(report.statistics)

    run(main)


async def later(item: Any) -> Any:
    await asyncio.sleep(0.001)
    return item


@settings(max_examples=40)
@given(ITEMS, st.integers(1, 4), st.integers(2, 3))
def test_of_several_coroutines_each_gives_its_keys_what_one_would(items: list[Any], batch: int, several: int) -> None:
    async def slow(inbox: Any, out: Any, state: sf.KeyState) -> None:
        async def slowly(item: Any) -> None:
            await asyncio.sleep(0.001 * (hash(item[1]) % 3))
            await out(item)

        await deeds(inbox, slowly, state)

    async def main() -> None:
        source = FaultySource(items=items, batch=batch)
        flow = sf.flow(source).event_time(at, max_lateness=LATENESS).key_by(whose).process(slow, concurrency=several)
        found = await flow.collect()
        # How far time has come when an event is given may differ: that is what the lanes do apart.
        bare = [
            [one[:3] + one[4:] for one in all_ if one[1] == str(key)]
            for all_ in (found, expected(items))
            for key in KEYS
        ]
        assert bare[: len(KEYS)] == bare[len(KEYS) :]

    run(main)


# -- event time behind it ------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(ITEMS, st.sampled_from([1, 3]))
def test_windows_behind_a_processor_go_by_the_time_of_its_events_and_nothing_is_late(items: Any, several: int) -> None:
    items = sorted(items, key=at)

    async def both(inbox: Any, out: Any, state: sf.KeyState) -> None:
        async for event in inbox:
            await out(event)
            if isinstance(event, sf.KeyedItem) and event.time is not None:
                state.set_timer(event.time + 4)

    async def main() -> None:
        flow = sf.flow(items).event_time(at).key_by(whose).process(both, concurrency=several)
        windows = flow.key_by(lambda event: 1).window(sf.tumbling(5)).aggregate(n=sf.agg.count())
        late: list[Any] = []
        found: list[Any] = []
        await sf.together(windows.to(found), windows.late.to(late)).run()
        times = [time for time, _, _ in items]
        times += [time + 4 for time, _ in {(time, str(key)) for time, key, _ in items}]
        counts = {start: sum(start <= time < start + 5 for time in times) for start in range(0, 40, 5)}
        assert [(one.start, one.value["n"]) for one in found] == [(s, n) for s, n in counts.items() if n]
        assert late == []

    run(main)


def test_what_is_sent_before_the_first_event_has_no_time_and_is_refused_where_that_matters() -> None:
    async def hasty(inbox: Any, out: Any, state: sf.KeyState) -> None:
        await out(1)

    keyed = sf.flow([1]).event_time(float).key_by(str).process(hasty)
    with pytest.raises(sf.FlowError, match="bears the time of the latest event"):
        keyed.key_by(str).window(sf.tumbling(1)).collect().to(None).run_sync()
    assert list(sf.flow([1]).key_by(str).process(hasty)) == [1]


# -- the clock of the run ------------------------------------------------------------------------------------------


async def silence(inbox: Any, out: Any, state: sf.KeyState) -> None:
    """Tell when 5 seconds have passed without an item of a key."""
    async for event in inbox:
        if isinstance(event, sf.Timer):
            await out((event.key, event.time))
        else:
            state.cancel_timer(state.get(-1.0))
            state.set(state.now + 5)
            state.set_timer(state.now + 5)


async def pauses(*seconds: float) -> AsyncIterator[str]:
    for number, wait in enumerate(seconds):
        await asyncio.sleep(wait)
        yield f"k{number % 2}"


def test_without_event_time_timers_go_by_the_clock_of_the_run() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen: list[Any] = []
        flow = sf.flow(pauses(1, 1, 1, 20)).key_by(str).process(silence)
        await flow.map(lambda one: (one, loop.time())).to(seen.append).run()
        # k0 at 1 and 3, k1 at 2; what is set for after the end never fires.
        assert [one for one, _ in seen] == [("k1", 7.0), ("k0", 8.0)]
        assert [math.isclose(time, one[1], abs_tol=1e-3) for one, time in seen] == [True, True]

    run(main)


def test_in_a_pause_the_clock_stands() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen: list[Any] = []
        flow = sf.flow(pauses(1, 60)).key_by(str).process(silence).map(lambda one: loop.time())
        async with flow.to(seen.append).start() as handle:
            await asyncio.sleep(3)
            await handle.pause()
            await asyncio.sleep(30)
            assert seen == []
            await handle.resume()
            await asyncio.sleep(2.9)
            assert seen == []
            await asyncio.sleep(0.2)
            assert [round(time, 3) for time in seen] == [36.0]
            await handle.cancel()

    run(main)


def test_many_timers_set_and_cancelled_do_not_pile_up() -> None:
    async def main() -> None:
        flow = sf.flow([(0.001 * n, n % 3) for n in range(4_000)]).event_time(at)
        sizes: list[int] = []

        async def churn(inbox: Any, out: Any, state: Any) -> None:
            async for event in inbox:
                if isinstance(event, sf.KeyedItem):
                    for wait in (2000, 1000):  # the later one first: each time there is an earlier one
                        state.cancel_timer(state.get(0.0) + wait)
                        state.set_timer(event.time + wait)
                    state.set(event.time)
                    sizes.append(len(state._timers._queue))
                else:
                    await out(event)

        left = await flow.key_by(whose).process(churn).collect()
        assert [(key, round(time, 3)) for key, time in left] == [
            *((1, 1003.997), (2, 1003.998), (0, 1003.999)),
            *((1, 2003.997), (2, 2003.998), (0, 2003.999)),
        ]
        assert max(sizes) < 1100

    run(main)


# -- beginning and end ---------------------------------------------------------------------------------------------


def test_after_the_end_of_the_inbox_it_may_still_send() -> None:
    async def total(inbox: Any, out: Any, state: sf.KeyState) -> None:
        n = 0
        async for _ in inbox:
            n += 1
        await out(n)

    assert list(sf.flow(range(10)).key_by(str).process(total)) == [10]
    assert list(sf.flow([]).key_by(str).process(total)) == [0]
    assert sorted(sf.flow(range(10)).key_by(lambda n: n % 2).process(total, concurrency=2)) == [5, 5]


@pytest.mark.parametrize("several", [1, 2])
def test_one_that_returns_early_closes_the_input_as_take_does(several: int) -> None:
    async def few(inbox: Any, out: Any, state: sf.KeyState) -> None:
        n = 0
        async for event in inbox:
            n += 1
            await out(event.value)
            if n == 3:
                return

    async def main() -> None:
        source = FaultySource(items=range(10_000), batch=4)
        out: list[int] = []
        report = await sf.flow(source).key_by(lambda n: 0).process(few, concurrency=several).to(out).run()
        assert out == [0, 1, 2]
        assert report.state == "finished"
        stage = report.statistics.stages[1]
        assert (stage.passed, stage.in_flight) == (3, 0)
        assert report.statistics.stages[0].emitted < 10_000
        check_books(report.statistics)

    run(main)


def test_timers_that_are_set_after_the_end_of_the_input_do_not_fire_so_that_it_ends() -> None:
    async def beat(inbox: Any, out: Any, state: sf.KeyState) -> None:
        async for event in inbox:
            await out((type(event).__name__, event.time, state.now))
            state.set_timer(event.time + 10)

    flow = sf.flow([0, 25]).event_time(float).key_by(lambda _: 1).process(beat)
    assert list(flow) == [
        ("KeyedItem", 0.0, 0.0),
        ("Timer", 10.0, 25.0),
        ("Timer", 20.0, 25.0),
        ("KeyedItem", 25.0, 25.0),
        ("Timer", 30.0, math.inf),
        ("Timer", 35.0, math.inf),
    ]


def test_when_nobody_reads_any_more_it_is_cancelled_and_that_is_success() -> None:
    async def main() -> None:
        ended: list[str] = []

        async def endless(inbox: Any, out: Any, state: sf.KeyState) -> None:
            try:
                async for event in inbox:
                    while True:
                        await out(event.value)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        async with no_leaks():
            assert await sf.flow([1, 2]).key_by(str).process(endless).take(2500).count() == 2500
        assert ended == ["cancelled"]

    run(main)


def test_what_it_sends_is_never_held_back() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def dawdle(inbox: Any, out: Any, state: sf.KeyState) -> None:
            async for event in inbox:
                await out(event.value)
                await asyncio.sleep(10)

        seen: list[float] = []
        await sf.flow([1, 2, 3]).key_by(str).process(dawdle).to(lambda _: seen.append(loop.time())).run()
        assert seen == [0, 10, 20]

    run(main)


def test_it_may_give_up_waiting_and_no_event_is_lost() -> None:
    async def main() -> None:
        async def impatient(inbox: Any, out: Any, state: sf.KeyState) -> None:
            while True:
                try:
                    async with asyncio.timeout(0.4):
                        event = await anext(inbox)
                except TimeoutError:
                    await out("waited")
                except StopAsyncIteration:
                    return
                else:
                    await out(event.value)

        found = await sf.flow(pauses(1, 1)).key_by(str).process(impatient).collect()
        assert found == ["waited"] * 2 + ["k0"] + ["waited"] * 2 + ["k1"]

    run(main)


def test_who_asks_is_answered_by_what_is_sent_for_it_and_learns_at_once_if_nothing_is() -> None:
    async def main() -> None:
        async def odd(inbox: Any, out: Any, state: sf.KeyState) -> None:
            async for event in inbox:
                if event.value % 2:
                    await out(event.value * 10)

        box: Any = sf.inbox(10)
        async with sf.flow(box).key_by(str).process(odd).to(box.answers).start() as handle:
            assert await box.ask(1) == 10
            with pytest.raises(sf.NoResult):
                await asyncio.wait_for(box.ask(2), 5)
            assert await box.ask(3) == 30
            await handle.drain()

    run(main)


def test_tasks_of_its_own_may_send_as_long_as_it_lives() -> None:
    async def main() -> None:
        left: list[asyncio.Task[None]] = []

        async def fanning(inbox: Any, out: Any, state: sf.KeyState) -> None:
            async def say(n: int) -> None:
                await asyncio.sleep(n)
                await out(n)

            async with asyncio.TaskGroup() as group:
                async for event in inbox:
                    group.create_task(say(event.value))
            left.append(asyncio.create_task(say(9)))

        assert await sf.flow([3, 1, 2]).key_by(str).process(fanning).collect() == [1, 2, 3]
        await asyncio.wait(left)
        assert isinstance(left[0].exception(), sf.FlowError)  # it is not lost silently

    run(main)


# -- failures ------------------------------------------------------------------------------------------------------


async def fails(inbox: Any, out: Any, state: sf.KeyState) -> None:
    async for event in inbox:
        if isinstance(event, sf.Timer) or event.value[0] == 7:
            raise InjectedError("no")
        await out(event.value)
        if event.value[0] == 5:
            state.set_timer(5.5)


def test_its_error_fails_the_run_and_names_the_event_after_what_was_sent_before() -> None:
    async def main() -> None:
        items = [(n, "ab"[n % 2]) for n in range(20)]
        sink = FaultySink()
        with pytest.raises(InjectedError) as failed:
            handle = (
                sf.flow(FaultySource(items=items[6:], batch=3)).key_by(whose).process(fails, name="p").to(sink).start()
            )
            await handle.wait()
        notes = "\n".join(failed.value.__notes__)
        assert "in stage 'p', item 1 of its input, source position: " in notes
        assert "the latest event was an item of key 'b'" in notes
        assert handle.report is not None
        assert handle.report.statistics.stages[1].failed == 1
        check_books(handle.report.statistics)
        with pytest.raises(InjectedError) as failed:
            await sf.flow(items).event_time(at).key_by(whose).process(fails).collect()
        assert "the latest event was the timer of 5.5 of key 'b'" in "\n".join(failed.value.__notes__)

    run(main)


def test_what_it_sent_before_it_failed_has_left() -> None:
    out: list[Any] = []
    with pytest.raises(InjectedError):
        sf.flow([(n, "a") for n in range(20) if n != 5]).key_by(whose).process(fails).to(out.append).run_sync()
    assert out == [(n, "a") for n in (0, 1, 2, 3, 4, 6)]


def test_a_cancelled_error_of_its_own_is_a_failure() -> None:
    async def cancelled(inbox: Any, out: Any, state: sf.KeyState) -> None:
        async for _ in inbox:
            raise asyncio.CancelledError

    with pytest.raises(sf.ItemCancelled):
        sf.flow([1]).key_by(str).process(cancelled).to(None).run_sync()


def test_the_policy_of_key_by_is_that_of_the_key() -> None:
    async def same(inbox: Any, out: Any, state: sf.KeyState) -> None:
        async for event in inbox:
            await out(event.value)

    items = [{"k": 1}, {}, {"k": []}, {"k": 2}]
    assert list(sf.flow(items).key_by(lambda one: one["k"], on_error="skip").process(same)) == [{"k": 1}, {"k": 2}]
    with pytest.raises(KeyError) as failed:
        list(sf.flow(items).key_by(lambda one: one["k"]).process(same))
    assert "item 1 of its input" in failed.value.__notes__[0]
    dead: list[Any] = []
    letters = sf.flow(items).key_by(lambda one: one["k"], on_error=sf.dead_letter(dead)).process(same)
    assert list(letters) == [{"k": 1}, {"k": 2}]
    assert [letter.index for letter in dead] == [1, 2]


def test_a_failure_above_cancels_it_without_an_end() -> None:
    async def main() -> None:
        seen: list[str] = []

        async def watching(inbox: Any, out: Any, state: sf.KeyState) -> None:
            try:
                async for event in inbox:
                    seen.append(str(event.value))
                seen.append("end")
            finally:
                seen.append("closed")

        def break_at(n: int) -> int:
            if n == 2:
                raise InjectedError("above")
            return n

        with pytest.raises(InjectedError):
            await sf.flow(range(5)).map(break_at).key_by(str).process(watching).collect()
        assert seen == ["0", "1", "closed"]

    run(main)


async def plain_generator(inbox: Any, out: Any, state: Any) -> Any:
    yield 1


async def two(inbox: Any, out: Any) -> None: ...


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda keyed: keyed.process(lambda inbox, out, state: None), "expected `async def lambda"),
        (lambda keyed: keyed.process(plain_generator), "await out"),
        (lambda keyed: keyed.process(two), "called as two"),
        (lambda keyed: keyed.process(3), "expected a callable"),
        (lambda keyed: keyed.process(deeds, concurrency=0), "whole number from 1 on"),
    ],
)
def test_what_cannot_work_is_refused(make: Callable[[Any], Any], says: str) -> None:
    with pytest.raises(sf.FlowError, match=says):
        make(sf.flow([1]).key_by(str))


@pytest.mark.parametrize(
    ("moment", "timed", "kind"),
    [
        (math.nan, True, ValueError),
        (math.inf, False, ValueError),
        (datetime(2024, 1, 1, tzinfo=UTC), False, TypeError),
        (None, True, TypeError),
    ],
)
def test_a_time_for_a_timer_that_is_none_fails(moment: Any, timed: bool, kind: type[Exception]) -> None:
    async def sets(inbox: Any, out: Any, state: sf.KeyState) -> None:
        async for _ in inbox:
            state.set_timer(moment)

    flow = sf.flow([1])
    with pytest.raises(kind, match="set_timer"):
        (flow.event_time(float) if timed else flow).key_by(str).process(sets).to(None).run_sync()


def test_a_timer_may_be_set_by_a_datetime() -> None:
    async def sets(inbox: Any, out: Any, state: sf.KeyState) -> None:
        async for event in inbox:
            if isinstance(event, sf.Timer):
                await out(event)
            else:
                state.set_timer(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))

    assert list(sf.flow([1]).event_time(float).key_by(str).process(sets)) == [sf.Timer("1", 60.0)]


def test_state_before_the_first_event_is_refused() -> None:
    async def hasty(inbox: Any, out: Any, state: sf.KeyState) -> None:
        state.set(1)

    with pytest.raises(sf.FlowError, match="latest event"):
        sf.flow([1]).key_by(str).process(hasty).to(None).run_sync()


# -- stopping ------------------------------------------------------------------------------------------------------


async def patient(inbox: Any, out: Any, state: sf.KeyState) -> None:
    async for event in inbox:
        await asyncio.sleep(0.001)
        await out(event.value)


FLOWS: dict[str, Callable[[], sf.Flow[Any]]] = {
    "one": lambda: sf.flow(range(4)).key_by(str).process(patient),
    "several": lambda: sf.flow(range(4)).key_by(str).process(patient, concurrency=2),
    "timed": lambda: (
        sf.flow([(n, n % 2, [("timer", 1)]) for n in range(4)]).event_time(at).key_by(whose).process(deeds)
    ),
}


@pytest.mark.parametrize("kind", FLOWS)
@pytest.mark.parametrize("how", ["await", "wakeup", "turn"])
def test_cancelled_at_any_await_nothing_is_left(kind: str, how: Any) -> None:
    steps = 0
    for outcome in cancel_everywhere(lambda: FLOWS[kind]().to(FaultySink()).run(), at=how):
        steps += 1
        assert not outcome.swallowed, outcome
    assert steps > 1


@pytest.mark.parametrize("loop", LOOPS)
@settings(max_examples=20)
@given(st.integers(0, 60), st.sampled_from(["cancel", "drain", "checkpoint", "task"]), st.integers(1, 3))
def test_stopped_anywhere_the_books_balance(loop: str, turns: int, gear: str, several: int) -> None:
    async def main() -> None:
        out: list[int] = []
        handle = sf.flow(range(300)).buffer(7).key_by(str).process(hop, concurrency=several).to(out).start()
        for _ in range(turns):
            await asyncio.sleep(0)
        if gear == "cancel":
            await handle.cancel()
        elif gear == "drain":
            await handle.drain()
        elif gear == "checkpoint":
            await handle.checkpoint()
            await handle.cancel()
        else:
            waiting = asyncio.create_task(handle.wait())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        check_books(handle.statistics())

    on(loop, main)


async def hop(inbox: Any, out: Any, state: sf.KeyState) -> None:
    async for event in inbox:
        for _ in range(event.value % 3):
            await asyncio.sleep(0)
        await out(event.value)


def test_one_that_will_not_be_cancelled_is_asked_again_and_named() -> None:
    async def main() -> None:
        stubborn = True

        async def deaf(inbox: Any, out: Any, state: sf.KeyState) -> None:
            async for _ in inbox:
                while stubborn:
                    try:
                        await asyncio.sleep(1000)
                    except asyncio.CancelledError:
                        continue

        handle = sf.flow([1, 2]).key_by(str).process(deaf, name="deaf").to(None).start()
        await asyncio.sleep(1)
        with pytest.raises(sf.FlowHung, match=r"(?s)stage 'deaf'.*in deaf"):
            await handle.cancel(timeout=1)
        stubborn = False
        await handle.cancel()
        assert handle.state == "cancelled"

    run(main)


def test_one_that_swallows_its_cancellation_gets_no_more_events_and_ends() -> None:
    async def main() -> None:
        async def swallowing(inbox: Any, out: Any, state: sf.KeyState) -> None:
            while True:
                try:
                    await anext(inbox)
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    await anext(inbox)

        async with no_leaks():
            handle = sf.flow([1, 2, 3]).key_by(str).process(swallowing).to(None).start()
            await asyncio.sleep(1)
            await handle.cancel()

    run(main)


def test_one_that_hangs_is_named_by_the_watchdog() -> None:
    async def main() -> None:
        async def hanging(inbox: Any, out: Any, state: sf.KeyState) -> None:
            async for _ in inbox:
                await asyncio.get_running_loop().create_future()

        told: list[events.Event] = []
        flow = sf.flow([1, 2]).key_by(str).process(hanging, name="hangs")
        handle = flow.to(None).start(on_event=told.append, stall_after=5)
        await asyncio.sleep(10)
        await handle.cancel()
        stalled = [one for one in told if isinstance(one, events.RunStalled)]
        assert "processor hangs #1" in stalled[0].report
        assert "in hanging" in stalled[0].report

    run(main)


def test_one_that_never_waits_leaves_the_loop_to_others() -> None:
    async def same(inbox: Any, out: Any, state: sf.KeyState) -> None:
        async for event in inbox:
            await out(event.value)

    async def main() -> None:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.create_task(count_turns())
        await sf.flow(range(50_000)).key_by(lambda n: n % 9).process(same).to(None).run()
        counting.cancel()
        assert turns > 20

    asyncio.run(main())


def test_a_plan_says_what_it_is() -> None:
    flow = sf.flow([1]).key_by(str).process(patient, concurrency=3)
    assert "[process, timers by the clock of the run, 3 coroutines that share the keys]" in flow.explain()
    assert "not repeatable" in flow.explain()
    timed = sf.flow([1]).event_time(float).key_by(str).process(patient)
    assert "[process, timers by event time]" in timed.explain()
    assert "not repeatable" not in timed.explain()
