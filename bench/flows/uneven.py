"""Items of very uneven cost on two threads, computed without the GIL: how near to the ideal split."""

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

from bench.load import calibrated, hashing, known
from bench.meter import Meter
from bench.sinks import Sink, ordered_sink
from bench.works import STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

THREADS = 2
#: A Pareto distribution between two bounds: half of the items take less than twice the least.
SHAPE, LEAST_MS, MOST_MS = 1.0, 0.1, 50.0
PERIOD = 4096
Do = Callable[[int, Sink], None]


@cache
def rounds_of_items() -> list[int]:
    """Draw how much is computed for each item, the same for everybody."""
    chance, rounds = random.Random(11), known().rounds
    costs = (min(LEAST_MS * chance.paretovariate(SHAPE), MOST_MS) for _ in range(PERIOD))
    return [max(1, round(cost * rounds)) for cost in costs]


def uneven(item: int) -> int:
    """Be the user's function: from 0.1 to 50 ms without the GIL."""
    return hashing(rounds_of_items()[item % PERIOD], item)


def timed(do: Do, size: int) -> Outcome:
    """Time a contender."""
    sink, seen = ordered_sink()
    rounds_of_items()
    with Meter() as meter:
        do(size, sink)
    return meter.outcome(*seen())


def run_ideal(size: int) -> Outcome:
    """Measure each item alone, and give what two threads would take if nothing were lost between them."""
    sink, seen = ordered_sink()
    rounds_of_items()
    costs = []
    with Meter() as meter:
        for item in range(size):
            began = time.perf_counter()
            sink(uneven(item))
            costs.append(time.perf_counter() - began)
    return replace(meter.outcome(*seen()), seconds=max(max(costs), sum(costs) / THREADS))


def executor_map(size: int, sink: Sink) -> None:
    """Let ThreadPoolExecutor.map hand out single items: even, at the price of a future for each."""
    with ThreadPoolExecutor(THREADS) as pool:
        for result in pool.map(uneven, range(size)):
            sink(result)


def static_halves(size: int, sink: Sink) -> None:
    """Give each thread one half of the items from the start: no price, and no evenness."""

    def half(items: range) -> list[int]:
        return [uneven(item) for item in items]

    with ThreadPoolExecutor(THREADS) as pool:
        for results in pool.map(half, (range(size // 2), range(size // 2, size))):
            for result in results:
                sink(result)


def streamflow(size: int, sink: Sink) -> None:
    """Run our map on threads."""
    import streamflow as sf

    asyncio.run(sf.flow(range(size)).map(uneven, on=sf.threads(THREADS)).to(sink).run())


def contender(name: str, label: str, do: Do) -> Contender:
    """Make a contender of what drives the threads."""
    needs = (STREAMFLOW,) if name == "streamflow" else ()
    return Contender(name, label, lambda size: timed(do, size), needs)


WORK = Work(
    name="uneven_threads",
    title="items of 0.1–50 ms, very uneven, on two threads that release the GIL, ordered",
    unit="items",
    sizes=Sizes(quick=40, default=2_000, full=4_000),
    baseline="ideal",
    warm_up=20,
    contenders=(
        Contender("ideal", "the ideal split", run_ideal),
        contender("streamflow", "streamflow", streamflow),
        contender("executor_map", "ThreadPoolExecutor.map", executor_map),
        contender("static_halves", "ThreadPoolExecutor, one half each", static_halves),
    ),
    figures=(Figure("ideal", over="streamflow", at_least=0.9),),
    prepare=calibrated,
)
