"""`map`, `filter` and `tap` away from the event loop: on threads, in worker processes, by joblib."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Executor, Operator
from streamflow.model.placement import Kind, Step
from streamflow.model.policies import FAIL, ErrorPolicy, Retry
from streamflow.operators.callables import is_async, name_of


@dataclass(frozen=True, eq=False)
class PlacedApply(Operator):
    """Call a plain function on each item in the workers of `on`; `timeout` is in seconds per attempt.

    `resource` opens a context manager once in each worker, whose value is the function's second argument.
    """

    kind: Kind
    call: Callable[..., Any]
    on: Executor
    name: str | None = None
    errors: ErrorPolicy = FAIL
    with_position: bool = False
    ordered: bool = True
    retry: Retry | None = None
    timeout: float | None = None
    resource: Callable[[], Any] | None = None

    @property
    def label(self) -> str:
        """Return `kind(function)`, or the user's name."""
        return self.name or f"{self.kind}({name_of(self.call)})"

    @property
    def multiplies(self) -> bool:
        """Tell whether an item may vanish here."""
        return self.kind == "filter" or self.errors.drops

    @property
    def repeatable(self) -> bool:
        """Tell whether the order of the output is the input's, and nothing depends on time."""
        return (self.ordered or self.on.workers == 1) and not (self.errors.drops and self.timeout is not None)

    @property
    def step(self) -> Step:
        """Return what crosses to the workers."""
        # An item that may be tried again is not the end of the run yet.
        goes_on = self.errors.drops or self.retry is not None
        return Step(self.kind, self.call, self.label, self.resource, self.with_position, goes_on)

    def apart_from(self, before: PlacedApply) -> str:
        """Return why items must come back between `before` and this operator; nothing if they need not."""
        if self.on != before.on:
            return f"what comes before it {_runs(before, self)}"
        if self.ordered != before.ordered:
            return f"it is {_order(self)}, what comes before it is {_order(before)}"
        if self.timeout != before.timeout:
            return f"its timeout is {_limit(self)}, before it that is {_limit(before)}"
        # What is tried again begins at its first step: an operator with retries of its own must be that.
        return "" if self.retry is None else "it has retries of its own, which begin at the first step in a worker"


def _runs(before: PlacedApply, operator: PlacedApply) -> str:
    alike = before.on.label == operator.on.label
    return "has workers with other settings" if alike else f"runs on {before.on.label}"


def _order(operator: PlacedApply) -> str:
    return "ordered" if operator.ordered else "unordered"


def _limit(operator: PlacedApply) -> str:
    return "none" if operator.timeout is None else f"{operator.timeout:g} s"


def placed_operator(
    kind: Kind,
    call: Callable[..., Any],
    on: Executor,
    name: str | None,
    errors: ErrorPolicy,
    with_position: bool,
    *,
    ordered: bool,
    retry: Retry | None,
    timeout: float | None,
    resource: Callable[[], Any] | None,
) -> PlacedApply:
    """Make the operator; raise FlowError for what its place cannot do."""
    if is_async(call):
        raise FlowError(
            f"{kind}({name_of(call)}, on={on.label}): an async function runs on the event loop only; leave out on= "
            f"and give concurrency=, or give a plain function"
        )
    if timeout is not None and not on.interrupts:
        raise FlowError(
            f"{kind}({name_of(call)}, timeout={timeout:g}, on={on.label}): a call cannot be given up there; "
            f"use on=sf.processes(n), whose worker is killed"
        )
    return PlacedApply(kind, call, on, name, errors, with_position, ordered, retry, timeout, resource)
