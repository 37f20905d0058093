"""What one item makes of the state of its key, wherever that is done: a worker borrows the state and gives it back.

A state is None, or a tuple that begins with it. It crosses to workers, and so does the step itself.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Final

from streamflow.model.errors import FlowError
from streamflow.operators.firing import copied
from streamflow.operators.recipe import Recipe

#: What nobody need look at twice.
_PLAIN: Final = frozenset([int, float, str, bytes, bool, type(None), list, dict, tuple])
#: What is known of a key: nothing, or its value, and the moment at which it was touched if that matters.
Entry = tuple[Any, ...] | None


class KeyedStep(ABC):
    """Take the items of a key one by one."""

    #: Whether each item gives a result; else each key gives one at the end.
    gives: ClassVar[bool] = True
    #: Whether results are told together with their keys.
    names_keys: ClassVar[bool] = True
    #: How long a key is kept that is not touched, in seconds; None for ever.
    ttl: float | None = None

    @abstractmethod
    def take(self, entry: Entry, item: Any, now: float) -> tuple[Entry, Any]:
        """Return what is known after `item`, and its result; an error leaves `entry` as it was."""

    def value(self, entry: Any) -> Any:
        """Return what a key has come to at the end."""
        return entry


class ScanStep(KeyedStep):
    """Replace the value by that of `call(value, item)`, which is the result too."""

    def __init__(self, call: Callable[[Any, Any], Any], initial: Any) -> None:
        self.call, self.initial = call, initial

    def take(self, entry: Entry, item: Any, now: float) -> tuple[Entry, Any]:
        """Call the user's function."""
        value = self.call(copied(self.initial) if entry is None else entry[0], item)
        return (value,), value


class FoldStep(KeyedStep):
    """Fold items into the cell of the key."""

    gives = False

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def take(self, entry: Entry, item: Any, now: float) -> tuple[Entry, Any]:
        """Update the cell."""
        values = self.recipe.read(item, self.recipe.functions)
        if entry is None:
            return (self.recipe.begin(values),), None
        self.recipe.update(entry[0], values)
        return entry, None

    def value(self, entry: Any) -> Any:
        """Return what the cell says."""
        return self.recipe.value(entry)


class StateStep(KeyedStep):
    """Replace the state by the first of the two values of `call(state, item)`; the second is the result."""

    names_keys = False

    def __init__(self, call: Callable[[Any, Any], Any], initial: Any, ttl: float | None, label: str) -> None:
        self.call, self.initial, self.ttl, self.label = call, initial, ttl, label

    def take(self, entry: Entry, item: Any, now: float) -> tuple[Entry, Any]:
        """Call the user's function, with a state that is not too old."""
        if entry is not None and self.ttl is not None and entry[1] + self.ttl <= now:
            entry = None
        given = self.call(copied(self.initial) if entry is None else entry[0], item)
        if not isinstance(given, tuple) or len(given) != 2:
            refuse_awaitable(given, self.label)
            raise TypeError(f"{self.label}: expected (state, result) of the function, it gave {type(given).__name__}")
        state, result = given
        if state is None:
            return None, result
        return (state,) if self.ttl is None else (state, now), result


def refuse_awaitable(result: Any, label: str) -> None:
    """Raise FlowError if a plain function has returned what nobody would await."""
    if result.__class__ in _PLAIN or not inspect.isawaitable(result):
        return
    if inspect.iscoroutine(result):
        result.close()
    raise FlowError(
        f"{label}: the plain function returned an awaitable, which nobody would await; use .process(...), or await in "
        f"a .map(...) before it"
    )
