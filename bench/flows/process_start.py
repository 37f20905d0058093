"""How long it takes until a cold process stage has given its first item, in a program that has just begun."""

import json
import subprocess
import sys
from functools import partial

from bench.works import JOBLIB, STREAMFLOW, Contender, Figure, Outcome, Package, Sizes, Work

# A program imports, begins, and notes when the first result is there. What `flow.run` imports late is imported by a
# first flow that has no workers, except what only processes need: that is part of their start.
PROBE = """
import json, math, time
began = time.perf_counter()
{imports}
imported = time.perf_counter()
{first}
print(json.dumps([arrived - imported, arrived - began, result]))
"""

STREAMFLOW_IMPORTS = """
import asyncio, streamflow as sf
asyncio.run(sf.flow([1]).map(math.isqrt).to(str).run())
"""

STREAMFLOW_FIRST = """
arrived = result = None
def sink(item):
    global arrived, result
    if arrived is None:
        arrived, result = time.perf_counter(), item
asyncio.run(sf.flow([9, 9, 9]).map(math.isqrt, on=sf.processes(2)).to(sink).run())
"""

EXECUTOR_IMPORTS = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
"""

EXECUTOR_FIRST = """
with ProcessPoolExecutor(2, multiprocessing.get_context({method!r})) as pool:
    result = next(pool.map(math.isqrt, [9, 9, 9]))
    arrived = time.perf_counter()
"""

LOKY_IMPORTS = """
from joblib import Parallel, delayed
"""

LOKY_FIRST = """
results = Parallel(2, "loky", return_as="generator")(delayed(math.isqrt)(item) for item in [9, 9, 9])
result = next(results)
arrived = time.perf_counter()
list(results)
from joblib.externals.loky import get_reusable_executor
get_reusable_executor().shutdown(wait=True)
"""


def timed(size: int, *, imports: str, first: str) -> Outcome:
    """Start `size` programs; the shortest time counts, as what disturbs only makes it longer."""
    script = PROBE.format(imports=imports, first=first)
    starts = [_once(script) for _ in range(size)]
    shortest, with_imports = min(cold for cold, _, _ in starts), min(total for _, total, _ in starts)
    metrics = {"first_item_ms": shortest * 1e3, "with_imports_ms": with_imports * 1e3}
    return Outcome(seconds=shortest, count=size, checksum=sum(result for *_, result in starts), metrics=metrics)


def _once(script: str) -> tuple[float, float, int]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    cold, total, result = json.loads(done.stdout)
    return cold, total, result


def contender(name: str, label: str, imports: str, first: str, *needs: Package) -> Contender:
    """Make a contender of two pieces of a program."""
    return Contender(name, label, partial(timed, imports=imports, first=first), needs)


def executor(method: str) -> Contender:
    """Make a contender of a start method."""
    label = f"ProcessPoolExecutor, {method}"
    return contender(f"executor_{method}", label, EXECUTOR_IMPORTS, EXECUTOR_FIRST.format(method=method))


WORK = Work(
    name="process_start",
    title="the first item through a cold process stage",
    unit="starts",
    sizes=Sizes(quick=1, default=7, full=7),
    baseline="executor_fork",
    contenders=(
        executor("fork"),
        executor("forkserver"),
        executor("spawn"),
        contender("streamflow", "streamflow", STREAMFLOW_IMPORTS, STREAMFLOW_FIRST, STREAMFLOW),
        contender("loky", "joblib, loky", LOKY_IMPORTS, LOKY_FIRST, JOBLIB),
    ),
    figures=(Figure("streamflow", metric="first_item_ms", at_most=150),),
    timed=False,
    shows=("first_item_ms", "with_imports_ms"),
)
