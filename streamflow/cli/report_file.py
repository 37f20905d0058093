"""`--report FILE`: what a run leaves behind, in the form that the suffix names."""

from __future__ import annotations

import json
import os
import time

from streamflow.files.local import LOCAL
from streamflow.files.rooted import OutsideOfRoots
from streamflow.files.target import Target
from streamflow.flows.runnable import Runnable
from streamflow.metrics.report import RunReport
from streamflow.model.errors import FlowError
from streamflow.model.events import Event, RunEnded

SUFFIXES = (".html", ".json", ".txt")


class LastReport:
    """Keep the report that a run ends with, however it has ended."""

    def __init__(self) -> None:
        self.report: RunReport | None = None

    def note(self, event: Event) -> None:
        """Take an event of the run: its last one carries the report."""
        if isinstance(event, RunEnded):
            self.report = event.report


class ReportFile:
    """Write the report of one run to a file, whole or not at all."""

    def __init__(self, path: str, runnable: Runnable, title: str) -> None:
        self.path = path
        self._suffix = os.path.splitext(path)[1].lower()
        self._title = f"{title}, {time.strftime('%Y-%m-%d %H:%M')}"
        if self._suffix not in SUFFIXES:
            raise FlowError(f"--report {path}: the suffix says which form it gets: {', '.join(SUFFIXES)}")
        _refuse(path, runnable)

    def write(self, report: RunReport) -> None:
        """Write it. Raises OSError."""
        content = _rendered(report, self._suffix, self._title).encode("utf-8", "backslashreplace")
        target = Target.open(LOCAL, self.path, complete=True)
        try:
            target.file.write(memoryview(content))
            target.publish()
        finally:
            target.discard()


def _rendered(report: RunReport, suffix: str, title: str) -> str:
    if suffix == ".html":
        return report.to_html(title)
    return f"{report}\n" if suffix == ".txt" else json.dumps(report.as_dict(), default=str) + "\n"


def _refuse(path: str, runnable: Runnable) -> None:
    """Raise FlowError for what would only fail when the run is over, or would overwrite what it is about."""
    where = os.path.dirname(os.path.abspath(path))
    if LOCAL.kind(where) != "directory":
        raise FlowError(f"--report {path}: there is no directory {where!r} to write to: make it first")
    if LOCAL.kind(path) == "directory":
        raise FlowError(f"--report {path}: this is a directory: name a file in it")
    try:
        ours = runnable.plan.uses(os.path.abspath(path))
    except OutsideOfRoots as error:
        raise FlowError(f"--report {path}: {error.strerror}") from None
    if ours:
        raise FlowError(f"--report {path}: the flow reads or writes this very file: give the report another name")
