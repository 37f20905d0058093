"""`streamflow demo`: a million lines, from nothing to a report."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from streamflow.cli.access_log import write_access_log
from streamflow.cli.demo_flow import access_log_flow
from streamflow.cli.exit_codes import USAGE
from streamflow.cli.perform import explain, perform, print_report
from streamflow.metrics.report import RunReport
from streamflow.model.errors import FlowError

if TYPE_CHECKING:
    from rich.console import Console


def run_demo(lines: int, folder: Path, seed: int, as_json: bool) -> int:
    """Write the log, run the flow, show plan and report; return the exit code."""
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "access.log", lines, seed, console)
    except (FlowError, OSError) as error:
        explain(error, console, None)
        return USAGE
    flow = access_log_flow(folder)
    if not as_json:
        console.print("\n[bold]The plan[/] (streamflow/cli/demo_flow.py, flow.explain())")
        console.print(flow.explain(), markup=False, highlight=False)
        console.print()
    report, code = perform(flow, console)
    if report is None:
        return code
    if as_json:
        return print_report(report, console) or code
    _show(report, folder, console)
    return code


def _write(path: Path, lines: int, seed: int, console: Console) -> None:
    with console.status(f"writing {path}") as status:
        tell = lambda written: status.update(f"writing {path}: {written:,} of {lines:,} lines")  # noqa: E731
        if not write_access_log(path, lines, seed, tell):
            console.print(f"{path} is there already", highlight=False)
        elif not console.is_terminal:
            console.print(f"wrote {path}, {lines:,} lines", highlight=False)


def _show(report: RunReport, folder: Path, console: Console) -> None:
    console.print("[bold]The report[/] (print(report))")
    console.print(str(report), markup=False, highlight=False)
    console.print(f"\n{balance(report)}", highlight=False)
    command = _command()
    following = {
        f"head -2 {folder}/enriched.jsonl": "what came out",
        f"head -1 {folder}/bad.jsonl": "one that failed: the line, where, why",
        f"{command} demo --lines 3000000 --dir {folder}": "then Ctrl-C: it drains, and nothing read is lost",
        f"{command} run --from {folder}/enriched.jsonl --to - | head -3": "any file, any function",
        f"{command} run --help": "",
    }
    width = max(map(len, following))
    console.print("\n[bold]Next[/]")
    for line, why in following.items():
        console.print(f"  {line:{width}}  {why}".rstrip(), highlight=False, markup=False)


def _command() -> str:
    """Return what this command is called from here."""
    return "streamflow" if shutil.which("streamflow") else os.path.relpath(sys.argv[0])


def balance(report: RunReport) -> str:
    """Say that every line is accounted for, or which are not."""
    stages = [stage for stage in report.statistics.stages if not stage.name.startswith("dead letters")]
    written = stages[-1].passed
    dropped = sum(stage.dropped for stage in stages)
    failed = sum(stage.failed for stage in stages)
    missing = report.items_in - written - dropped - failed
    verdict = "0 lost" if missing == 0 else f"{missing:,} NOT ACCOUNTED FOR"
    return (
        f"{report.items_in:,} lines in = {written:,} written + {dropped:,} filtered out + {failed:,} dead letters; "
        f"{verdict}"
    )
