"""One item through an idle pipeline of five stages that are not fused: how long until the sink has it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.meter import Meter
from bench.sinks import ordered_sink
from bench.statistics import percentile
from bench.works import STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

STAGES = 5
IDLE_SECONDS = 0.001
WARM_UP = 50
END: Any = object()


def increment(item: int) -> int:
    """Add one: the cheapest user function, so that the pipeline's own price shows."""
    return item + 1


class Probe:
    """Send single items into a pipeline that has come to rest, and note when each reaches the sink."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._sink, self.seen = ordered_sink()
        self._arrived = asyncio.Event()
        self._arrived_at = 0
        self._microseconds: list[float] = []

    def sink(self, item: int) -> None:
        """Note the time first, then what arrived."""
        self._arrived_at = time.perf_counter_ns()
        self._sink(item)
        self._arrived.set()

    async def send_all(self, send: Callable[[int], Awaitable[object]], size: int) -> None:
        """Send items one at a time; the first few, which pay for imports and generated code, are not timed."""
        for item in range(WARM_UP + size):
            await asyncio.sleep(IDLE_SECONDS)
            self._arrived.clear()
            sent_at = time.perf_counter_ns()
            await send(item)
            await self._arrived.wait()
            if item >= WARM_UP:
                self._microseconds.append((self._arrived_at - sent_at) / 1000)

    def outcome(self, meter: Meter) -> Outcome:
        """Report the percentiles."""
        return meter.outcome(
            *self.seen(),
            p50_us=percentile(self._microseconds, 0.50),
            p99_us=percentile(self._microseconds, 0.99),
        )


def run_asyncio_queues(size: int) -> Outcome:
    """Pass each item through five tasks with a queue before each: the limit, as nothing is batched or counted."""
    probe = Probe()

    async def stage(inbound: asyncio.Queue[int], hand_on: Callable[[int], Awaitable[object]]) -> None:
        while (item := await inbound.get()) is not END:
            await hand_on(increment(item))
        await hand_on(END)

    async def finish(item: int) -> None:
        if item is not END:
            probe.sink(item)

    async def run() -> None:
        queues = [asyncio.Queue[int](1000) for _ in range(STAGES)]
        outlets = [*(queue.put for queue in queues[1:]), finish]
        async with asyncio.TaskGroup() as group:
            for queue, hand_on in zip(queues, outlets, strict=True):
                group.create_task(stage(queue, hand_on))
            await probe.send_all(queues[0].put, size)
            await queues[0].put(END)

    with Meter() as meter:
        asyncio.run(run())
    return probe.outcome(meter)


def run_streamflow(size: int) -> Outcome:
    """Send into an inbox that feeds five maps with a channel between each two."""
    import streamflow as sf

    probe = Probe()

    async def run() -> None:
        inbox = sf.inbox(1000)
        flow = sf.flow(inbox).map(increment)
        for _ in range(STAGES - 1):
            flow = flow.buffer().map(increment)
        async with flow.to(probe.sink).start():
            await probe.send_all(inbox.send, size)
            inbox.close()

    with Meter() as meter:
        asyncio.run(run())
    return probe.outcome(meter)


WORK = Work(
    name="idle_latency",
    title="one item through an idle flow of 5 unfused stages",
    unit="items",
    sizes=Sizes(quick=50, default=2_000, full=5_000),
    baseline="asyncio_queues",
    contenders=(
        Contender("asyncio_queues", "five asyncio.Queues", run_asyncio_queues),
        Contender("streamflow", "streamflow", run_streamflow, (STREAMFLOW,)),
    ),
    figures=(
        Figure("streamflow", metric="p50_us", at_most=50),
        Figure("streamflow", metric="p99_us", at_most=200),
    ),
    timed=False,
    shows=("p50_us", "p99_us"),
)
