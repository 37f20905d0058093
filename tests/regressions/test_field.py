"""What users of our peers complain about, each as a test that names where the complaint was made."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import streamflow as sf
from streamflow.model import events
from streamflow.testing import FaultySink, no_leaks, run


async def twice(n: int) -> int:
    await asyncio.sleep(0.001)
    return 2 * n


async def boom(n: int) -> int:
    raise ValueError(f"item {n}")


def test_an_exception_with_a_bounded_edge_blocks_no_feeder() -> None:
    """pypeln issue 110: an exception with `maxsize` set leaves the feeder blocked for ever."""
    with pytest.raises(ValueError, match="item 0"):
        run(sf.flow(range(100_000)).buffer(1).map(boom, concurrency=3).buffer(1).to(None).run)


def test_mixing_kinds_of_stages_does_not_deadlock() -> None:
    """pypeln issue 118: mixing task and thread stages deadlocked, after months in production."""

    async def main() -> None:
        source = sf.sources.Iterable(lambda: iter(range(300)), on_thread=True)
        flow = sf.flow(source).buffer(1).map(twice, concurrency=3).map(lambda n: n + 1).buffer(1).batch(7).unbatch()
        assert await flow.map(twice, concurrency=2).collect() == [2 * (2 * n + 1) for n in range(300)]

    asyncio.run(main())


def test_a_consumer_that_dies_of_cancellation_lets_nobody_wait_for_ever() -> None:
    """openai-agents pull request 4199: waiting on `Queue.join()` hangs once the consumer died of CancelledError."""

    async def dies(n: int) -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        async with no_leaks():
            with pytest.raises(sf.ItemCancelled):
                await sf.flow(itertools.count()).buffer(1).to(dies).run()

    run(main)


def test_a_cancelled_wait_for_a_thread_does_not_block_the_exit() -> None:
    """aioprocessing issue 21: cancelling a `get` of a thread's queue leaves the thread blocking the exit."""

    async def main() -> None:
        async with no_leaks(turns=50):
            source = sf.sources.Iterable(itertools.count, on_thread=True)
            async with sf.flow(source).map(twice).to(None).start() as handle:
                await asyncio.sleep(0)
                report = await handle.cancel()
        assert report.state == "cancelled"

    asyncio.run(main())


def test_a_periodic_batch_does_not_hold_up_a_graceful_stop() -> None:
    """Redpanda Connect issue 1001: a periodic batching policy blocks the graceful stop."""

    async def main() -> None:
        out: list[list[int]] = []
        inbox = sf.inbox(10)
        async with sf.flow(inbox).batch(100, within=3600).to(out).start() as handle:
            await inbox.send(1)
            await asyncio.sleep(1)
            await handle.drain()
        assert out == [[1]]
        assert asyncio.get_running_loop().time() < 10

    run(main)


def test_the_error_is_raised_whatever_the_stage() -> None:
    """pypeln issue 119: sometimes the exception is swallowed."""
    for concurrency, ordered, edge in itertools.product((1, 5), (True, False), (1, 1000)):
        flow = sf.flow(range(20)).buffer(edge).map(boom, concurrency=concurrency, ordered=ordered).buffer(edge)
        with pytest.raises(ValueError, match="item"):
            run(flow.map(twice, concurrency=3).to(None).run)


def test_a_racing_cancellation_does_not_replace_the_failure() -> None:
    """SPDL pull request 1572: a cancellation that raced with a stage's failure replaced it, and nothing was raised."""

    async def racing(n: int) -> int:
        await asyncio.sleep(1)
        raise ValueError(n) if n == 3 else asyncio.CancelledError

    for n in range(5):
        with pytest.raises((ValueError, sf.ItemCancelled)):
            run(sf.flow(range(n, 5)).map(racing, concurrency=5, ordered=False).to(None).run)


def test_failures_are_limited_per_stage() -> None:
    """SPDL issue 942: users want limits on the failures of one stage."""
    flow = sf.flow(range(100)).map(twice).map(boom, on_error="skip", max_failures=7)
    with pytest.raises(sf.TooManyFailures, match="map\\(boom\\): 8 items failed"):
        run(flow.to(None).run)


def test_a_coroutine_function_is_awaited() -> None:
    """Bytewax issue 545: `op.map` with a coroutine is a won't-fix."""
    assert run(sf.flow([1, 2]).map(twice).collect) == [2, 4]


def test_a_generator_that_is_running_can_be_stopped() -> None:
    """aiostream issues 61 and 97: "asynchronous generator is already running", and no graceful stop."""
    closed: list[bool] = []

    async def endless() -> AsyncIterator[int]:
        try:
            for n in itertools.count():
                yield n
                await asyncio.sleep(1)
        finally:
            closed.append(True)

    async def main() -> None:
        out: list[int] = []
        async with no_leaks(turns=10), sf.flow(endless).to(out).start() as handle:
            await asyncio.sleep(2.5)
            await handle.drain()
        assert out == [0, 1, 2]
        assert closed == [True]

    run(main)


