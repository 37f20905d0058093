"""`streamflow demo`: a million lines, from nothing to a report."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from streamflow.cli.access_log import write_access_log
from streamflow.cli.demo_flow import access_log_flow
from streamflow.cli.exit_codes import FAILED, USAGE
from streamflow.cli.perform import explain, had_finished, perform, print_json
from streamflow.metrics.report import RunReport
from streamflow.model.errors import FlowError

if TYPE_CHECKING:
    from rich.console import Console

    from streamflow.cli.demo_proof import Proof


#: Where the demo keeps its checkpoints, and how many seconds they are apart.
CHECKPOINTS, EVERY = "demo.ckpt", 0.5


def run_demo(lines: int, folder: Path, seed: int, resume: str, as_json: bool) -> int:
    """Write the log, run the flow, show plan and report; return the exit code."""
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _write(folder / "access.log", lines, seed, console):
            resume = "never"  # what is there was made of another log
    except (FlowError, OSError) as error:
        explain(error, console, None)
        return USAGE
    except KeyboardInterrupt:
        console.print("stopped while the log was being written: nothing is left of it; the same command begins anew")
        return 128 + signal.SIGINT
    flow = access_log_flow(folder)
    if not as_json:
        console.print("\n[bold]The plan[/] (streamflow/cli/demo_flow.py, flow.explain())")
        console.print(flow.explain(), markup=False, highlight=False)
        console.print()
    report, code = perform(flow, console, checkpoint=folder / CHECKPOINTS, every=EVERY, resume=resume)
    if report is None:
        return code
    try:
        proof = _proof(report, folder, console)
    except FlowError as error:
        explain(error, console, None)
        return USAGE
    if as_json:
        plain = report.as_dict() | ({"proof": proof._asdict()} if proof is not None else {})
        code = print_json(plain, console) or code
    elif not had_finished(report):
        _show(report, folder, console)
    if proof is not None:
        begun = "what it wrote" if had_finished(report) else f"\nresumed at {_resumed_at(report):,}"
        console.print(f"{begun}: [bold]{proof}[/]", highlight=False)
    return code if proof is None or proof.holds else FAILED


def _proof(report: RunReport, folder: Path, console: Console) -> Proof | None:
    """Return what a comparison shows of an output that several runs have written, once it is whole."""
    found = report.statistics.checkpoints
    if found is None or found.resumed_from is None or report.state != "finished":
        return None
    from streamflow.cli.demo_proof import proved

    with console.status("comparing what is there with what a plain loop makes of the log"):
        return proved(folder)


def _resumed_at(report: RunReport) -> int:
    found = report.statistics.checkpoints
    return found.resumed_at if found is not None else 0


def _write(path: Path, lines: int, seed: int, console: Console) -> bool:
    """Write the log, unless it is there; tell whether it was written."""
    with console.status(f"writing {path}") as status:
        tell = lambda written: status.update(f"writing {path}: {written:,} of {lines:,} lines")  # noqa: E731
        written = write_access_log(path, lines, seed, tell)
        if not written:
            console.print(f"{path} is there already", highlight=False)
        elif not console.is_terminal:
            console.print(f"wrote {path}, {lines:,} lines", highlight=False)
    return written


def _show(report: RunReport, folder: Path, console: Console) -> None:
    console.print("[bold]The report[/] (print(report))")
    console.print(str(report), markup=False, highlight=False)
    if report.state == "suspended":
        return
    console.print(f"\n{balance(report)}", highlight=False)
    command = _command()
    following = {
        f"head -2 {folder}/enriched.jsonl": "what came out",
        f"head -1 {folder}/bad.jsonl": "one that failed: the line, where, why",
        f"{command} demo --resume never --dir {folder}": "then Ctrl-C halfway, and without --resume: it goes on",
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
