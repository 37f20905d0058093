"""Stopping in gears, pausing, failing, hanging: nothing is left behind, and who asks is told."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import streamflow as sf
from streamflow.model import events
from streamflow.testing import (
    FaultySink,
    FaultySource,
    InjectedError,
    SimulatedCheckpoints,
    SimulatedDisk,
    cancel_everywhere,
    check_leaks,
    no_leaks,
    run,
)


async def twice(n: int) -> int:
    await asyncio.sleep(0.001)
    return 2 * n


def test_pause_stops_the_source_and_resume_goes_on() -> None:
    async def main() -> None:
        out: list[int] = []
        seen: list[events.Event] = []
        async with sf.flow(sf.ticks(1.0)).to(out).start(on_event=seen.append) as handle:
            await asyncio.sleep(3.5)
            await handle.pause()
            assert handle.state == "paused"
            await asyncio.sleep(100)
            assert out == [0, 1, 2, 3]
            await handle.resume()
            await asyncio.sleep(1.6)
            assert out == [0, 1, 2, 3, 4, 5, 6]  # one for all that were missed, then those that are due
            await handle.drain()
        assert [type(event).__name__ for event in seen] == [
            "RunStarted",
            "RunPaused",
            "RunResumed",
            "RunDraining",
            "RunEnded",
        ]

    run(main)


def test_drain_ends_a_source_that_waits_and_flushes() -> None:
    async def endless() -> AsyncIterator[int]:
        yield 1
        yield 2
        await asyncio.Event().wait()

    async def main() -> None:
        out: list[list[int]] = []
        async with no_leaks(), sf.flow(endless).batch(10).to(out).start() as handle:
            await asyncio.sleep(1)
            report = await handle.drain()
        assert report.state == "drained"
        assert out == [[1, 2]]

    run(main)


def test_a_drain_that_takes_too_long_becomes_a_cancellation() -> None:
    async def never(n: int) -> int:
        await asyncio.Event().wait()
        return n

    async def main() -> None:
        async with no_leaks(), sf.flow(itertools.count()).map(never, concurrency=3).to(None).start() as handle:
            await asyncio.sleep(1)
            report = await handle.drain(timeout=30)
        assert report.state == "cancelled"

    run(main)


def test_leaving_the_block_by_an_exception_cancels() -> None:
    async def main() -> None:
        async with no_leaks():
            with pytest.raises(KeyError):
                async with sf.flow(itertools.count()).map(twice).to(None).start() as handle:
                    raise KeyError
            assert handle.state == "cancelled"
            with pytest.raises(sf.RunCancelled):
                await handle.wait()

    run(main)


def test_break_leaves_nothing_behind_in_any_kind_of_loop() -> None:
    closed: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append("source")

    async def main() -> None:
        async with no_leaks(), sf.flow(numbers).map(twice, concurrency=4).stream() as items:
            async for item in items:
                if item > 10:
                    break
        assert closed == ["source"]

    run(main)
    assert list(sf.flow([1]).map(twice)) == [2]  # uvloop keeps a pipe of its own from its first loop on
    with check_leaks():
        for item in sf.flow(numbers).map(lambda n: n + 1):
            if item > 10:
                break
        assert closed == ["source"] * 2
        for item in sf.flow(numbers).map(twice, concurrency=4):
            if item > 10:
                break
        assert closed == ["source"] * 3


def test_what_is_downstream_of_a_failure_empties_but_fires_no_partial_batch() -> None:
    def boom(n: int) -> int:
        if n == 7:
            raise ValueError("seven")
        return n

    async def main() -> None:
        sink = FaultySink()
        with pytest.raises(ValueError, match="seven") as caught:
            await sf.flow(range(100)).map(boom).batch(3).to(sink).run()
        assert "item 7" in caught.value.__notes__[0]
        assert sink.log.items == [[0, 1, 2], [3, 4, 5]]
        assert (sink.log.aborted, sink.log.finished) == (1, 0)
        sink.log.check()

    run(main)


def test_an_ordered_map_awaits_predecessors_and_cancels_successors() -> None:
    cancelled: list[int] = []

    async def step(n: int) -> int:
        try:
            await asyncio.sleep({3: 1.0, 5: 100.0}.get(n, 5.0))
        except asyncio.CancelledError:
            cancelled.append(n)
            raise
        if n == 3:
            raise ValueError("three")
        return n

    async def main() -> None:
        out: list[int] = []
        with pytest.raises(ValueError, match="three"):
            await sf.flow(range(10)).map(step, concurrency=6).to(out).run()
        assert out == [0, 1, 2]
        assert 5 in cancelled
        assert asyncio.get_running_loop().time() < 10

    run(main)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_cancelled_error_of_the_users_is_a_failure_not_a_hang(concurrency: int) -> None:
    async def step(n: int) -> int:
        raise asyncio.CancelledError

    def plain(n: int) -> int:
        raise asyncio.CancelledError

    async def main() -> None:
        async with no_leaks():
            with pytest.raises(sf.ItemCancelled):
                await sf.flow(range(10_000)).map(step, concurrency=concurrency).to(None).run()
            with pytest.raises(sf.ItemCancelled):
                await sf.flow(range(10_000)).map(plain).to(None).run()

    run(main)


def test_max_failures_and_a_failing_sink() -> None:
    async def main() -> None:
        def bad(n: int) -> int:
            raise ValueError(n)

        with pytest.raises(sf.TooManyFailures, match="max_failures=3") as caught:
            await sf.flow(range(10)).map(bad, on_error="skip", max_failures=3).to(None).run()
        assert isinstance(caught.value.__cause__, ValueError)
        sink = FaultySink(fail_at=4)
        with pytest.raises(InjectedError) as failed:
            await sf.flow(range(10)).to(sink).run()
        assert "item 4 of its input" in failed.value.__notes__[0]
        sink.log.check()

    run(main)


def test_retries_wait_exactly_and_stop_when_cancelled() -> None:
    times: list[float] = []

    async def step(n: int) -> int:
        times.append(asyncio.get_running_loop().time())
        raise ConnectionError

    async def main() -> None:
        retry = sf.Retry(attempts=4, base=10, jitter=False)
        letters: list[sf.DeadLetter] = []
        report = await sf.flow([1]).map(step, retry=retry, on_error=sf.dead_letter(letters)).to(None).run()
        assert [round(b - a) for a, b in itertools.pairwise(times)] == [10, 20, 40 if retry.max_delay >= 40 else 30]
        assert letters[0].attempts == 4
        assert report.statistics.stage("map(step)").retried == 3
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with (
            sf.flow([1]).map(step, retry=sf.Retry(attempts=9, base=1000, max_delay=1000)).to(None).start() as run_
        ):
            await asyncio.sleep(1)
            await run_.cancel()
        assert loop.time() - began == pytest.approx(1, abs=0.1)

    run(main)


def test_a_plain_function_can_be_retried_too() -> None:
    tries: list[int] = []

    def flaky(n: int) -> int:
        tries.append(n)
        if len(tries) < 3:
            raise OSError
        return n

    assert run(sf.flow([7]).map(flaky, retry=sf.Retry(base=0.1)).collect) == [7]


def test_a_timeout_is_per_attempt() -> None:
    async def slow_at_first(n: int) -> int:
        seen.append(n)
        await asyncio.sleep(10 if len(seen) == 1 else 0.1)
        return n

    seen: list[int] = []
    flow = sf.flow([1]).map(slow_at_first, timeout=1, retry=sf.Retry(base=0.1))
    assert run(flow.collect) == [1]
    seen.clear()
    with pytest.raises(sf.ItemTimeout, match="timeout=1 s"):
        run(sf.flow([1]).map(slow_at_first, timeout=1).collect)


def test_a_standstill_is_reported_with_edge_stage_and_stack() -> None:
    async def stuck(n: int) -> int:
        await asyncio.Event().wait()
        return n

    async def main() -> None:
        seen: list[Any] = []
        flow = sf.flow(range(1000)).map(stuck, concurrency=2).to(None)
        async with flow.start(on_event=seen.append, stall_after=5) as handle:
            await asyncio.sleep(20)
            await handle.cancel()
        [stalled] = [event for event in seen if isinstance(event, events.RunStalled)]
        assert "map(stuck)" in stalled.report
        assert "its sender waits for room" in stalled.report
        assert "await asyncio.Event().wait()" in stalled.report

    run(main)


def test_a_checkpoint_that_cannot_be_whole_says_for_whom_it_waits() -> None:
    async def stuck(n: int) -> int:
        await asyncio.sleep(30 if n == 20 else 0.01)
        return n

    async def main() -> None:
        seen: list[Any] = []
        flow = sf.flow(FaultySource(items=range(100), delay=0.01)).map(stuck).buffer(5).map(abs).to(None)
        options: dict[str, Any] = {"on_event": seen.append, "stall_after": 5, "every": 0.1}
        async with flow.start(checkpoint=SimulatedCheckpoints(SimulatedDisk()), **options) as handle:
            await asyncio.sleep(12)
            held = handle.statistics().checkpoints
            assert held is not None
            assert held.waiting_for[0] == "map(stuck)"
            assert held.waiting == pytest.approx(11.8, abs=0.3)
            [stalled] = [event for event in seen if isinstance(event, events.RunStalled)]
            words = "waits for stage 'map(stuck)' and 1 more, for 5 s now"
            assert f"checkpoint {held.epoch + 1} {words}" in stalled.report
            await asyncio.sleep(30)
            freed = handle.statistics().checkpoints
            assert freed is not None
            assert freed.epoch > held.epoch
            assert freed.waiting < 1

    run(main)


def test_a_slow_flow_is_no_standstill() -> None:
    async def main() -> None:
        seen: list[Any] = []
        async with sf.flow(sf.ticks(60, count=5)).to(None).start(on_event=seen.append, stall_after=5):
            pass
        assert not [event for event in seen if isinstance(event, events.RunStalled)]

    run(main)


def test_a_flow_that_feeds_itself_is_a_deadlock_not_a_hang() -> None:
    async def main() -> None:
        inbox = sf.inbox(1)

        async def feed(n: int) -> int:
            await inbox.send(n)
            await inbox.send(n)
            return n

        async with no_leaks():
            with pytest.raises(sf.FlowDeadlock, match="in a circle"):
                async with sf.flow(inbox).map(feed).to(None).start():
                    await inbox.send(1)

    run(main)


def test_what_ignores_its_cancellation_is_named() -> None:
    async def main() -> None:
        let_go = asyncio.Event()

        async def stubborn(n: int) -> int:
            while not let_go.is_set():
                try:
                    await let_go.wait()
                except asyncio.CancelledError:
                    continue
            return n

        handle = sf.flow([1]).map(stubborn).to(None).start()
        await asyncio.sleep(1)
        with pytest.raises(sf.FlowHung, match="stubborn"):
            await handle.cancel(timeout=5)
        let_go.set()
        assert (await handle.cancel()).state == "cancelled"

    run(main)


def test_a_callback_that_fails_changes_nothing() -> None:
    def fails(event: events.Event) -> None:
        raise ValueError

    out: list[int] = []
    run(lambda: sf.flow([1]).to(out).run(on_event=fails))
    assert out == [1]


def test_run_sync_inside_a_loop_says_what_to_do() -> None:
    async def main() -> None:
        with pytest.raises(sf.FlowError, match=r"await .run\(\)"):
            sf.flow([1]).to(None).run_sync()

    run(main)


def test_a_source_that_cannot_open_leaves_no_sink_open() -> None:
    async def main() -> None:
        sink = FaultySink()
        with pytest.raises(InjectedError):
            await sf.flow(FaultySource(items=[1], fail_in="open")).to(sink).run()
        assert (sink.log.opened, sink.log.closed, sink.log.finished) == (1, 1, 0)

    run(main)


FLOWS = {
    "fused": lambda: sf.flow(range(5)).map(lambda n: n + 1).batch(2),
    "concurrent": lambda: sf.flow(range(5)).map(twice, concurrency=2),
    "unordered": lambda: sf.flow(range(5)).map(twice, concurrency=2, ordered=False),
    "expand": lambda: sf.flow(range(3)).flat_map(range),
    "merge": lambda: sf.merge(sf.flow(range(3)), sf.flow(range(3)).map(twice)),
    "zip": lambda: sf.zip(sf.flow(range(3)).map(twice), sf.flow(range(4))),
    "concat": lambda: sf.concat(sf.flow(range(3)), sf.flow(range(3))),
    "timed": lambda: sf.flow(range(5)).batch(3, within=0.01).throttle(2, per=0.01),
    "edge": lambda: sf.flow(range(8)).buffer(1).map(lambda n: n).buffer(1),
}


@pytest.mark.parametrize("kind", FLOWS)
@pytest.mark.parametrize("at", ["await", "wakeup"])
def test_cancelled_at_any_await_nothing_is_left(kind: str, at: Any) -> None:
    steps = 0
    for outcome in cancel_everywhere(lambda: FLOWS[kind]().to(FaultySink()).run(), at=at):
        steps += 1
        assert not outcome.swallowed, outcome
    assert steps > 1


@pytest.mark.parametrize("gear", ["cancel", "drain"])
def test_a_run_may_be_stopped_before_it_has_begun(gear: str) -> None:
    async def main() -> None:
        source, sink = FaultySource(items=[1]), FaultySink()
        async with no_leaks():
            handle = sf.flow(source).to(sink).start()
            report = await (handle.cancel() if gear == "cancel" else handle.drain())
            assert report.state == handle.state == ("cancelled" if gear == "cancel" else "drained")
        assert source.log.calls == sink.log.calls == []

    run(main)


@pytest.mark.parametrize("method", ["abort", "close"])
def test_a_sink_that_raises_cancelled_error_while_it_closes_fails_the_run_and_ends_it(method: str) -> None:
    async def main() -> None:
        sink, other = FaultySink(fail_in=method, error=asyncio.CancelledError), FaultySink(name="other")
        endless = sf.flow(FaultySource(items=[1], endless=True))
        handle = sf.together(endless.to(sink), endless.to(other)).start()
        await asyncio.sleep(1)
        with pytest.raises(asyncio.CancelledError):
            await handle.cancel()
        assert handle.state == "failed"
        other.log.check()
        sink.log.check()

    run(main)


def test_closing_after_a_failed_start_is_not_cut_short_by_a_cancellation() -> None:
    async def main() -> None:
        opened = FaultySource(items=[1], name="opened", hang_in="close", times=1)
        broken = FaultySource(fail_in="open", name="broken")
        handle = sf.merge(sf.flow(opened), sf.flow(broken)).to(None).start()
        await asyncio.sleep(1)  # one is being closed, and takes its time
        with pytest.raises(sf.FlowHung, match="did not end"):
            await handle.cancel(timeout=5)
        assert opened.log.methods()[-1] == "close"
        assert opened.log.cancelled == 0
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()  # what the run would not do for us

    run(main)


def test_slow_calls_are_no_circle_of_waits() -> None:
    async def slow(n: int) -> int:
        await asyncio.sleep(100)
        return n

    async def main() -> None:
        numbers = sf.flow(range(12))
        out = await sf.zip(numbers.map(slow, concurrency=8), numbers.buffer(1)).collect()
        assert out == [(n, n) for n in range(12)]

    run(main)


def test_a_run_that_is_cancelled_is_not_completed_by_a_drain() -> None:
    async def main() -> None:
        sink = FaultySink(hang_in="abort", times=1)
        handle = sf.flow(FaultySource(items=range(100), batch=1, delay=1)).to(sink).start()
        await asyncio.sleep(10)
        with pytest.raises(sf.FlowHung):
            await handle.cancel(timeout=1)
        draining = asyncio.ensure_future(handle.drain())
        await asyncio.sleep(1)
        assert handle.state == "cancelling"
        assert sink.log.finished == 0
        draining.cancel()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        assert sink.log.visible == []

    run(main)


def test_a_handle_of_a_run_that_is_over_holds_none_of_its_items() -> None:
    class Item: ...

    async def main() -> None:
        items = [Item() for _ in range(10)]
        refs = [weakref.ref(item) for item in items]
        handle = sf.flow(lambda: (items.pop() for _ in range(10))).map(same, concurrency=2).batch(3).to(None).start()
        report = await handle.wait()
        assert handle.statistics() is report.statistics
        assert "10 items in" in repr(handle)
        gc.collect()
        assert not any(ref() for ref in refs)

    async def same(item: Item) -> Item:
        return item

    run(main)
