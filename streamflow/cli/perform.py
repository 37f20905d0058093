"""Run one flow for the command line: progress, signals, the report, and the exit code."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from streamflow.cli.checkpoint_lines import goes_on, stopped
from streamflow.cli.exit_codes import BUG, FAILED, exit_code, users_place
from streamflow.cli.progress import shown
from streamflow.cli.standard_output import close_stdout
from streamflow.cli.stopping import Interrupted, stopping
from streamflow.configuration.problem import ConfigurationError
from streamflow.flows.runnable import Runnable, loop_factory
from streamflow.metrics.report import RunReport
from streamflow.model.errors import FlowError, RunCancelled
from streamflow.model.events import Event, RunEnded, RunGoesOn
from streamflow.model.failures import message_of
from streamflow.model.notes import add_note
from streamflow.model.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from streamflow.engine.runner import OnEvent

#: Exceptions of a group that are told.
MOST_TOLD = 5
#: The name that errors of writing to standard output carry.
STDOUT = "stdout"


def perform(
    flow: Runnable,
    console: Console,
    *,
    show_traceback: bool = False,
    on_event: OnEvent | None = None,
    **options: Any,
) -> tuple[RunReport | None, int]:
    """Run `flow` to its end, showing progress on `console`; return the report, if there is one, and the exit code.

    `options` are those of a run.
    """
    teller = Teller(console, on_event)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            report, signalled = runner.run(_perform(flow, console, teller, **options))
        if report is None:
            console.print("cancelled: nothing half-written bears its final name", highlight=False)
            teller.tell_where_it_stands()
            return None, 128 + signalled
        if report.state == "suspended":
            teller.tell_where_it_stands()
            return report, 128 + signalled if flow.plan.bounded and signalled != signal.SIGTERM else 0
        if signalled and flow.plan.bounded:
            console.print("stopped before the end of the input: the output is what came of the part that was read")
            return report, 128 + signalled
        return report, 0
    except Exception as error:
        if isinstance(error, BrokenPipeError) and error.filename == STDOUT:
            close_stdout()
            return None, 0  # `… | head` has seen enough
        explain(error, console, show_traceback)
        teller.tell_where_it_stands()
        return None, exit_code(error)
    except Interrupted as error:
        console.print("ended: nothing half-written bears its final name", highlight=False)
        teller.tell_where_it_stands()
        return None, 128 + error.number
    except BaseException as error:  # of the user's: a real Ctrl-C is a signal, and handled as one
        place = users_place(error)
        if place is None:
            raise
        add_note(error, f"raised in {place}: it would end the process, so that the run could not tell where it was")
        explain(error, console, show_traceback)
        return None, FAILED


class Teller:
    """Tell what becomes of checkpoints, and pass each event on."""

    def __init__(self, console: Console, on_event: OnEvent | None) -> None:
        self._console = console
        self._on_event = on_event
        self._report: RunReport | None = None

    def note(self, event: Event) -> None:
        """Take an event of the run."""
        if isinstance(event, RunGoesOn):
            self._say(goes_on(event))
        elif isinstance(event, RunEnded):
            self._report = event.report
        if self._on_event is not None:
            self._on_event(event)

    def tell_where_it_stands(self) -> None:
        """Say what there is to go on from after a run that has not come to its end."""
        if self._report is not None:
            self._say(stopped(self._report.state, self._report.statistics))

    def _say(self, text: str) -> None:
        if text:
            self._console.print(text, markup=False, highlight=False)


async def _perform(flow: Runnable, console: Console, teller: Teller, **options: Any) -> tuple[RunReport | None, int]:
    """Return the report, and the signal that has stopped the run, or 0; no report, and the signal that cancelled it."""
    run = flow.start(on_event=teller.note, **options)
    with stopping(run, suspends=options.get("checkpoint") is not None) as stopper:
        try:
            async with shown(run, console):
                report = await run.wait()
                return report, stopper.signal_number if report.state in ("drained", "suspended") else 0
        except RunCancelled:
            return None, stopper.signal_number or signal.SIGINT
        finally:
            await stopper.settled()


def had_finished(report: RunReport) -> bool:
    """Tell whether an earlier run had done all there was to do; that has been told then, and is all."""
    return report.statistics.checkpoints is not None and report.statistics.checkpoints.already_done


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what `error` was raised from; a FlowError has told that already."""
    while not isinstance(error, FlowError) and error.__cause__ is not None:
        error = error.__cause__
        yield error


def explain(error: BaseException, console: Console, show_traceback: bool | None) -> None:
    """Say on `console` what went wrong, where, and how to see more; None: there is no option to see more."""
    if isinstance(error, ConfigurationError):
        console.print(str(error), markup=False, highlight=False)
        return

    def say(text: str) -> None:
        console.print(printable(text, keep="\n\t"), markup=False, highlight=False)

    if show_traceback:
        say("".join(traceback.format_exception(error)))
    console.print("[bold red]error[/]: ", end="")
    say(_told(error))
    for note in getattr(error, "__notes__", ()):
        say(f"  {note}")
    for one in error.exceptions[:MOST_TOLD] if isinstance(error, BaseExceptionGroup) else ():
        say(f"  - {_told(one)}")
    for cause in _causes(error):
        say(f"  because of {_told(cause)}")
    if show_traceback is False and not isinstance(error, FlowError):
        console.print("  --traceback shows where in the code", highlight=False)
    if exit_code(error) == BUG:
        console.print("  this is a mistake of streamflow, not yours: please report it, with the traceback")


def _told(error: BaseException) -> str:
    """Return the kind of an error and what it says, in the words of the system without its numbers."""
    if isinstance(error, FlowError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None and error.errno is not None:
        kind = "" if error.strerror == os.strerror(error.errno) else f"{type(error).__name__}: "
        return f"{kind}{error.strerror}: {error.filename!r}"
    return f"{type(error).__name__}: {message_of(error)}"


def print_error(error: Exception, console: Console) -> int:
    """Print as JSON what has kept a command from running, each mistake of a file apart; return the exit code."""
    problems = error.problems if isinstance(error, ConfigurationError) else ()
    found = {"state": "failed", "error": _told(error), "problems": [problem.as_dict() for problem in problems]}
    return print_json(found, console)


def print_report(report: RunReport, console: Console) -> int:
    """Print the report as JSON on standard output; return the exit code."""
    return print_json(report.as_dict(), console)


def print_json(found: dict[str, Any], console: Console) -> int:
    """Print one JSON object on standard output; return the exit code."""
    try:
        print(json.dumps(found, default=str), flush=True)
    except BrokenPipeError:
        close_stdout()
    except OSError as error:
        close_stdout()
        explain(error, console, False)
        return exit_code(error)
    return 0
