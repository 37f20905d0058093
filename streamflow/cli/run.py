"""`streamflow run`: a flow of the user's, or one put together on the command line."""

from __future__ import annotations

import dataclasses
import os
import shlex
from typing import TYPE_CHECKING, Any

from streamflow.cli.checkpoint_lines import in_the_end
from streamflow.cli.describing import Described, described, is_configuration
from streamflow.cli.exit_codes import USAGE, exit_code
from streamflow.cli.perform import explain, had_finished, perform, print_error, print_report
from streamflow.cli.report_file import LastReport, ReportFile
from streamflow.configuration.references import load
from streamflow.flows.flow import Flow, flow
from streamflow.flows.resolve import as_followed, as_sink, as_source, dead_letter
from streamflow.flows.rewiring import parts_of
from streamflow.flows.runnable import Runnable
from streamflow.metrics.report import RunReport
from streamflow.model.arguments import duration_of, memory_of
from streamflow.model.errors import FlowError
from streamflow.operators.callables import is_async
from streamflow.sinks.stdout import Stdout

if TYPE_CHECKING:
    from rich.console import Console

    from streamflow.configuration.checkpoints import Checkpoints


def run_flow(reference: str | None, steps: list[tuple[str, str]], options: dict[str, Any]) -> int:
    """Build the flow, run it, and return the exit code."""
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True)
    try:
        if options["follow"] and options["source"] is None:
            if reference is not None and is_configuration(reference):
                raise FlowError(
                    f"--follow belongs to a file of data; in {reference}, write follow = true in its source"
                )
            reference, options["source"] = None, reference  # a file that is followed needs no --from
        runnable, written = (
            _named(reference, options) if reference is not None else Described(_assembled(steps, options))
        )
        checkpoints = _checkpoints(written, options)
        if options["as_json"] and any(isinstance(part.what, Stdout) for part in parts_of(runnable)):
            raise FlowError("--json prints the report on standard output, where the items go: give --to FILE")
        if options["memory"] is not None:
            memory_of("--memory", options["memory"])
        if options["root"]:
            from streamflow.cli.rooting import require_inside, within  # late: few ask for it

            runnable = within(runnable, options["root"])
            require_inside(checkpoints.path if checkpoints is not None else None, options["root"])
        kept = _report_file(runnable, options, reference)
    except FlowError as error:
        explain(error, console, options["show_traceback"])
        if options["as_json"]:
            print_error(error, console)
        return exit_code(error) if reference is not None else USAGE
    last = LastReport()
    try:
        report, code = perform(
            runnable,
            console,
            show_traceback=options["show_traceback"],
            on_event=last.note,
            memory=options["memory"],
            tune_allocator=options["tune_allocator"],
            **(checkpoints.options if checkpoints is not None else {}),
        )
    finally:
        unkept = _keep(kept, last, console)
    code = code or unkept
    if options["as_json"]:  # also of a run that failed
        return (print_report(last.report, console) if last.report is not None else 0) or code
    if report is not None and not had_finished(report):
        console.print(str(report), markup=False, highlight=False)
        _hint(report, runnable, console)
        if promised := in_the_end(report.state, report.statistics):
            console.print(promised, markup=False, highlight=False)
    return code


def _checkpoints(written: Checkpoints | None, options: dict[str, Any]) -> Checkpoints | None:
    """Return what a file says of checkpoints, with what the options say put over it."""
    given = {name: options[name] for name in ("every", "resume") if options[name] is not None}
    if "every" in given:
        given["every"] = duration_of("--every", given["every"])
    if options["checkpoint"] is not None:
        from streamflow.configuration.checkpoints import Checkpoints  # late, as above

        return dataclasses.replace(written or Checkpoints(options["checkpoint"]), path=options["checkpoint"], **given)
    if written is None and given:
        raise FlowError(f"--{next(iter(given))} is about checkpoints: say where they are kept, with --checkpoint FILE")
    return dataclasses.replace(written, **given) if written is not None else None


def _hint(report: RunReport, runnable: Runnable, console: Console) -> None:
    """Say what to do about items that were set aside."""
    files = {stage.sink.file for stage in runnable.plan.stages if stage.letters and stage.sink is not None}
    for file in sorted(filter(None, files)) if report.failed else ():
        here = os.path.relpath(file)
        file = file if here.startswith(os.pardir) else here
        console.print(
            f"  what has failed, and why: streamflow dlq ls {shlex.quote(file)}", markup=False, highlight=False
        )


def _report_file(runnable: Runnable, options: dict[str, Any], reference: str | None) -> ReportFile | None:
    if options["report"] is None:
        return None
    return ReportFile(options["report"], runnable, f"streamflow run {reference or options['source']}")


def _keep(kept: ReportFile | None, last: LastReport, console: Console) -> int:
    """Write the report that was asked for, also of a run that failed; return the exit code of that."""
    try:
        if kept is not None and last.report is not None:
            kept.write(last.report)
            console.print(f"the report is in {kept.path}", markup=False, highlight=False)
    except OSError as error:
        explain(error, console, None)
        return exit_code(error)
    return 0


def _named(reference: str, options: dict[str, Any]) -> Described:
    """Return the flow that FLOW names; one without an end goes to --to, or to stdout."""
    if options["source"] is not None:
        raise FlowError("give either FLOW or --from, not both")
    if options["steps_given"]:
        raise FlowError(f"{options['steps_given']} belongs to --from; what {reference} does, it says itself")
    return described(reference, sink=options["sink"], allowed=options["env"])


def _assembled(steps: list[tuple[str, str]], options: dict[str, Any]) -> Runnable:
    if options["source"] is None:
        raise FlowError("there is nothing to run: give a FLOW, or --from with --map, --filter and --to")
    policy: Any = options["on_error"]
    if policy not in ("fail", "skip"):
        policy = dead_letter(policy)
    source = as_source(options["source"])
    if options["follow"]:
        source = as_followed(source, True)
    described: Flow[Any] = flow(_forgiving(source, policy))
    for word, reference in steps:
        described = _with(described, word, load(reference), policy, options["concurrency"])
    return described.to(_forgiving(as_sink("-" if options["sink"] is None else options["sink"]), policy))


def _forgiving(end: Any, policy: Any) -> Any:
    """Return the source or sink with the policy of the steps, if it can fail for a record."""
    return dataclasses.replace(end, on_error=policy) if hasattr(end, "on_error") else end


def _with(described: Flow[Any], word: str, function: Any, policy: Any, concurrency: int) -> Flow[Any]:
    if word == "flat-map":
        return described.flat_map(function, on_error=policy)
    at_once = concurrency if is_async(function) else 1
    method = described.map if word == "map" else described.filter
    return method(function, on_error=policy, concurrency=at_once)
