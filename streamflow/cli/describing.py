"""The FLOW that a command is given: a configuration file, a file of Python, or `module:name`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from streamflow.configuration.references import is_reference
from streamflow.flows.runnable import Runnable
from streamflow.model.errors import FlowError
from streamflow.sources.registry import SOURCES

if TYPE_CHECKING:
    from streamflow.configuration.checkpoints import Checkpoints


class Described(NamedTuple):
    """Hold a flow, and what a file says of its checkpoints."""

    runnable: Runnable
    checkpoints: Checkpoints | None = None


def is_configuration(reference: str) -> bool:
    """Tell whether `reference` is the path of a configuration file."""
    return reference.endswith(".toml")


def described_by(reference: str, *, allowed: Collection[str] = ()) -> Runnable:
    """Return the flow, as `described` does, for what is no run of it."""
    return described(reference, allowed=allowed).runnable


def described(reference: str, *, sink: str | None = None, allowed: Collection[str] = ()) -> Described:
    """Return the flow; raise FlowError (of a file, ConfigurationError) for what is wrong with it.

    `sink` takes the place of a file's sink, and is where Python's flow goes that has none. `allowed` names
    variables of the environment that a file may use.
    """
    if not is_configuration(reference):
        _refuse_data(reference)
        from streamflow.configuration.named_flow import named_flow

        return Described(named_flow(reference, sink))
    refuse_tests(reference)
    from streamflow.configuration.flow_file import FlowFile
    from streamflow.flows.resolve import as_sink

    file = FlowFile(reference, allowed=allowed, sink=None if sink is None else as_sink(sink))
    return Described(file.runnable, file.checkpoints)


def refuse_tests(path: str) -> None:
    """Raise FlowError for a file of tests, which describes no flow of its own."""
    from streamflow.configuration.case_file import ENDING

    if path.endswith(ENDING):
        raise FlowError(f"{path} is a file of tests: streamflow test {shlex.quote(path)}")


def _refuse_data(reference: str) -> None:
    """Raise FlowError for what can be no flow: data, a folder, a file of another kind."""
    path = reference.partition(":")[0]
    if path.endswith(".py") or is_reference(reference):
        return
    if os.path.isdir(reference):
        raise FlowError(f"{reference!r} is a folder: a flow is a file .toml or .py, or module:name")
    if _is_data(reference):
        raise FlowError(f"{reference!r} is no flow but data: streamflow run --from {shlex.quote(reference)}")
    raise FlowError(f"{reference!r}: a flow is a file .toml or .py, or module:name, as in steps:flow")


def _is_data(path: str) -> bool:
    try:
        return bool(SOURCES.name_of(path))
    except FlowError:
        return False
