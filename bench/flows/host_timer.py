"""A flow at full speed inside a host's loop: how late the host's own 10 ms timer and thread hand-offs become."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

from bench.flows.ints import increment, is_even, triple
from bench.meter import Meter
from bench.sinks import Sink, counting_sink
from bench.statistics import percentile
from bench.works import STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

TIMER_SECONDS = 0.010
HAND_OFF_PAUSE = 0.020
SETTLE_SECONDS = 0.3
END: Any = object()


class Tap:
    """Give ints until it is closed, and count them: the flow must run as long as the host is watched."""

    def __init__(self) -> None:
        """Start open."""
        self.given = 0
        self.is_open = True

    def items(self) -> Iterator[int]:
        """Count upwards for as long as the tap is open."""
        while self.is_open:
            self.given += 1
            yield self.given


class Host:
    """Be the application around the flow: a timer each 10 ms and, now and then, a call in a thread."""

    def __init__(self) -> None:
        """Start with nothing measured."""
        self.late_ms: list[float] = []
        self.hand_off_ms: list[float] = []

    async def watch(self, seconds: float) -> None:
        """Keep both going for a while, after the flow has found its pace."""
        await asyncio.sleep(min(SETTLE_SECONDS, seconds))
        hand_offs = asyncio.create_task(self._hand_off())
        await self._keep_timer(time.perf_counter() + seconds)
        hand_offs.cancel()
        with suppress(asyncio.CancelledError):
            await hand_offs

    async def _keep_timer(self, until: float) -> None:
        while (now := time.perf_counter()) < until:
            await asyncio.sleep(TIMER_SECONDS)
            self.late_ms.append((time.perf_counter() - now - TIMER_SECONDS) * 1000)

    async def _hand_off(self) -> None:
        while True:
            began = time.perf_counter()
            try:
                await asyncio.to_thread(lambda: None)
            finally:  # One that never came back counts with its age when the watch ends.
                self.hand_off_ms.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(HAND_OFF_PAUSE)


Beside = Callable[[Iterator[int], Sink, Callable[[], Awaitable[None]]], Awaitable[None]]


def watched(beside: Beside, size: int) -> Outcome:
    """Watch the host for ``size`` milliseconds beside a flow; the checksum is the number of items lost."""
    tap, host = Tap(), Host()
    sink, seen = counting_sink()

    async def watch_then_close() -> None:
        await host.watch(size / 1000)
        tap.is_open = False

    async def run() -> None:
        await beside(tap.items(), sink, watch_then_close)

    with Meter() as meter:
        asyncio.run(run())
    passed, _ = seen()
    return meter.outcome(
        passed,
        (tap.given + 1) // 2 - passed,
        timer_p99_ms=percentile(host.late_ms, 0.99),
        timer_max_ms=max(host.late_ms),
        hand_off_p99_ms=percentile(host.hand_off_ms, 0.99),
        hand_off_max_ms=max(host.hand_off_ms),
        items_per_ms=tap.given / meter.seconds / 1000,
    )


async def nothing(items: Iterator[int], sink: Sink, watch: Callable[[], Awaitable[None]]) -> None:
    """Run no flow at all: what the loop and the machine themselves cost."""
    await watch()


async def asyncio_queues(items: Iterator[int], sink: Sink, watch: Callable[[], Awaitable[None]]) -> None:
    """Run three steps as tasks that hand single items over bounded queues."""
    second, third = asyncio.Queue[int](1000), asyncio.Queue[int](1000)

    async def first_step() -> None:
        for item in items:
            await second.put(increment(item))
        await second.put(END)

    async def second_step() -> None:
        while (item := await second.get()) is not END:
            await third.put(triple(item))
        await third.put(END)

    async def third_step() -> None:
        while (item := await third.get()) is not END:
            if is_even(item):
                sink(item)

    await asyncio.gather(first_step(), second_step(), third_step(), watch())


async def streamflow(items: Iterator[int], sink: Sink, watch: Callable[[], Awaitable[None]]) -> None:
    """Run our flow of three stages, started in the host's loop and awaited at its end."""
    import streamflow as sf

    flow = sf.flow(items).map(increment).buffer().map(triple).buffer().filter(is_even).to(sink)
    async with flow.start():
        await watch()


def contender(name: str, label: str, beside: Beside, *needs: Any) -> Contender:
    """Make a contender of what runs beside the host."""
    return Contender(name, label, lambda size: watched(beside, size), needs)


WORK = Work(
    name="host_timer",
    title="a full-speed flow of three unfused stages in a host's loop",
    unit="ms watched",
    sizes=Sizes(quick=200, default=5_000, full=10_000),
    baseline="nothing",
    contenders=(
        contender("nothing", "no flow", nothing),
        contender("streamflow", "streamflow", streamflow, STREAMFLOW),
        contender("asyncio_queues", "asyncio.Queue per item", asyncio_queues),
    ),
    figures=(
        Figure("streamflow", metric="timer_p99_ms", at_most=5),
        Figure("streamflow", metric="hand_off_max_ms", at_most=10),
    ),
    timed=False,
    counted=False,
    shows=("timer_p99_ms", "timer_max_ms", "hand_off_p99_ms", "hand_off_max_ms", "items_per_ms"),
)
