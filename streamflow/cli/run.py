"""`streamflow run`: a flow of the user's, or one put together on the command line."""

from __future__ import annotations

import dataclasses
import difflib
import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamflow.cli.perform import USAGE, explain, perform, print_report
from streamflow.flows.flow import Flow, flow
from streamflow.flows.resolve import as_sink, as_source, dead_letter
from streamflow.flows.runnable import Runnable
from streamflow.model.errors import FlowError
from streamflow.operators.callables import is_async

if TYPE_CHECKING:
    pass


def run_flow(reference: str | None, steps: list[tuple[str, str]], options: dict[str, Any]) -> int:
    """Build the flow, run it, and return the exit code."""
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True)
    try:
        runnable = _named(reference, options) if reference is not None else _assembled(steps, options)
    except FlowError as error:
        explain(error, console, options["show_traceback"])
        return USAGE
    report, code = perform(runnable, console, show_traceback=options["show_traceback"])
    if report is None:
        return code
    if options["as_json"]:
        return print_report(report, console) or code
    console.print(str(report), markup=False, highlight=False)
    return code


def _named(reference: str, options: dict[str, Any]) -> Runnable:
    """Return the flow that `module:name` names; one without an end goes to --to, or to stdout."""
    if options["source"] is not None:
        raise FlowError("give either MODULE:FLOW or --from, not both")
    if options["steps_given"]:
        raise FlowError(f"{options['steps_given']} belongs to --from; what {reference} does, its own code says")
    found = load(reference)
    if callable(found) and not isinstance(found, (Flow, Runnable)):
        if is_async(found):
            raise FlowError(f"{reference} is async: what returns a flow here is a plain function")
        found = _users(found, f"{reference}()")
    if isinstance(found, Runnable):
        if options["sink"] is not None:
            raise FlowError(f"{reference} has an end already; leave out --to")
        return found
    if isinstance(found, Flow):
        return found.to("-" if options["sink"] is None else options["sink"])
    raise FlowError(f"{reference} is {type(found).__name__}; expected a flow, or a function that returns one")


def _assembled(steps: list[tuple[str, str]], options: dict[str, Any]) -> Runnable:
    if options["source"] is None:
        raise FlowError("there is nothing to run: give MODULE:FLOW, or --from with --map, --filter and --to")
    policy: Any = options["on_error"]
    if policy not in ("fail", "skip"):
        policy = dead_letter(policy)
    described: Flow[Any] = flow(_forgiving(as_source(options["source"]), policy))
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


def load(reference: str) -> Any:
    """Return what `module:name` names, looking in the current folder first; FlowError says what is missing."""
    module_name, colon, name = reference.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module_name.split("."), *name.split(".")]):
        raise FlowError(f"{reference!r}: expected MODULE:NAME, as in steps:normalise")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = _users(lambda: import_module(module_name), f"import {module_name}")
    except ModuleNotFoundError as error:
        if error.name is None or module_name.split(".")[0] != error.name.split(".")[0]:
            raise FlowError(f"{module_name}: it imports {error.name!r}, which is not installed") from error
        raise FlowError(
            f"{reference!r}: there is no module {module_name!r} here or on the path; "
            f"is {module_name}.py in this folder?"
        ) from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise FlowError(f"{reference!r}: {module_name} has no {part!r}{hint}")
        found = getattr(found, part)
    return found


def _users(call: Callable[[], Any], what: str) -> Any:
    """Return `call()`; FlowError says what the user's code raised, and on which of its lines."""
    try:
        return call()
    except (ModuleNotFoundError, FlowError):
        raise
    except Exception as error:
        lines = [f"{frame.filename}, line {frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        where = [line for line in lines if not line.startswith(("<frozen", os.path.dirname(__file__)))]
        raise FlowError(f"{what}: {type(error).__name__}: {error}" + f" ({where[-1]})" * bool(where)) from error
