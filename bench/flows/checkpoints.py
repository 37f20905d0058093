"""What checkpoints cost: the JSON Lines flow and a thousand slow awaits; and what recovery takes."""

import asyncio
import tempfile
import zlib
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from bench import data
from bench.flows.json_lines import MEGABYTE, is_active, timed, to_order
from bench.meter import Meter
from bench.works import STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

CONCURRENCY = 1000


def run_lines(size: int, *, every: float | None) -> Outcome:
    """Run the flow from path to path, keeping a checkpoint so often."""
    import streamflow as sf

    kept = 0

    def transfer(source: Path, target: Path) -> None:
        nonlocal kept
        flow = sf.flow(str(source)).filter(is_active).map(to_order).to(str(target))
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            options: dict[str, Any] = {"checkpoint": f"{folder}/ckpt", "every": every} if every is not None else {}
            report = asyncio.run(flow.run(**options))
        found = report.statistics.checkpoints
        kept = found.saved if found is not None else 0

    outcome = timed(transfer, size)
    outcome.metrics["checkpoints"] = kept
    return outcome


def run_waits(size: int, *, every: float | None, ordered: bool) -> Outcome:
    """Await 50 to 200 ms for each item, a thousand at once."""
    import streamflow as sf

    total = 0

    async def wait(item: int) -> int:
        await asyncio.sleep(0.05 + item * 7919 % 1500 / 10_000)
        return item

    def add(item: int) -> None:
        nonlocal total
        total += item

    with Meter() as meter, tempfile.TemporaryDirectory() as folder:
        flow = sf.flow(range(size)).map(wait, concurrency=CONCURRENCY, ordered=ordered).to(add)
        options: dict[str, Any] = {"checkpoint": f"{folder}/ckpt", "every": every} if every is not None else {}
        asyncio.run(flow.run(**options))
    return meter.outcome(size, zlib.crc32(str(total).encode()))


LINES = Work(
    name="checkpoint_lines",
    title="JSON Lines with checkpoints",
    unit="bytes",
    sizes=Sizes(quick=200_000, default=600 * MEGABYTE, full=1000 * MEGABYTE),
    baseline="without",
    warm_up=100_000,
    contenders=(
        Contender("without", "streamflow, without", partial(run_lines, every=None), (STREAMFLOW,)),
        Contender("second", "streamflow, each second", partial(run_lines, every=1.0), (STREAMFLOW,)),
        Contender("often", "streamflow, each 50 ms", partial(run_lines, every=0.05), (STREAMFLOW,)),
    ),
    figures=(
        Figure("second", over="without", at_most=1.04),
        Figure("often", over="without", at_most=1.10),
    ),
    prepare=data.warm,
    shows=("mb_per_s", "checkpoints"),
)

WAITS = Work(
    name="checkpoint_waits",
    title="awaits of 50 to 200 ms, 1,000 at once, a checkpoint each second",
    unit="items",
    sizes=Sizes(quick=2_000, default=40_000, full=100_000),
    baseline="without",
    contenders=(
        Contender("without", "ordered, without", partial(run_waits, every=None, ordered=True), (STREAMFLOW,)),
        Contender("second", "ordered, each second", partial(run_waits, every=1.0, ordered=True), (STREAMFLOW,)),
        Contender(
            "unordered_without", "unordered, without", partial(run_waits, every=None, ordered=False), (STREAMFLOW,)
        ),
        Contender("unordered", "unordered, each second", partial(run_waits, every=1.0, ordered=False), (STREAMFLOW,)),
    ),
    figures=(
        Figure("second", over="without", at_most=1.05),
        Figure("unordered", over="unordered_without", at_most=1.05),
    ),
)


def run_recovery(size: int) -> Outcome:
    """Fill a state of so many keys, keep it, and time how long a fresh run takes to hold it again.

    ``held_ms`` is the longest time for which the loop was held while a snapshot was taken.
    """
    import streamflow as sf

    def count(state: int | None, _: int) -> tuple[int, int]:
        return ((state or 0) + 1, 0)

    def flow(source: Any) -> sf.Runnable:
        return sf.flow(source).key_by(lambda n: n).map_with_state(count, name="count").to(None)

    async def main(path: str) -> tuple[float, float, int]:
        longest = 0.0
        inbox = sf.inbox(1 << 16)

        async def watch() -> None:
            nonlocal longest
            while True:
                began = perf_counter()
                await asyncio.sleep(0.001)
                longest = max(longest, perf_counter() - began - 0.001)

        async with flow(inbox).start(checkpoint=path, every=1000) as run:
            for n in range(size):
                await inbox.send(n)
            watching = asyncio.ensure_future(watch())
            await asyncio.sleep(0.05)
            longest = 0.0
            await run.checkpoint()
            watching.cancel()
            await run.drain()
        began = perf_counter()
        async with flow(sf.inbox(10)).start(checkpoint=path, every=1000) as run:
            seconds = perf_counter() - began
            keys = sum(stage.keys for stage in run.statistics().stages)
            await run.cancel()
        return seconds, longest, keys

    with tempfile.TemporaryDirectory() as folder, Meter() as meter:
        seconds, longest, keys = asyncio.run(main(f"{folder}/ckpt"))
    outcome = meter.outcome(keys, keys)
    outcome.metrics.update(recovery_ms=seconds * 1e3, held_ms=longest * 1e3)
    return outcome


RECOVERY = Work(
    name="recovery",
    title="recovery of a state of so many keys",
    unit="keys",
    sizes=Sizes(quick=2_000, default=1_000_000, full=1_000_000),
    baseline="streamflow",
    contenders=(Contender("streamflow", "streamflow", run_recovery, (STREAMFLOW,)),),
    figures=(
        Figure("streamflow", metric="recovery_ms", at_most=1200),
        Figure("streamflow", metric="held_ms", at_most=5),
    ),
    timed=False,
    shows=("recovery_ms", "held_ms"),
)
