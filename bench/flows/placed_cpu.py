"""Pure Python in two worker processes, results in order: items of a millisecond, and of twenty microseconds."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from bench.load import calibrated, known, turning
from bench.meter import Meter
from bench.sinks import ordered_sink
from bench.works import JOBLIB, PYPELN, STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

WORKERS = 2
Function = Callable[[int], int]
Mapped = Callable[[Function, int], Iterable[int]]


def function_of(microseconds: int) -> Function:
    """Make the user's function: it takes so long, and everybody's is the same."""
    return partial(turning, max(1, known().turns * microseconds // 1000))


def timed(mapped: Mapped, size: int, *, microseconds: int) -> Outcome:
    """Time a contender from before its workers start until after they have ended."""
    sink, seen = ordered_sink()
    function = function_of(microseconds)
    with Meter() as meter:
        for result in mapped(function, size):
            sink(result)
    return meter.outcome(*seen())


def sequential(function: Function, size: int) -> Iterable[int]:
    """Compute one after the other in this process: the baseline."""
    return [function(item) for item in range(size)]


def executor(function: Function, size: int, *, chunk: int) -> Iterable[int]:
    """Run ProcessPoolExecutor.map."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as pool:
        yield from pool.map(function, range(size), chunksize=chunk)


def pypeln(function: Function, size: int) -> Iterable[int]:
    """Run pypeln's processes, put in order at the end: it holds everything then."""
    import pypeln  # type: ignore[import-untyped]

    stages: Any = pypeln.process
    yield from stages.ordered(stages.map(function, range(size), workers=WORKERS, maxsize=100))


def loky(function: Function, size: int) -> Iterable[int]:
    """Run joblib's own workers, which size their batches by what they measure."""
    import joblib

    yield from joblib.Parallel(WORKERS, "loky", return_as="generator")(
        joblib.delayed(function)(item) for item in range(size)
    )


def run_loky(size: int, *, microseconds: int) -> Outcome:
    """Time joblib, and end the workers that it keeps for the next call: the next one starts cold as everybody's."""
    outcome = timed(loky, size, microseconds=microseconds)
    end_loky()
    return outcome


def end_loky() -> None:
    """End joblib's workers; left to the interpreter's own end, they may leave semaphores behind."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


def run_streamflow(size: int, *, microseconds: int) -> Outcome:
    """Run our map in processes, with default settings."""
    import streamflow as sf

    sink, seen = ordered_sink()
    function = function_of(microseconds)
    with Meter() as meter:
        asyncio.run(sf.flow(range(size)).map(function, on=sf.processes(WORKERS)).to(sink).run())
    return meter.outcome(*seen())


def contenders(microseconds: int, slow: Sizes | None = None) -> tuple[Contender, ...]:
    """List who takes part; `slow` is the size for those who pay much for each item."""
    of = partial(partial, microseconds=microseconds)
    one_by_one, sixteens = partial(executor, chunk=1), partial(executor, chunk=16)
    return (
        Contender("sequential", "one after the other", of(timed, sequential)),
        Contender("streamflow", "streamflow", of(run_streamflow), (STREAMFLOW,)),
        Contender("executor_16", "ProcessPoolExecutor.map, chunks of 16", of(timed, sixteens)),
        Contender("executor_1", "ProcessPoolExecutor.map", of(timed, one_by_one), sizes=slow),
        Contender("loky", "joblib, loky", of(run_loky), (JOBLIB,)),
        Contender("pypeln", "pypeln.process", of(timed, pypeln), (PYPELN,), sizes=slow),
    )


MILLISECOND = Work(
    name="cpu_1ms",
    title="10 k items of 1 ms of pure Python in two processes, ordered, cold start included",
    unit="items",
    sizes=Sizes(quick=50, default=2_000, full=10_000),
    baseline="sequential",
    warm_up=10,
    contenders=contenders(1000),
    figures=(Figure("sequential", over="streamflow", at_least=1.9),),
    prepare=calibrated,
)

TWENTY_MICROSECONDS = Work(
    name="cpu_20us",
    title="the same, 100 k items of 20 µs",
    unit="items",
    sizes=Sizes(quick=1_000, default=100_000, full=100_000),
    baseline="sequential",
    warm_up=100,
    contenders=contenders(20, Sizes(quick=1_000, default=10_000, full=10_000)),
    figures=(Figure("sequential", over="streamflow", at_least=1.5),),
    prepare=calibrated,
)
