"""`--root`: a flow that reads and writes inside of some folders only."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from streamflow.files.local import LOCAL
from streamflow.files.rooted import OutsideOfRoots, RootedFiles
from streamflow.flows.rewiring import parts_of, rewired, sets_aside, with_policy
from streamflow.flows.runnable import Runnable
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Sink, Source
from streamflow.model.policies import DeadLetters
from streamflow.sinks.rolling import Rolling


def within(flow: Runnable, roots: Sequence[str]) -> Runnable:
    """Return the flow with every file of its sources, sinks and dead letters kept inside of `roots`.

    FlowError for a path that leads out of them. What a function of the user's opens itself is not seen here.
    """
    files = RootedFiles(LOCAL, roots)
    change = lambda what: _inside(what, files)  # noqa: E731
    try:
        changed = rewired(flow, change)  # where a source that follows its file looks at it
        for part in parts_of(changed):
            what: Any = part.what
            if isinstance(what, (Source, Sink)):
                _check(what, files)
            if sets_aside(what):
                _check(what.errors.on_error.sink, files)
    except OutsideOfRoots as error:
        raise FlowError(f"{error.filename}: {error.strerror}") from None
    return changed


def require_inside(path: str | os.PathLike[str] | None, roots: Sequence[str]) -> None:
    """Raise FlowError for a file of checkpoints that is outside of `roots`."""
    try:
        if path is not None:
            RootedFiles(LOCAL, roots).inside(os.fspath(path))
    except OutsideOfRoots as error:
        raise FlowError(f"{error.filename}: {error.strerror}") from None


def _inside(what: Any, files: RootedFiles) -> Any:
    if sets_aside(what):
        what = with_policy(what, DeadLetters(_with_files(what.errors.on_error.sink, files)))
    return _with_files(what, files)


def _with_files(what: Any, files: RootedFiles) -> Any:
    if isinstance(what, Rolling):
        return dataclasses.replace(what, parts=dataclasses.replace(what.part, files=files))
    if dataclasses.is_dataclass(what) and any(field.name == "files" for field in dataclasses.fields(what)):
        return dataclasses.replace(what, files=files)  # type: ignore[type-var]
    return what


def _check(what: Any, files: RootedFiles) -> None:
    """Look at the paths that are known before anything is opened; what a pattern finds is looked at when it is."""
    paths = getattr(what, "paths", None) or [getattr(what, "file", None)]
    for path in paths:
        if path is not None:
            files.inside(path)
