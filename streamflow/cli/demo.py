"""`streamflow demo`: a million lines, from nothing to a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from streamflow.cli.access_log import write_access_log
from streamflow.cli.demo_flow import access_log_flow
from streamflow.cli.perform import USAGE, explain, perform
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
        explain(error, console, False)
        return USAGE
    flow = access_log_flow(folder)
    if not as_json:
        console.print("\n[bold]The plan[/] (streamflow/cli/demo_flow.py, flow.explain())")
        console.print(flow.explain(), markup=False, highlight=False)
        console.print()
    report, code = perform(flow, console, total=lines + 1)
    if report is None:
        return code
    if as_json:
        print(json.dumps(report.as_dict(), default=str))
    else:
        _show(report, folder, console)
    return code


def _write(path: Path, lines: int, seed: int, console: Console) -> None:
    if not console.is_terminal:
        console.print(f"writing {lines:,} lines to {path}", highlight=False)
        write_access_log(path, lines, seed, lambda written: None)
        return
    with console.status(f"writing {lines:,} lines to {path}") as status:
        write_access_log(
            path, lines, seed, lambda written: status.update(f"writing {path}: {written:,} of {lines:,} lines")
        )


def _show(report: RunReport, folder: Path, console: Console) -> None:
    console.print("[bold]The report[/] (print(report))")
    console.print(str(report), markup=False, highlight=False)
    console.print(f"\n{balance(report)}", highlight=False)
    console.print(
        f"\n[bold]Next[/]\n"
        f"  head -2 {folder}/enriched.jsonl           what came out\n"
        f"  head -1 {folder}/bad.jsonl                one that failed: the line, where, why\n"
        f"  streamflow demo --lines 3000000           then Ctrl-C: it drains, and nothing read is lost\n"
        f"  streamflow run --from {folder}/enriched.jsonl --to - | head -3\n"
        f"  streamflow run --help",
        highlight=False,
    )


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
