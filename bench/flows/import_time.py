"""How long ``import streamflow`` takes, and which heavy packages it drags in.

Its names are handed on when first used, so a first flow, run to its end, stands beside it: what a program waits.
"""

import json
import subprocess
import sys
from functools import partial

from bench.works import (
    AIOSTREAM,
    BYTEWAX,
    SPDL,
    STREAMABLE,
    STREAMFLOW,
    Contender,
    Figure,
    Outcome,
    Package,
    Sizes,
    Work,
)

HEAVY = (
    *("cupy", "dask", "distributed", "joblib", "numba", "numpy", "pandas", "polars", "pyarrow"),
    *("rich", "scipy", "sklearn", "starlette", "uvicorn"),
)

PROBE = """
import json, sys, time
began = time.perf_counter()
{statements}
seconds = time.perf_counter() - began
print(json.dumps([seconds, [name for name in {heavy!r} if name in sys.modules]]))
"""


FIRST_FLOW = """
import streamflow
streamflow.flow(range(10)).map(str).to(len).run_sync()
"""


def run_import(size: int, *, statements: str) -> Outcome:
    """Import in ``size`` fresh interpreters and keep the shortest time: the rest is noise."""
    imports = [import_once(statements) for _ in range(size)]
    seconds = min(seconds for seconds, _ in imports)
    heavy = imports[0][1]
    return Outcome(
        seconds=seconds,
        count=size,
        checksum=0,
        metrics={"import_ms": seconds * 1000, "heavy_modules": len(heavy)},
        note=", ".join(heavy),
    )


def import_once(statements: str) -> tuple[float, list[str]]:
    """Time one import and list the heavy packages that it loaded."""
    script = PROBE.format(statements=statements, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seconds, heavy = json.loads(done.stdout)
    return seconds, heavy


def contender(name: str, package: Package) -> Contender:
    """Make a contender of a package."""
    return Contender(
        name, f"import {package.module}", partial(run_import, statements=f"import {package.module}"), (package,)
    )


WORK = Work(
    name="import_time",
    title="import streamflow",
    unit="imports",
    sizes=Sizes(quick=2, default=7, full=7),
    baseline="asyncio",
    contenders=(
        Contender("asyncio", "import asyncio", partial(run_import, statements="import asyncio")),
        contender("streamflow", STREAMFLOW),
        Contender(
            "first_flow", "streamflow, a first flow run", partial(run_import, statements=FIRST_FLOW), (STREAMFLOW,)
        ),
        contender("streamable", STREAMABLE),
        contender("aiostream", AIOSTREAM),
        contender("bytewax", BYTEWAX),
        contender("spdl", SPDL),
    ),
    figures=(
        Figure("streamflow", metric="import_ms", at_most=70),
        Figure("streamflow", metric="heavy_modules", at_most=0),
    ),
    timed=False,
    shows=("import_ms", "heavy_modules"),
)
