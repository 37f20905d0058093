"""Run one flow for the command line: progress, signals, the report, and the exit code."""

from __future__ import annotations

import asyncio
import sys
import traceback
from typing import TYPE_CHECKING

from streamflow.cli.progress import shown
from streamflow.cli.stopping import stopping
from streamflow.flows.runnable import Runnable, loop_factory
from streamflow.metrics.report import RunReport
from streamflow.model.errors import FlowError, RunCancelled

if TYPE_CHECKING:
    from rich.console import Console

FAILED, USAGE, CANCELLED = 1, 2, 130


def perform(
    flow: Runnable, console: Console, *, total: int | None = None, show_traceback: bool = False
) -> tuple[RunReport | None, int]:
    """Run `flow` to its end, showing progress on `console`; return the report, if there is one, and the exit code."""
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_perform(flow, console, total)), 0
    except RunCancelled:
        console.print("cancelled: nothing half-written bears its final name", highlight=False)
        return None, CANCELLED
    except BrokenPipeError:
        _forget_stdout()
        return None, 0
    except FlowError as error:
        explain(error, console, show_traceback)
        return None, USAGE
    except Exception as error:
        explain(error, console, show_traceback)
        return None, FAILED


async def _perform(flow: Runnable, console: Console, total: int | None) -> RunReport:
    run = flow.start()
    with stopping(run, lambda text: console.print(text, highlight=False)) as stopper:
        try:
            async with shown(run, console, total):
                return await run.wait()
        finally:
            await stopper.settled()


def explain(error: BaseException, console: Console, show_traceback: bool) -> None:
    """Say on `console` what went wrong, where, and how to see more."""
    if show_traceback:
        console.print("".join(traceback.format_exception(error)), markup=False, highlight=False)
    kind = "" if isinstance(error, FlowError) else f"{type(error).__name__}: "
    console.print(f"[bold red]error[/]: {kind}", end="")
    console.print(str(error), markup=False, highlight=False)
    for note in getattr(error, "__notes__", ()):
        console.print(f"  {note}", markup=False, highlight=False)
    if not show_traceback and not isinstance(error, FlowError):
        console.print("  --traceback shows where in the code", highlight=False)


def _forget_stdout() -> None:
    """Keep the interpreter from complaining at exit that the reader of our output has gone."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
