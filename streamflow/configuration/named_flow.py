"""A flow that Python code describes, under a name."""

from __future__ import annotations

import os
import sys
from typing import Any

from streamflow.configuration.references import calling, load
from streamflow.flows.flow import Flow
from streamflow.flows.runnable import Runnable
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Sink
from streamflow.operators.callables import is_async


def named_flow(reference: str, sink: Sink[Any] | str | None = None) -> Runnable:
    """Return the flow at `module:name`, or `file.py:name` (`flow`, if no name is given), which may be a function.

    One without an end goes to `sink`, or to standard output. FlowError says what is wrong.
    """
    path, _, name = reference.partition(":")
    if path.endswith(".py"):
        if not os.path.isfile(path):
            raise FlowError(f"{reference!r}: there is no file {path!r}")
        found = _in_file(path, name or "flow")
    else:
        found = load(reference)
    return with_an_end(found, reference, sink)


def _in_file(path: str, name: str) -> Any:
    """Return what is called `name` in the file at `path`, which is imported as a module."""
    folder, file = os.path.split(path)
    module = file.removesuffix(".py")
    if not module.isidentifier():
        raise FlowError(f"{path!r} is imported, and {module!r} is no name for a module: rename it, with letters and _")
    loaded = sys.modules.get(module)
    known = getattr(loaded, "__file__", None)
    if loaded is not None and (known is None or os.path.realpath(known) != os.path.realpath(path)):
        raise FlowError(f"{path!r} has the name of another module, which is loaded already ({known}): rename it")
    return load(f"{module}:{name}", folder)


def with_an_end(found: Any, reference: str, sink: Sink[Any] | str | None = None) -> Runnable:
    """Return what `reference` has led to as something that runs: the flow itself, or what a function gives."""
    if callable(found) and not isinstance(found, (Flow, Runnable)):
        if is_async(found):
            raise FlowError(f"{reference} is async: what returns a flow here is a plain function")
        found = calling(found, f"{reference}()")
    if isinstance(found, Runnable):
        if sink is not None:
            raise FlowError(f"{reference} has an end already; leave out the sink")
        return found
    if isinstance(found, Flow):
        return found.to("-" if sink is None else sink)
    raise FlowError(f"{reference} is {type(found).__name__}; expected a flow, or a function that returns one")
