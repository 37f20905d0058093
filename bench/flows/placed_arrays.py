"""Arrays of float32 through two steps in worker processes, `x * 2` and a square root: 1 MiB and 8 MiB each."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from typing import Any

from bench.flows.placed_cpu import WORKERS, end_loky
from bench.meter import Meter
from bench.sinks import ordered_sink
from bench.works import JOBLIB, NUMPY, STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

#: Arrays that the source gives again and again, as one that recycles its buffers does.
RECYCLED = 8
#: Bytes that pass before the clock starts, if so many are measured: workers (a spare one as well), pools and pages are
#: there then.
WARM = 2 << 30
#: Futures under way: two for each worker, as everybody has.
WINDOW = 2 * WORKERS
MIB = 1 << 20
Array = Any
Arrays = Callable[[Iterable[Array]], Iterable[Array]]


def double(array: Array) -> Array:
    """Be the first step."""
    return array * 2


def root(array: Array) -> Array:
    """Be the second step."""
    import numpy as np

    return np.sqrt(array)


def both(array: Array) -> Array:
    """Do both at once, for those who have no steps."""
    return root(double(array))


def both_in_place(slot: Array) -> None:
    """Call the same two functions, and put what they give where the array was."""
    slot[:] = both(slot)


def both_without_temporaries(slot: Array) -> None:
    """Do what the two functions do, knowing them: nothing is allocated, nothing copied."""
    import numpy as np

    np.multiply(slot, 2, out=slot)
    np.sqrt(slot, out=slot)


def recycled(megabytes: int) -> list[Array]:
    """Make arrays of which twice each element is the square of a whole number: results are exact."""
    import numpy as np

    wanted = [np.arange(number, megabytes * MIB // 4 + number, dtype=np.int64) % 1021 for number in range(RECYCLED)]
    return [(roots * roots / 2).astype(np.float32) for roots in wanted]


class Results:
    """Be the sink: compare the first results whole, read one element of each, and start the clock between."""

    def __init__(self, arrays: list[Array], warm: int) -> None:
        """Know what is expected, and how many results come before the clock starts."""
        self._expected = [both(array) for array in arrays]
        self._sink, self.seen = ordered_sink()
        self._number, self._warm = 0, warm
        self._began = self._ended = 0.0

    @property
    def seconds(self) -> float:
        """Give the time from the last warm result to the last of all: neither start nor end of anybody's workers."""
        return self._ended - self._began

    def take(self, result: Array) -> None:
        """Touch a result; it is dropped with the return."""
        number, expected = self._number, self._expected
        self._number += 1
        if number < len(expected):
            import numpy as np

            np.testing.assert_array_equal(result, expected[number])
        self._sink(int(result[(number * 997) % len(result)]))
        self._ended = time.perf_counter()
        if self._number == self._warm:
            self._began = self._ended


def timed(do: Callable[[Iterator[Array], Results], None], size: int, megabytes: int) -> Outcome:
    """Time `size` arrays that come after the warm ones."""
    arrays = recycled(megabytes)
    warm = min(size, WARM // (megabytes * MIB))
    results = Results(arrays, warm)
    with Meter() as meter:
        do(islice(cycle(arrays), warm + size), results)
    outcome = meter.outcome(*results.seen(), gb_per_s=size * megabytes * MIB / results.seconds / 1e9)
    return replace(outcome, seconds=results.seconds)


def run_iterated(mapped: Arrays, size: int, *, megabytes: int) -> Outcome:
    """Time a contender that gives its results one after the other."""

    def do(arrays: Iterator[Array], results: Results) -> None:
        for result in mapped(arrays):
            results.take(result)
            del result  # nothing holds it while the next one is on its way

    return timed(do, size, megabytes)


def in_process(arrays: Iterable[Array]) -> Iterable[Array]:
    """Call the functions here, one array after the other: nothing is moved."""
    return map(both, arrays)


def executor(arrays: Iterable[Array]) -> Iterable[Array]:
    """Submit to a ProcessPoolExecutor in a sliding window: its map would ask for all arrays at once."""
    from concurrent.futures import Future, ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as pool:
        window: deque[Future[Array]] = deque()
        for array in arrays:
            window.append(pool.submit(both, array))
            if len(window) > WINDOW:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()


def memmap(arrays: Iterable[Array]) -> Iterable[Array]:
    """Run joblib's workers, which get arrays above `max_nbytes` as files in memory, each array once."""
    import joblib

    parallel = joblib.Parallel(WORKERS, "loky", return_as="generator", max_nbytes="100K", mmap_mode="r")
    yield from parallel(joblib.delayed(both)(array) for array in arrays)
    end_loky()


def run_ring(size: int, *, megabytes: int, work: Callable[[Array], None], copied: bool) -> Outcome:
    """Time the hand-written ring."""
    from bench.ring import ring

    def do(arrays: Iterator[Array], results: Results) -> None:
        with ring(megabytes * MIB // 4, WORKERS, work) as slots:
            for result in slots.passed(arrays, copied=copied):
                results.take(result)
                del result

    return timed(do, size, megabytes)


def run_streamflow(size: int, *, megabytes: int, views: bool) -> Outcome:
    """Run our two maps in one pool; results are handed on as they lie there, or as copies."""
    import streamflow as sf

    def do(arrays: Iterator[Array], results: Results) -> None:
        pool = sf.processes(WORKERS, views=views)
        asyncio.run(sf.flow(arrays).map(double, on=pool).map(root, on=pool).to(results.take).run())

    return timed(do, size, megabytes)


def made(name: str, megabytes: int, sizes: Sizes) -> Work:
    """Make the work for arrays of one size."""
    of = partial(partial, megabytes=megabytes)
    rings = partial(partial, run_ring, megabytes=megabytes)
    general, fixed = partial(rings, work=both_in_place), partial(rings, work=both_without_temporaries)
    return Work(
        name=name,
        title=f"float32 arrays of {megabytes} MiB through two steps in two processes, warm",
        unit="arrays",
        sizes=sizes,
        baseline="ring_copied",
        contenders=(
            Contender("ring_copied", "ring, copy in and out", general(copied=True), (NUMPY,)),
            Contender("ring_views", "ring, copy in", general(copied=False), (NUMPY,)),
            Contender("fixed_copied", "ring in place, copy in and out", fixed(copied=True), (NUMPY,)),
            Contender("fixed_views", "ring in place, copy in", fixed(copied=False), (NUMPY,)),
            Contender("streamflow_copied", "streamflow, copies", of(run_streamflow, views=False), (STREAMFLOW, NUMPY)),
            Contender("streamflow_views", "streamflow, views", of(run_streamflow, views=True), (STREAMFLOW, NUMPY)),
            Contender("executor", "ProcessPoolExecutor", of(partial(run_iterated, executor)), (NUMPY,)),
            Contender("memmap", "joblib, memmap", of(partial(run_iterated, memmap)), (JOBLIB, NUMPY)),
            Contender("in_process", "one thread, nothing moved", of(partial(run_iterated, in_process)), (NUMPY,)),
        ),
        figures=(
            Figure("executor", over="streamflow_copied", at_least=4),
            Figure("memmap", over="streamflow_copied", at_least=6),
            Figure("ring_copied", over="streamflow_copied", at_least=0.9),
            Figure("ring_views", over="streamflow_views", at_least=0.8),
        ),
        allocator="raised",
        shows=("gb_per_s",),
    )


ONE = made("arrays_1m", 1, Sizes(quick=16, default=2_000, full=10_000))
EIGHT = made("arrays_8m", 8, Sizes(quick=8, default=300, full=1_250))
