"""What a worker does with a share of items, wherever it lives: the one loop over the user's functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, MutableSequence, Sequence
from contextlib import ExitStack
from time import monotonic_ns, perf_counter
from typing import Any, Final

from streamflow.model.errors import FlowError
from streamflow.model.placement import Chain, Failure, Outcome, Step

#: What a cursor tells, by index: the item of the share that is at work, its step, and since when (`monotonic_ns`);
#: and what it is told: to begin no further item.
ITEM: Final = 0
STEP: Final = 1
SINCE: Final = 2
STOP: Final = 3
CURSOR: Final = 4
Cursor = MutableSequence[int] | memoryview


class Performer:
    """Run one `Chain` over shares, in one worker; its resources are open from `open` to `close`."""

    def __init__(self, chain: Chain, keep: Callable[[Any], Any] | None = None) -> None:
        self.chain = chain
        #: What a result becomes before the next item is begun.
        self._keep = keep
        self._resources = ExitStack()
        self._calls: list[Callable[..., Any]] = []
        self._proven = [False] * len(chain.steps)
        self.opened = False

    def open(self) -> None:
        """Enter the resources; what one raises is nobody's item's fault."""
        self.opened = True
        for step in self.chain.steps:
            self._calls.append(_bound(step, self._resources))

    def close(self) -> None:
        """Leave the resources."""
        self._resources.close()

    def perform(self, items: Sequence[Any], positions: Sequence[Any] | None, cursor: Cursor) -> Outcome:
        """Take each item through the steps; `cursor` always says which one is at work."""
        began = perf_counter()
        try:
            if not self.opened:
                self.open()
        except BaseException as error:
            return Outcome(kept=(), undone=range(len(items)), fatal=tamed(error, "resource="))
        outcome = Outcome(kept=(kept := []), dropped=[0] * len(self.chain.steps))
        values, timed = outcome.values, self.chain.timeout is not None
        for index in range(len(items)):
            if cursor[STOP]:
                outcome.undone = range(index, len(items))
                break
            if timed:
                cursor[SINCE] = monotonic_ns()  # before the item: who reads item, then time, blames no later item
            cursor[ITEM] = index
            place = positions[index] if positions is not None else None
            try:
                if self._passes(self._taken(items, index), place, cursor, outcome, values):
                    kept.append(index)
            except BaseException as error:
                step = cursor[STEP]
                outcome.failures.append(Failure(index, step, tamed(error, self.chain.steps[step].label)))
                if not self.chain.steps[step].goes_on or isinstance(error, FlowError):
                    outcome.undone = range(index + 1, len(items))
                    break
        if len(kept) == len(items):
            outcome.kept = None
        outcome.seconds = perf_counter() - began
        return outcome

    def _taken(self, items: Sequence[Any], index: int) -> Any:
        """Return the item at `index`, and hold on to it no longer if the items are the worker's own."""
        item = items[index]
        if self._keep is not None and isinstance(items, list):
            items[index] = None  # when its functions have done with it, its memory may take the result
        return item

    def _passes(self, item: Any, place: Any, cursor: Cursor, outcome: Outcome, values: list[Any]) -> bool:
        """Take one item through; tell whether it came out, as the last of `values`."""
        for number, step in enumerate(self.chain.steps):
            cursor[STEP] = number
            call = self._calls[number]
            result = call(item, place) if step.with_position else call(item)
            if not self._proven[number]:
                self._prove(number, result)
            if step.kind == "map":
                item = result
            elif step.kind == "filter" and not result:
                outcome.dropped[number] += 1  # type: ignore[index]  # ours is a list
                return False
        values.append(item if self._keep is None else self._keep(item))
        return True

    def _prove(self, number: int, result: Any) -> None:
        """Refuse a plain function whose first result is awaitable."""
        if inspect.isawaitable(result) or inspect.isasyncgen(result):
            if inspect.iscoroutine(result):
                result.close()
            raise FlowError(
                f"{self.chain.steps[number].label}: the plain function returned "
                f"{'an awaitable' if inspect.isawaitable(result) else 'an async generator'}, which nobody would await "
                f"in a worker: give a function that returns its result, or leave out on= and make it `async def`"
            )
        self._proven[number] = True


def _bound(step: Step, resources: ExitStack) -> Callable[..., Any]:
    """Return the function as it is called with the item, and perhaps the position: with its resource filled in."""
    if step.resource is None:
        return step.function
    manager = step.resource()
    if not hasattr(manager, "__enter__"):
        if inspect.iscoroutine(manager):
            manager.close()
        hint = (
            "an async one cannot be entered in a worker" if hasattr(manager, "__aenter__") else "wrap it with closing"
        )
        raise FlowError(f"{step.label}: resource= gave {type(manager).__name__}, which is no context manager; {hint}")
    resource = resources.enter_context(manager)
    function = step.function
    return lambda item, *position: function(item, resource, *position)


def tamed(error: BaseException, label: str) -> BaseException:
    """Return what stands for an error that would end the worker: it is a failure like any other."""
    if isinstance(error, Exception):
        return error
    if type(error).__name__ == "CancelledError":
        return error  # asyncio's own, which the engine has words for
    said = f"({error})" if str(error) else ""
    return RuntimeError(f"{label}: the function raised {type(error).__name__}{said}, which does not end its worker")
