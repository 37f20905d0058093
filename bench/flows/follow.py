"""One line at a time appended to a file that is followed: how long until the sink has it."""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.meter import Meter
from bench.sinks import ordered_sink
from bench.statistics import percentile
from bench.works import STREAMFLOW, WATCHFILES, Contender, Figure, Outcome, Sizes, Work

#: Seconds between two lines, at least and at most: from a busy log to one at which a poller falls asleep.
PAUSES = 0.002, 0.2
WARM_UP = 5
#: Seconds between two looks of the hand-written loop.
NAP = 0.01


class Appender:
    """Append lines to a file, and note when each reaches the sink."""

    def __init__(self, path: Path) -> None:
        """Make the file."""
        self.path = path
        path.touch()
        self._sink, self.seen = ordered_sink()
        self._arrived = asyncio.Event()
        self._arrived_at = 0
        self._milliseconds: list[float] = []

    def sink(self, item: int) -> None:
        """Note the time first, then what arrived."""
        self._arrived_at = time.perf_counter_ns()
        self._sink(item)
        self._arrived.set()

    async def append_all(self, size: int) -> None:
        """Append one line at a time, the next one some time after the last one has arrived."""
        pauses = random.Random(size)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            for item in range(WARM_UP + size):
                await asyncio.sleep(pauses.uniform(*PAUSES))
                self._arrived.clear()
                appended_at = time.perf_counter_ns()
                os.write(file, b"%d\n" % item)
                await self._arrived.wait()
                if item >= WARM_UP:
                    self._milliseconds.append((self._arrived_at - appended_at) / 1e6)
        finally:
            os.close(file)

    def outcome(self, meter: Meter) -> Outcome:
        """Report the percentiles."""
        return meter.outcome(
            *self.seen(),
            p50_ms=percentile(self._milliseconds, 0.50),
            p99_ms=percentile(self._milliseconds, 0.99),
        )


def measured(size: int, follow: Callable[[Appender, Awaitable[None]], Awaitable[None]]) -> Outcome:
    """Follow a file of its own while lines are appended to it."""

    async def run() -> Appender:
        appender = Appender(Path(folder) / "app.jsonl")
        await follow(appender, appender.append_all(size))
        return appender

    with tempfile.TemporaryDirectory(prefix="streamflow-bench-") as folder, Meter() as meter:
        appender = asyncio.run(run())
    return appender.outcome(meter)


def run_by_hand(size: int) -> Outcome:
    """Read what there is, and sleep: no rotation, no truncation, no partial line, and 100 looks a second for ever."""

    async def read(appender: Appender) -> None:
        with appender.path.open("rb") as file:
            while True:
                for line in file:
                    appender.sink(int(line))
                await asyncio.sleep(NAP)

    async def follow(appender: Appender, appending: Awaitable[None]) -> None:
        reading = asyncio.create_task(read(appender))
        await appending
        reading.cancel()

    return measured(size, follow)


def streamflow_by(how: str) -> Callable[[int], Outcome]:
    """Follow with notification, or without."""

    def run(size: int) -> Outcome:
        import streamflow as sf

        async def follow(appender: Appender, appending: Awaitable[None]) -> None:
            source = sf.sources.JsonLines(appender.path, follow=how)  # type: ignore[arg-type]  # one of the two
            async with sf.flow(source).to(appender.sink).start() as handle:
                await appending
                await handle.drain()

        return measured(size, follow)

    return run


WORK = Work(
    name="follow",
    title="one line at a time appended to a file that is followed, 2 to 200 ms apart: append to seen",
    unit="lines",
    sizes=Sizes(quick=10, default=100, full=500),
    baseline="by_hand",
    contenders=(
        Contender("by_hand", "a loop that sleeps 10 ms", run_by_hand),
        Contender("streamflow_notify", "streamflow, notified", streamflow_by("notify"), (STREAMFLOW, WATCHFILES)),
        Contender("streamflow_poll", "streamflow, polling", streamflow_by("poll"), (STREAMFLOW,)),
    ),
    figures=(Figure("streamflow_notify", metric="p99_ms", at_most=50),),
    timed=False,
    shows=("p50_ms", "p99_ms"),
)
