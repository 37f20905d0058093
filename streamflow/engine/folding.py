"""What a worker does with a share of keys: it takes the items of each, in their order, and gives the state back."""

from __future__ import annotations

from asyncio import CancelledError
from typing import Any

from streamflow.executors.errors import pickled_error, unpickled_error
from streamflow.executors.performing import tamed
from streamflow.model.errors import FlowError
from streamflow.operators.keyed_steps import Entry, KeyedStep, refuse_awaitable

#: What a worker is given of one key: what is known of it, its items, and the moment of each or one for all.
Given = tuple[Entry, list[Any], list[float] | float]
#: What it gives back: what is known now, at which of the items the key took its place in the order of keys (None: it
#: has kept it), and a result for each item up to the one at which it stopped.
Folded = tuple[Entry, int | None, list[Any]]


class Failed:
    """Be, among results, the error of an item; it crosses as errors do."""

    __slots__ = ("attempts", "error", "label")

    def __init__(self, error: BaseException, label: str) -> None:
        self.error = error
        self.label = label
        self.attempts = 1

    def __reduce__(self) -> Any:
        """Pack the error so that it can be read wherever that is possible."""
        return _unpacked, (pickled_error(self.error, self.label), self.label)


def _unpacked(error: bytes, label: str) -> Failed:
    return Failed(unpickled_error(error), label)


class Fold:
    """Take shares of keys through one step. With `goes_on`, the items of a key after one that failed are taken too."""

    def __init__(self, step: KeyedStep, label: str, *, goes_on: bool) -> None:
        self.step = step
        self.label = label
        self.goes_on = goes_on
        self.__name__ = label

    def __call__(self, share: list[Given]) -> list[Folded]:
        """Take each key of a share; a FlowError ends the run."""
        return [self.fold(*given) for given in share]

    def fold(self, entry: Entry, items: list[Any], moments: list[float] | float) -> Folded:
        """Take the items of one key."""
        take, timed = self.step.take, self.step.ttl is not None
        since: int | None = None
        results: list[Any] = []
        for at, item in enumerate(items):
            try:
                after, result = take(entry, item, moments[at] if isinstance(moments, list) else moments)
                refuse_awaitable(result, self.label)
            except FlowError:
                raise
            except (Exception, CancelledError) as error:
                results.append(Failed(tamed(error, self.label), self.label))
                if not self.goes_on:
                    break
            else:
                if after is not None and (timed or entry is None):
                    since = at
                entry = after
                results.append(result)
        return entry, since, results
