"""What is said about checkpoints, in a file or on a command line."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from typing import Any

from streamflow.configuration.values import Converter, Report
from streamflow.engine.durable import LEAST_EVERY, Resume, check_resumable
from streamflow.engine.plan import Plan
from streamflow.model.arguments import seconds_of
from streamflow.model.errors import FlowError


@dataclass(frozen=True)
class Checkpoints:
    """Say in which file a run keeps its checkpoints, how many seconds apart, and whether it goes on from the last."""

    path: str | os.PathLike[str]
    _: KW_ONLY
    every: float = 1.0
    resume: Resume = "auto"

    def __post_init__(self) -> None:
        path = os.fspath(self.path)
        if not path or path == "-" or "://" in path:
            raise FlowError(f"checkpoint: the path {path!r} is no file; as in 'events.ckpt'")
        if seconds_of("checkpoint: every", self.every) < LEAST_EVERY:
            raise FlowError(f"checkpoint: every {self.every:g} s is too often; give at least {LEAST_EVERY:g} seconds")

    @property
    def options(self) -> dict[str, Any]:
        """Return the options of a run."""
        return {"checkpoint": self.path, "every": self.every, "resume": self.resume}

    def check(self, plan: Plan, report: Report) -> None:
        """Report what keeps a flow from being resumed from here."""
        try:
            check_resumable(plan, os.fspath(self.path))
        except FlowError as error:
            report("SF110", str(error), ("checkpoint",), "")


def read_checkpoints(value: Any, converter: Converter, report: Report) -> Checkpoints | None:
    """Return what the key `checkpoint` of a document says, a path or a table, or None; mistakes are reported."""
    if isinstance(value, dict):
        built = converter.build(Checkpoints, value, ("checkpoint",), "'checkpoint'")
        return built if isinstance(built, Checkpoints) else None
    if isinstance(value, str):
        try:
            return Checkpoints(converter.path(value) if value else value)
        except FlowError as error:
            report("SF106", str(error), ("checkpoint",), "")
    elif value is not None:
        report("SF105", "checkpoint: expected a path or a table", ("checkpoint",), 'as in "events.ckpt"')
    return None