def test_every_edge_is_bounded_also_behind_operators() -> None:
    """Bytewax issue 353 and pypeln issue 111: inner queues are unbounded; `maxsize` is ignored when chaining."""

    async def never(n: int) -> int:
        await asyncio.Event().wait()
        return n

    async def main() -> None:
        pulled = 0

        def source() -> Iterator[int]:
            nonlocal pulled
            for n in itertools.count():
                pulled += 1
                yield n

        flow = sf.flow(source).buffer(5).map(lambda n: n).buffer(5).flat_map(lambda n: [n, n]).buffer(5)
        async with flow.map(never, concurrency=2).to(None).start() as handle:
            await asyncio.sleep(10)
            assert all(edge.queued <= edge.max_items for edge in handle.statistics().edges)
            assert pulled < 50
            await handle.cancel()

    run(main)


def test_memory_does_not_follow_the_length_of_the_input() -> None:
    """faust issue 247, TensorFlow issue 33516, dask issue 4610: memory is never freed, producers outrun consumers."""
    report = sf.flow(range(300_000)).map(lambda n: bytes(1000)).buffer(100).map(len).to(None).run_sync()
    assert report.peak_rss - report.statistics.history[0].rss < 32 << 20


def test_a_channel_survives_growing_items() -> None:
    """ezmsg issue 253: items that outgrew a buffer silently killed the channel."""
    items = [bytes(2**k) for k in range(21)]
    assert run(sf.flow(items).buffer(bytes=1000).map(len).buffer(bytes=1000).collect) == [2**k for k in range(21)]


def test_a_map_costs_little() -> None:
    """aiostream issue 130: maps are slow. Here: nothing of ours is called for an item."""
    plan = sf.flow(range(10)).map(abs).map(abs).filter(bool).to(None).plan
    assert len(plan.stages) == 1
    assert len(plan.edges) == 0


def test_a_retried_item_keeps_its_place() -> None:
    """Redpanda Connect issue 4387: replaying refused messages reorders those of one key."""
    tries: dict[int, int] = {}

    async def flaky(n: int) -> int:
        tries[n] = tries.get(n, 0) + 1
        if n % 3 == 0 and tries[n] < 3:
            raise ConnectionError
        return n

    flow = sf.flow(range(50)).map(flaky, concurrency=8, retry=sf.Retry(base=1))
    assert run(flow.collect) == list(range(50))


def test_one_slow_item_does_not_stop_the_others() -> None:
    """TensorFlow issue 39992: a slow head blocks the ordered map."""

    async def slow_head(n: int) -> int:
        await asyncio.sleep(100 if n == 0 else 1)
        return n

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await sf.flow(range(60)).map(slow_head, concurrency=4).collect() == list(range(60))
        return loop.time() - began

    assert run(main) < 102  # 59 items of one second, three at once, went on behind the head


def test_a_slow_sink_need_not_stall_the_others() -> None:
    """Vector issues 19938 and 20764, ezmsg pull request 208: one slow sink stalls all; leaky subscribers are wanted."""

    async def slow(n: int) -> None:
        await asyncio.sleep(1000)

    async def main() -> None:
        source = sf.flow(sf.ticks(1, count=100))
        fast: list[int] = []
        slow_end = source.buffer(2, overflow="drop_oldest").to(slow)
        async with sf.together(source.to(fast), slow_end).start() as handle:
            await asyncio.sleep(150)
            assert fast == list(range(100))
            dropped = sum(edge.overflowed for edge in handle.statistics().edges)
            assert dropped > 90
            await handle.cancel()

    run(main)


def test_the_bottleneck_is_named() -> None:
    """Vector issue 892 (2019) and pull request 25426 (2026): "which component is the bottleneck?"."""

    def spin(n: int) -> int:
        return sum(range(2000)) + n

    report = sf.flow(range(3000)).map(abs).buffer().map(spin).buffer().map(abs).to(None).run_sync()
    assert "map(spin)" in report.bottleneck
    assert "computing took" in report.bottleneck


def test_a_failed_stage_ends_the_run_and_is_told() -> None:
    """Prefect issue 16746: a worker dies, and the run stays "Running"."""

    async def main() -> None:
        seen: list[Any] = []
        sink = FaultySink()
        with pytest.raises(ValueError, match="item 0"):
            await sf.flow(itertools.count()).map(boom).to(sink).run(on_event=seen.append)
        assert [event.state for event in seen if isinstance(event, events.RunEnded)] == ["failed"]
        assert [event.stage for event in seen if isinstance(event, events.StageFailed)] == ["map(boom)"]
        sink.log.check()

    run(main)
