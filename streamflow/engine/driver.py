"""The synchronous driver: the same steppers under another pump, for a linear flow that never has to wait."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from time import perf_counter
from typing import Any

from streamflow.engine.expander import Expander
from streamflow.engine.failures import explain_failure
from streamflow.engine.plan import Plan, PlannedStage
from streamflow.engine.stages.source import READ_LIMIT, origin_of
from streamflow.engine.stepper import Stepper
from streamflow.engine.wiring import awaits, make_stepper
from streamflow.metrics.ledger import Ledger
from streamflow.model.interfaces import PullReader
from streamflow.model.policies import DeadLetters
from streamflow.operators.flat_map import FlatMap
from streamflow.operators.joining.lookup import JoinTable

#: Seconds of work before what there is gets handed out.
PROMPT = 0.001


def can_drive(plan: Plan) -> bool:
    """Tell whether `plan` is linear, purely synchronous and without a clock."""
    stages = plan.stages
    if [(edge.producer, edge.consumer) for edge in plan.edges] != [(i, i + 1) for i in range(len(stages) - 1)]:
        return False
    plain = all(edge.overflow == "block" and edge.output is None for edge in plan.edges)
    return plain and all(_synchronous(stage) for stage in stages[:-1])


def _synchronous(stage: PlannedStage) -> bool:
    if any(operator.runs_by_clock for operator in stage.fused):
        return False
    if any(isinstance(operator.errors.on_error, DeadLetters) for operator in stage.operators()):
        return False
    if any(isinstance(operator, JoinTable) for operator in stage.fused):
        return False  # its table is read first
    if stage.kind == "expand":
        return isinstance(stage.operator, FlatMap) and not awaits(stage.operator)
    return stage.kind in ("source", "fused")


class Driver:
    """Pull items through the stages of `plan` by hand, the last stage first: only what it lacks is made.

    `plan` ends in a sink that has a stage of its own; it is left out, and what would reach it is yielded instead.
    """

    def __init__(self, plan: Plan, reader: PullReader[Any], *, fuse: bool = True) -> None:
        self._reader = reader
        self._pairs = plan.tracked
        self.ledgers = [Ledger(stage.name, stage.kind, stage.labels) for stage in plan.stages[:-1]]
        self._steppers: list[Stepper | Expander] = [
            Expander(stage.name, stage.operator, ledger, pairs=plan.tracked)
            if isinstance(stage.operator, FlatMap)
            else make_stepper(stage, None, ledger, plan, fuse)
            for stage, ledger in zip(plan.stages[:-1], self.ledgers, strict=True)
        ]
        self._ended = [False] * len(self.ledgers)
        self._error: Exception | None = None

    def items(self) -> Iterator[Any]:
        """Yield every item that comes out of the last stage; closing the iterator closes the source."""
        try:
            last = len(self._steppers) - 1
            while (batch := self._next(last)) is not None:
                yield from [item for item, _ in batch] if self._pairs else batch
        finally:
            for stepper in self._steppers:
                stepper.close()
            self._reader.release()

    def _next(self, at: int) -> list[Any] | None:
        """Return some of what comes out of stage `at`, or None at its end."""
        stepper = self._steppers[at]
        while True:
            if stepper.out:
                return stepper.take().items
            if self._error is not None:
                raise self._error
            if not stepper.hungry:
                self._step(stepper)
            elif self._ended[at]:
                return None
            elif stepper.finished or not self._feed(at):
                self._ended[at] = True
                stepper.flush()

    def _step(self, stepper: Stepper | Expander) -> None:
        try:
            stepper.step(perf_counter() + PROMPT)
        except Exception as error:
            # What came out before the item that failed is handed out first.
            self._error = error

    def _feed(self, at: int) -> bool:
        if at:
            batch = self._next(at - 1)
            if batch is not None:
                self._steppers[at].feed(batch, None)
            return batch is not None
        stepper = self._steppers[0]
        countdown = getattr(stepper, "countdown", None)
        start = self._reader.position()
        try:
            pulled = self._reader.pull(READ_LIMIT if countdown is None else max(1, min(READ_LIMIT, countdown.left)))
        except Exception as error:
            ledger = self.ledgers[0]
            explain_failure(error, ledger.name, ledger.operators[0], None, self._reader.position())
            raise
        if pulled is not None:
            stepper.feed(pulled, origin_of(pulled, start))
        return pulled is not None


def open_now(opening: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine that never waits returns."""
    try:
        opening.send(None)
    except StopIteration as done:
        return done.value
    opening.close()
    return None
