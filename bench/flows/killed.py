"""A worker that is killed every hundred items of 5 ms: what it costs, and that it costs nobody else anything."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from bench import data
from bench.load import calibrated, known, turning
from bench.meter import Meter
from bench.sinks import Sink, ordered_sink
from bench.works import STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

WORKERS = 2
MILLISECONDS = 5
EVERY, VICTIM = 100, 50
WINDOW = 2 * WORKERS
Function = Callable[[int], int]
Do = Callable[[Function, int, Sink], int]


def is_victim(item: int) -> bool:
    """Choose one item of a hundred."""
    return item % EVERY == VICTIM


def lethal(folder: str, turns: int, item: int) -> int:
    """Kill the process that has a victim the first time: the file that it leaves says that there was one."""
    if is_victim(item):
        with suppress(FileExistsError):
            os.close(os.open(f"{folder}/{item}", os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), signal.SIGKILL)
    return turning(turns, item)


def timed(do: Do, size: int, *, kills: bool) -> Outcome:
    """Time a contender, and hold it to having tried each victim twice; its results are in the checksum."""
    sink, seen = ordered_sink()
    turns = known().turns * MILLISECONDS
    with tempfile.TemporaryDirectory(dir=data.folder()) as folder:
        function = partial(lethal, folder, turns) if kills else partial(turning, turns)
        with Meter() as meter:
            retries = do(function, size, sink)
        killed = len(list(Path(folder).iterdir()))
    victims = sum(map(is_victim, range(size))) if kills else 0
    if (killed, retries) != (victims, victims):
        raise RuntimeError(f"of {victims} victims {killed} were killed, and {retries} retries counted")
    return replace(meter.outcome(*seen()), metrics={"retries": retries})


def executor(function: Function, size: int, sink: Sink) -> int:
    """Do by hand what a ProcessPoolExecutor does not: a new pool for all when one worker has died.

    It does not know whose fault that was. This one asks the function's own rule, which nobody else could.
    """
    results: dict[int, int] = {}
    retries = given = 0
    while given < size:
        window: dict[int, Future[int]] = {}
        with suppress(BrokenProcessPool), ProcessPoolExecutor(WORKERS) as pool:
            items = iter(range(given, size))
            for item in _first(items, WINDOW, results):
                window[item] = pool.submit(function, item)
            while window:
                item = min(window)
                results[item] = window[item].result()
                del window[item]
                for following in _first(items, 1, results):
                    window[following] = pool.submit(function, following)
        for item, future in window.items():
            if future.done() and not future.exception():
                results[item] = future.result()
            else:
                retries += is_victim(item)
        while given in results:
            sink(results.pop(given))
            given += 1
    return retries


def _first(items: Iterator[int], count: int, done: dict[int, int]) -> list[int]:
    return list(islice((item for item in items if item not in done), count))


def streamflow(function: Function, size: int, sink: Sink) -> int:
    """Run our map in processes; return how many retries the report counts."""
    import streamflow as sf

    again = sf.Retry(attempts=2, base=0.0, jitter=False)
    flow = sf.flow(range(size)).map(function, on=sf.processes(WORKERS), retry=again, name="work")
    report = asyncio.run(flow.to(sink).run())
    return sum(stage.retried for stage in report.statistics.stages)


def contender(name: str, label: str, do: Do, *, kills: bool) -> Contender:
    """Make a contender."""
    return Contender(name, label, partial(timed, do, kills=kills), (STREAMFLOW,) if do is streamflow else ())


WORK = Work(
    name="worker_killed",
    title="10 k items of 5 ms in two processes, one of which is killed every 100 items",
    unit="items",
    sizes=Sizes(quick=120, default=1_000, full=10_000),
    baseline="quiet",
    warm_up=10,
    contenders=(
        contender("quiet", "streamflow, nobody is killed", streamflow, kills=False),
        contender("streamflow", "streamflow", streamflow, kills=True),
        contender("executor", "ProcessPoolExecutor, made anew each time", executor, kills=True),
    ),
    figures=(Figure("streamflow", over="quiet", at_most=1.5),),
    prepare=calibrated,
    shows=("retries",),
)
