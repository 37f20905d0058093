"""`scan`, `reduce`, `aggregate` and `map_with_state` on keys where they are a stage of their own.

Their state lies on the disk, or their functions run elsewhere: either way somebody must wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Executor, Operator, StatePlace
from streamflow.model.policies import ErrorPolicy, Retry
from streamflow.operators.keyed import KeyedFold, KeyedScan, MapWithState
from streamflow.operators.keyed_steps import FoldStep, KeyedStep, ScanStep, StateStep
from streamflow.operators.keyed_store import InMemory

#: What it may do.
KeyedInner = KeyedScan | KeyedFold | MapWithState


@dataclass(frozen=True, eq=False)
class KeyedApart(Operator):
    """Do what `inner` does, with state in `store` and its functions in the workers of `on`, None for the event loop.

    `timeout` is in seconds per attempt.
    """

    inner: KeyedInner
    store: StatePlace
    on: Executor | None = None
    retry: Retry | None = None
    timeout: float | None = None

    @property
    def name(self) -> str | None:  # type: ignore[override]  # it is the inner one's
        """Return the user's name."""
        return self.inner.name

    @property
    def errors(self) -> ErrorPolicy:  # type: ignore[override]
        """Return what becomes of items that fail."""
        return self.inner.errors

    @property
    def label(self) -> str:
        """Return what it would be called elsewhere too."""
        return self.inner.label

    @property
    def keeps(self) -> str:
        """Return what it would keep elsewhere too: a run may go on in another place."""
        return self.inner.keeps

    @property
    def key(self) -> Callable[[Any], Any]:
        """Return the function of the key."""
        return self.inner.key

    @property
    def folds(self) -> bool:
        """Tell whether results are told at the end only."""
        return isinstance(self.inner, KeyedFold)

    @property
    def multiplies(self) -> bool:
        """Tell whether an item may vanish here."""
        return self.folds or self.errors.drops

    @property
    def repeatable(self) -> bool:
        """Tell whether no item may vanish because it took too long."""
        return not (self.errors.drops and self.timeout is not None)

    @property
    def why(self) -> str:
        """Return why it is a stage of its own."""
        if self.on is not None:
            return f"its keys are worked on by {self.on.label}"
        return f"its state is in {self.store.label}"

    def where_timed(self) -> KeyedApart:
        """Return it as it is where items have an event time."""
        inner = self.inner.where_timed()
        assert isinstance(inner, MapWithState)
        return replace(self, inner=inner)

    def step(self) -> KeyedStep:
        """Return what is done for an item."""
        inner = self.inner
        if isinstance(inner, KeyedScan):
            return ScanStep(inner.call, inner.initial)
        if isinstance(inner, KeyedFold):
            return FoldStep(inner.recipe)
        return StateStep(inner.call, inner.initial, inner.ttl, inner.label)


def keyed_operator(
    inner: KeyedInner,
    on: Executor | None,
    store: StatePlace | None,
    *,
    retry: Retry | None = None,
    timeout: float | None = None,
) -> Operator:
    """Return the operator that these words describe; FlowError for what its place cannot do."""
    if on is None:
        for name, given in (("retry", retry), ("timeout", timeout)):
            if given is not None:
                raise FlowError(f"{inner.label}: {name}= is for functions that run elsewhere: give on=sf.processes(n)")
        return inner if store is None else KeyedApart(inner, store)
    if timeout is not None and not on.interrupts:
        raise FlowError(
            f"{inner.label}, timeout={timeout:g}, on={on.label}: a call cannot be given up there; "
            f"use on=sf.processes(n), whose worker is killed"
        )
    return KeyedApart(inner, store or InMemory(), on, retry, timeout)
