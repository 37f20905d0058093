"""Ten gigabytes of arrays through a limit of one, into a slow sink: the memory of the process tree, from outside."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from bench.meter import Meter
from bench.sinks import ordered_sink
from bench.works import NUMPY, PSUTIL, STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

MEGABYTE, GIGABYTE, MIB = 10**6, 10**9, 1 << 20
SINK_SECONDS = 0.001
SAMPLE_SECONDS = 0.01
#: A buffer that would hold everything, if nobody said no.
GENEROUS_ITEMS, GENEROUS_BYTES = 1_000_000, 100 * GIGABYTE
#: A worker's arena where there are workers: four of them have to find room in the smallest limit.
ARENA = 16 * MIB
CHILD = "import sys; from bench.flows.memory_limit import be_child; be_child(*sys.argv[1:])"
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
Array = Any
Do = Callable[[Iterator[Array], Callable[[Array], Awaitable[None]], int], Awaitable[object]]


def limit_of(size: int) -> int:
    """Give the limit in bytes for so many bytes of arrays: a tenth of them, and 256 MB at least."""
    return max(size // 10, 256 * MEGABYTE)


def arrays(size: int) -> Iterator[Array]:
    """Make arrays of 1 MiB, each anew: as fast as memory is written, far faster than the sink takes them."""
    import numpy as np

    for number in range(size // MIB):
        yield np.full(MIB // 4, number, np.float32)


def negated(array: Array) -> Array:
    """Be the user's function."""
    return -array


async def run_here(do: Do, size: int) -> Outcome:
    """Run a contender in this process, into a sink that takes a millisecond for each array."""
    take, seen = ordered_sink()

    async def sink(array: Array) -> None:
        take(int(array[0]) + int(array[-1]))
        await asyncio.sleep(SINK_SECONDS)

    with Meter() as meter:
        await do(arrays(size), sink, size)
    return meter.outcome(*seen())


async def by_hand(items: Iterator[Array], sink: Callable[[Array], Awaitable[None]], size: int) -> None:
    """Count arrays, since their size is known: a queue that holds half of the limit. The baseline."""
    queue = asyncio.Queue[Array](limit_of(size) // 2 // MIB)

    async def fill() -> None:
        for array in items:
            await queue.put(negated(array))
        await queue.put(None)

    async def drain() -> None:
        while (array := await queue.get()) is not None:
            await sink(array)

    await asyncio.gather(fill(), drain())


async def streamflow(
    items: Iterator[Array],
    sink: Callable[[Array], Awaitable[None]],
    size: int,
    *,
    processes: bool = False,
    limited: bool = True,
) -> None:
    """Run our flow with a buffer that is far too large, and a limit for the run or none."""
    import streamflow as sf

    place = sf.processes(2, arena=ARENA) if processes else None
    flow = sf.flow(items).map(negated, on=place).buffer(items=GENEROUS_ITEMS, bytes=GENEROUS_BYTES).to(sink)
    options: dict[str, Any] = {"memory": limit_of(size)} if limited else {}
    await flow.run(**options)


CONTENDERS: dict[str, Do] = {
    "by_hand": by_hand,
    "streamflow": streamflow,
    "streamflow_processes": partial(streamflow, processes=True),
    "unlimited": partial(streamflow, limited=False),
}


def sampled(name: str, size: int) -> Outcome:
    """Run a contender in a child and sample the memory of the child and its children until it ends."""
    command = [sys.executable, "-c", CHILD, name, str(size)]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while child.poll() is None:
            peak = max(peak, tree_pss(child.pid))
            time.sleep(SAMPLE_SECONDS)
        printed, complaint = child.communicate()
    if child.returncode != 0:
        raise RuntimeError(complaint.strip().splitlines()[-1] if complaint.strip() else f"status {child.returncode}")
    outcome = Outcome(**json.loads(printed))
    metrics = {"peak_pss_mib": peak / MIB, "above_limit_mib": (peak - limit_of(size)) / MIB}
    return replace(outcome, metrics=metrics)


def tree_pss(pid: int) -> int:
    """Add up the proportional set sizes of a process and all below it; what they share counts once."""
    import psutil

    try:
        family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return 0
    return sum(map(_pss, family))


def _pss(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            found = _PSS.search(rollup.read())
    except OSError:
        return 0  # it has ended meanwhile
    return int(found[1]) * 1024 if found is not None else 0


def contender(name: str, label: str, *needs: Any, sizes: Sizes | None = None) -> Contender:
    """Make a contender that is watched from outside."""
    return Contender(name, label, partial(sampled, name), (NUMPY, PSUTIL, *needs), sizes)


def be_child(name: str, size: str) -> None:
    """Run a contender in this process and print the outcome."""
    print(json.dumps(asdict(asyncio.run(run_here(CONTENDERS[name], int(size))))))


WORK = Work(
    name="memory_limit",
    title="10 GB of arrays through a limit of 1 GB, a slow sink",
    unit="bytes",
    sizes=Sizes(quick=300 * MEGABYTE, default=1 * GIGABYTE, full=10 * GIGABYTE),
    baseline="by_hand",
    contenders=(
        contender("by_hand", "asyncio.Queue of half the limit"),
        contender("streamflow", "streamflow", STREAMFLOW),
        contender("streamflow_processes", "streamflow, in processes", STREAMFLOW),
        contender(
            "unlimited",
            "streamflow without a limit",
            STREAMFLOW,
            sizes=Sizes(quick=300 * MEGABYTE, default=1 * GIGABYTE, full=2 * GIGABYTE),
        ),
    ),
    figures=(
        Figure("streamflow", metric="above_limit_mib", at_most=64),
        Figure("streamflow_processes", metric="above_limit_mib", at_most=64),
    ),
    shows=("peak_pss_mib", "above_limit_mib"),
)
