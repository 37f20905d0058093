"""How long it takes from the command to the first line of its output."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from bench import data
from bench.meter import Meter
from bench.works import STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

#: The command, without the script that pip makes of it.
COMMAND = (sys.executable, "-c", "from streamflow.cli import main; main()")
#: Bytes of the input: enough that the output is not all there at once.
INPUT = 2_000_000
Command = Callable[[str], Sequence[str]]


def timed(command: Command, size: int) -> Outcome:
    """Start the command `size` times; the shortest time counts, as what disturbs only makes it longer."""
    source = data.json_lines(INPUT)
    shortest = float("inf")
    with Meter() as meter:
        for _ in range(size):
            began = time.perf_counter()
            with subprocess.Popen(command(str(source)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                assert process.stdout is not None
                process.stdout.readline()
                shortest = min(shortest, time.perf_counter() - began)
                process.stdout.read()
    return meter.outcome(1, 0, first_ms=shortest * 1e3)


def streamflow(source: str) -> Sequence[str]:
    """Give our command, from a file to standard output."""
    return (*COMMAND, "run", "--from", source, "--to", "-")


def python(source: str) -> Sequence[str]:
    """Give an interpreter that copies the file: what any Python program takes to begin."""
    return (sys.executable, "-c", f"import sys; sys.stdout.writelines(open({source!r}))")


WORK = Work(
    name="start",
    title="`streamflow run --from x.jsonl --to -`, from the command on",
    unit="starts",
    sizes=Sizes(quick=1, default=5, full=5),
    baseline="python",
    contenders=(
        Contender("streamflow", "streamflow run", partial(timed, streamflow), (STREAMFLOW,)),
        Contender("python", "python -c, a loop", partial(timed, python)),
    ),
    figures=(Figure("streamflow", metric="first_ms", at_most=250),),
    timed=False,
    shows=("first_ms",),
)
