"""Nothing waits for what will not come: workers, readers, askers and the watchdog in the states between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import FaultySource, run


async def at_once(n: int) -> int:
    return n


async def hop(n: int) -> int:
    await asyncio.sleep(0)
    return n


@settings(max_examples=60)
@given(
    st.integers(0, 3_000),
    st.sampled_from([1, 2, 5, "auto"]),
    st.booleans(),
    st.sampled_from([at_once, hop]),
    st.sampled_from([1, 16, 32, 8192]),
)
def test_a_concurrent_map_never_sleeps_while_there_is_something_to_do(
    count: int, concurrency: Any, ordered: bool, function: Any, room: int
) -> None:
    flow = sf.flow(range(count)).buffer(room).map(function, concurrency=concurrency, ordered=ordered)
    assert len(run(flow.collect, horizon=60)) == count


@pytest.mark.parametrize("concurrency", [1, 2])
def test_it_reads_on_when_the_items_at_hand_end_where_its_room_does(concurrency: int) -> None:
    async def main() -> None:
        inbox: sf.Inbox[int] = sf.inbox(1000)
        out: list[int] = []
        for n in range(16 * concurrency):
            inbox.send_nowait(n)
        async with sf.flow(inbox).map(hop, concurrency=concurrency).to(out).start():
            await asyncio.sleep(1)
            await inbox.send(-1)
            await asyncio.sleep(1)
            assert out[-1] == -1
            inbox.close()

    run(main, horizon=60)


@pytest.mark.parametrize("join", [sf.merge, sf.concat, sf.zip])
def test_a_slow_flow_into_a_full_fan_in_is_no_circle(join: Any) -> None:
    async def slowly(n: int) -> int:
        await asyncio.sleep(0.3)
        return n

    async def main() -> None:
        numbers = sf.flow(range(40)).buffer(1)
        flow = join(numbers, sf.flow(range(40)).buffer(1)).map(lambda n: n).buffer(1).map(slowly_any, concurrency=1)
        report = await flow.to(None).run()
        assert report.state == "finished"

    async def slowly_any(item: Any) -> Any:
        await asyncio.sleep(0.3)
        return item

    run(main)


@pytest.mark.parametrize(
    "drop",
    [
        lambda flow: flow.flat_map(lambda n: []),
        lambda flow: flow.flat_map(lambda n: []).map(hop, concurrency=3),
        lambda flow: flow.map(hop, concurrency=3).filter(none, concurrency=2),
        lambda flow: flow.map(hop).filter(lambda n: False),
        lambda flow: flow.filter(lambda n: False).map(hop),
        lambda flow: flow.distinct(lambda n: 1).skip(1),
        lambda flow: flow.batch(1).flat_map(lambda n: []),
    ],
)
def test_who_asked_for_what_is_dropped_learns_it_at_once(drop: Any) -> None:
    async def main() -> None:
        inbox: sf.Inbox[int] = sf.inbox(10)
        async with drop(sf.flow(inbox)).to(inbox.answers).start() as handle:
            with pytest.raises(sf.NoResult):
                await asyncio.wait_for(inbox.ask(1), 5)
            await handle.cancel()

    run(main)


async def none(n: int) -> bool:
    await asyncio.sleep(0)
    return False


def test_a_failed_sibling_does_not_keep_the_dropped_item_alive() -> None:
    def fail(n: int) -> int:
        raise ValueError(n)

    async def main() -> None:
        inbox: sf.Inbox[int] = sf.inbox(10)
        asking = [asyncio.ensure_future(inbox.ask(n)) for n in (1, 2)]
        await asyncio.sleep(0)
        flow = sf.flow(inbox).filter(lambda n: n == 2).map(fail, on_error="skip").to(inbox.answers)
        async with flow.start() as handle:
            dropped, failed = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 5)
            assert isinstance(dropped, sf.NoResult)
            assert isinstance(failed, ValueError)
            await handle.cancel()

    run(main)


def test_a_resource_closes_undisturbed_when_a_run_is_cancelled() -> None:
    closed: list[str] = []

    @asynccontextmanager
    async def resource() -> AsyncIterator[str]:
        try:
            yield "open"
        finally:
            for _ in range(5):
                await asyncio.sleep(0.1)
            closed.append("resource")

    async def use(n: int, _: str) -> int:
        await asyncio.sleep(0.01)
        return n

    async def tidy(n: int) -> int:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0.05)
            if n % 2:
                raise ValueError("in clean-up")  # a failure while others are on their way out
        return n

    async def main() -> None:
        source = FaultySource(items=range(100), batch=3, delay=0.01, endless=True)
        flow = sf.flow(source).map(use, resource=resource, concurrency=3).map(tidy, concurrency=4).to([])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flow.run(), 1)
        assert closed == ["resource"]

    run(main)


@pytest.mark.parametrize("what", ["cancel", "drain", "wait"])
def test_a_function_of_the_flow_cannot_wait_for_its_own_run(what: str) -> None:
    async def main() -> None:
        async def function(n: int) -> int:
            await getattr(handle, what)()
            return n

        handle = sf.flow([1, 2]).map(function, concurrency=2).to([]).start()
        with pytest.raises(sf.FlowError, match="have a task of your own do it"):
            await handle.wait()

    run(main)


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, GeneratorExit, BaseException])
def test_a_listener_that_raises_changes_nothing(error: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        def listen(event: object) -> None:
            raise error

        out: list[int] = []
        async with sf.flow(range(30)).map(hop).to(out).start(on_event=listen) as handle:
            await handle.pause()
            await handle.resume()
        assert handle.state == "finished"
        assert out == list(range(30))

    run(main)
    assert "on_event failed" in caplog.text


def test_a_pause_right_after_the_start_is_not_lost() -> None:
    async def main() -> None:
        out: list[int] = []
        handle = sf.flow(range(100_000)).to(out).start()
        await handle.pause()
        await asyncio.sleep(5)
        paused = len(out)
        assert paused < 100_000
        await handle.resume()
        await handle.wait()
        assert len(out) == 100_000

    run(main)


@pytest.mark.parametrize("join", [sf.merge, sf.zip, sf.concat])
@pytest.mark.parametrize("inputs", [2, 3])
def test_a_stage_that_fails_before_its_siblings_have_begun_ends_the_run(join: Any, inputs: int) -> None:
    def fails() -> Any:
        yield 1
        raise ValueError("at once")

    async def main() -> None:
        others = [sf.flow([1, 2]).map(lambda n: n) for _ in range(inputs - 1)]
        with pytest.raises(ValueError, match="at once"):
            await join(sf.flow(fails), *others).to(None).run()

    run(main, horizon=60)


def test_many_stages_are_opened_quickly_and_a_probe_does_not_double_at_each_diamond() -> None:
    async def main() -> None:
        flow = sf.flow(range(10))
        for _ in range(300):
            flow = flow.buffer(3).map(lambda n: n)
        began = process_time()
        assert await flow.collect() == list(range(10))
        assert process_time() - began < 5  # it took forty seconds

        nested: sf.Flow[Any] = sf.flow([1])
        for _ in range(25):
            nested = sf.zip(nested, nested).map(lambda pair: pair[0])
        handle = nested.to([]).start()
        report = await handle.wait()
        assert report.statistics.latency.count <= 2

    run(main)


def test_ends_that_wait_for_each_others_sources_are_told_at_once() -> None:
    async def main() -> None:
        one, two = sf.flow(range(100)), sf.flow(range(100))
        crossed = sf.together(sf.concat(one, two).to([]), sf.concat(two, one).to([]))
        with pytest.raises(sf.FlowDeadlock, match="circle"):
            await crossed.run()
        same = sf.together(sf.concat(one, two).to([]), sf.concat(one, two).map(str).to([]), two.to([]))
        assert (await same.run()).state == "finished"

    run(main, horizon=60)


def test_a_huge_concurrency_costs_no_memory_before_it_is_used() -> None:
    import tracemalloc

    tracemalloc.start()
    try:
        assert run(sf.flow(range(10)).map(hop, concurrency=10**6).collect) == list(range(10))
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


def test_an_error_of_the_source_carries_its_note_in_a_plain_loop_too() -> None:
    def source() -> Any:
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more") as caught:
        list(sf.flow(source).map(lambda n: n))
    assert "operator 'source'" in caught.value.__notes__[0]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("room", [None, 1])
def test_items_that_come_one_by_one_are_under_way_together(ordered: bool, room: int | None) -> None:
    """A call that is under way does not keep the next item from beginning, as long as the concurrency allows it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun: list[float] = []

        async def numbers() -> AsyncIterator[int]:
            for n in range(12):
                yield n
                await asyncio.sleep(0.05)

        async def slowly(n: int) -> int:
            begun.append(round(loop.time(), 3))
            await asyncio.sleep(1)
            return n

        flow = sf.flow(numbers)
        flow = flow if room is None else flow.buffer(items=room)
        out = await flow.map(slowly, concurrency=10, ordered=ordered).collect()
        assert out == list(range(12))
        assert begun[:10] == [round(n * 0.05, 3) for n in range(10)]
        assert begun[10] == 1.0

    run(main)
