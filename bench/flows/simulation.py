"""What proving costs: flows simulated under seeds, on a disk that fails, and one that dies at each operation."""

import asyncio
import errno
import logging
import random
import zlib
from functools import partial
from typing import Any

from bench.meter import Meter
from bench.works import STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

ITEMS = 24
#: One seed in so many is run again, to see whether everything happens in the same order.
AGAIN = 10


async def hop(number: int) -> int:
    """Wait a while, or not."""
    await asyncio.sleep(random.choice((0, 0.001, 0.006)))
    return number


def described(result: Any) -> list[Any]:
    """Return what is in the result of a window."""
    return [result.key, str(result.start), result.value]


async def live(disk: Any) -> None:
    """Run a flow of a slow source, a concurrent stage and keyed windows, with checkpoints, on a simulated disk."""
    import streamflow as sf
    from streamflow.testing import FaultySource, SimulatedCheckpoints

    source = FaultySource(items=range(ITEMS), batch=3, delay=0.006)
    timed = sf.flow(source).map(hop, concurrency=4).event_time(float, max_lateness=5)
    windows = timed.key_by(lambda number: number % 3).window(sf.tumbling(6)).aggregate(n=sf.agg.count())
    out = sf.sinks.JsonLines("/d/out.jsonl", files=disk)
    await windows.map(described).to(out).run(checkpoint=SimulatedCheckpoints(disk), every=0.02)


def live_under(seed: int) -> tuple[list[str], bytes]:
    """Simulate runs on a disk that is full for a while or fails once, until one succeeds; return traces and output."""
    from streamflow.testing import Fault, SimulatedDisk, simulate

    chance, disk, traces = random.Random(seed), SimulatedDisk(folders=["/d"]), list[str]()
    error = chance.choice((errno.ENOSPC, errno.EIO))
    disk.faults.append(Fault(first=chance.randint(1, 30), times=1 if error == errno.EIO else 4, error=error))
    try:
        traces.append(simulate(partial(live, disk), seed).trace)
    except OSError as failure:
        traces.append(str(failure))
        disk = disk.crash("drop unsynced")
        traces.append(simulate(partial(live, disk), seed + 1_000_000).trace)
    return traces, disk.files()["/d/out.jsonl"]


def run_seeds(size: int) -> Outcome:
    """Simulate so many seeds; the outputs must all be that of an unbroken run."""
    logging.getLogger("streamflow").setLevel(logging.CRITICAL)  # each disk that fails would be told of
    from streamflow.testing import SimulatedDisk, simulate
    from streamflow.testing.sealed_world import clocks_in_place

    with Meter() as meter, clocks_in_place():
        unbroken = SimulatedDisk(folders=["/d"])
        simulate(partial(live, unbroken), 0)
        expected = unbroken.files()["/d/out.jsonl"]
        differ = 0
        for seed in range(size):
            traces, output = live_under(seed)
            if output != expected:
                raise AssertionError(f"seed {seed}: {output!r} instead of {expected!r}")
            differ += seed % AGAIN == 0 and live_under(seed) != (traces, output)
    outcome = meter.outcome(size, zlib.crc32(expected))
    outcome.metrics.update(seeds_per_s=size / outcome.seconds, traces_differ=differ)
    return outcome


def run_deaths(size: int) -> Outcome:
    """Die at each operation under each loss, and recover, with `size` orders of events; raise if an output differs."""
    from streamflow.testing import CrashExplorer, SimulatedDisk

    logging.getLogger("streamflow").setLevel(logging.CRITICAL)
    operations = tried = 0
    with Meter() as meter:
        for seed in range(size):
            explorer = CrashExplorer(life=live, disk=lambda: SimulatedDisk(folders=["/d"]), again=0, seed=seed)
            explored = explorer.explore()
            operations += explored.operations
            tried += explored.tried
    outcome = meter.outcome(size, size)
    outcome.metrics.update(operations=operations, deaths=tried, not_identical=3 * (operations + size) - tried)
    return outcome


SEEDS = Work(
    name="simulation",
    title="whole flows under seeds, on a disk that fails",
    unit="seeds",
    sizes=Sizes(quick=20, default=2_000, full=20_000),
    baseline="streamflow",
    contenders=(Contender("streamflow", "streamflow", run_seeds, (STREAMFLOW,)),),
    figures=(
        Figure("streamflow", metric="seeds_per_s", at_least=2_000 / 60),
        Figure("streamflow", metric="traces_differ", at_most=0),
    ),
    timed=False,
    shows=("seeds_per_s", "traces_differ"),
)

DEATHS = Work(
    name="crash_points",
    title="deaths at each operation on the disk, three kinds of loss",
    unit="orders",
    sizes=Sizes(quick=1, default=10, full=100),
    baseline="streamflow",
    contenders=(Contender("streamflow", "streamflow", run_deaths, (STREAMFLOW,)),),
    figures=(Figure("streamflow", metric="not_identical", at_most=0),),
    timed=False,
    shows=("operations", "deaths", "not_identical"),
)
