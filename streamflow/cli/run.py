"""`streamflow run`: a flow of the user's, or one put together on the command line."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from streamflow.cli.describing import described_by
from streamflow.cli.exit_codes import USAGE, exit_code
from streamflow.cli.perform import explain, perform, print_report
from streamflow.cli.report_file import ReportFile
from streamflow.cli.rooting import within
from streamflow.configuration.references import load
from streamflow.flows.flow import Flow, flow
from streamflow.flows.resolve import as_followed, as_sink, as_source, dead_letter
from streamflow.flows.runnable import Runnable
from streamflow.model.errors import FlowError
from streamflow.operators.callables import is_async

if TYPE_CHECKING:
    from rich.console import Console


def run_flow(reference: str | None, steps: list[tuple[str, str]], options: dict[str, Any]) -> int:
    """Build the flow, run it, and return the exit code."""
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True)
    if options["follow"] and options["source"] is None:
        reference, options["source"] = None, reference  # a file that is followed needs no --from
    try:
        runnable = _named(reference, options) if reference is not None else _assembled(steps, options)
        if options["root"]:
            runnable = within(runnable, options["root"])
        kept = _report_file(runnable, options, reference)
    except FlowError as error:
        explain(error, console, options["show_traceback"])
        return exit_code(error) if reference is not None else USAGE
    note = kept.note if kept is not None else None
    try:
        report, code = perform(runnable, console, show_traceback=options["show_traceback"], on_event=note)
    finally:
        unkept = _keep(kept, console)
    code = code or unkept
    if report is None:
        return code
    if options["as_json"]:
        return print_report(report, console) or code
    console.print(str(report), markup=False, highlight=False)
    return code


def _report_file(runnable: Runnable, options: dict[str, Any], reference: str | None) -> ReportFile | None:
    if options["report"] is None:
        return None
    return ReportFile(options["report"], runnable, f"streamflow run {reference or options['source']}")


def _keep(kept: ReportFile | None, console: Console) -> int:
    """Write the report that was asked for, also of a run that failed; return the exit code of that."""
    try:
        if kept is not None and kept.write():
            console.print(f"the report is in {kept.path}", markup=False, highlight=False)
    except OSError as error:
        explain(error, console, None)
        return exit_code(error)
    return 0


def _named(reference: str, options: dict[str, Any]) -> Runnable:
    """Return the flow that FLOW names; one without an end goes to --to, or to stdout."""
    if options["source"] is not None:
        raise FlowError("give either FLOW or --from, not both")
    if options["steps_given"]:
        raise FlowError(f"{options['steps_given']} belongs to --from; what {reference} does, it says itself")
    return described_by(reference, sink=options["sink"], allowed=options["env"])


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
