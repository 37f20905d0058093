"""`key_by(...).scan`, `reduce`, `aggregate` and `map_with_state`: what is made of each key, without windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.model.windows import Keyed
from streamflow.operators.callables import name_of
from streamflow.operators.element import KEPT, ElementOperator
from streamflow.operators.folding import Folding
from streamflow.operators.keyed_states import KeyedCells, KeyedValues, Remembered
from streamflow.operators.recipe import Recipe


@dataclass(frozen=True, eq=False)
class KeyedScan(ElementOperator):
    """Replace each item by its key and the value of `call(value, item)`, where `value` is the key's previous result."""

    key: Callable[[Any], Any]
    call: Callable[[Any, Any], Any]
    initial: Any
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `scan(function)` behind its key, or the user's name."""
        return self.name or f"key_by({name_of(self.key)}).scan({name_of(self.call)})"

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """Return the functions of the key and of the fold."""
        return self.key, self.call

    @property
    def names(self) -> Mapping[str, Any]:
        """Return what the lines refer to."""
        return {"h@_0_0": Keyed, "h@_0_1": math.nan}

    @property
    def keeps(self) -> str:
        """Return what gives the values their meaning."""
        return f"scan({name_of(self.call)}) by {name_of(self.key)}"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return (
            "y = g.0(x)",
            "if y != y: y = h@_0_1",
            "v = s.get(y, s@)",
            "if v is s@: v = s.begin(y)",
            "v = g.1(v, x)",
            "s.put(y, v)",
            "x = h@_0_0(y, v)",
        )

    def apply(self, item: Any, state: KeyedValues, call: Any) -> Any:
        """Do the same, interpreted."""
        return state.step(call[0](item), call[1], item)

    def start(self) -> KeyedValues:
        """Begin with no key."""
        return KeyedValues(self.initial)


@dataclass(frozen=True, eq=False)
class KeyedFold(Folding):
    """Fold all items of each key, and hand on keys and results at the end of the input. It ends its stage."""

    key: Callable[[Any], Any]
    recipe: Recipe
    name: str | None = None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return `aggregate(…)` behind its key, or the user's name."""
        return self.name or f"key_by({name_of(self.key)}).aggregate({self.recipe.form})"

    @property
    def keeps(self) -> str:
        """Return what gives the cells their meaning."""
        return f"aggregate of {self.recipe.form} by {name_of(self.key)}"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        recipe = self.recipe
        return (
            "y = g.0(x)",
            *recipe.value_lines(1),
            "a = s.get(y)",
            "if a is None:",
            f"    if y == y: s.put(y, {recipe.begin_text})",
            f"    else: s.fold(y, ({', '.join([*recipe.values, ''])}))",
            "else:",
            *(f"    {line}" for line in recipe.update_lines),
            "    s.put(y, a)",
            "KEEP",
        )

    def apply(self, item: Any, state: KeyedCells, call: Any) -> Any:
        """Do the same, interpreted."""
        state.fold(call[0](item), self.recipe.read(item, call[1:]))
        return KEPT

    def start(self) -> KeyedCells:
        """Begin with no key."""
        return KeyedCells(self.recipe)


@dataclass(frozen=True, eq=False)
class MapWithState(ElementOperator):
    """Replace each item by the second of the two values of `call(state, item)`; the first is the key's new state.

    A key is forgotten when its state is None, and `ttl` seconds after it was touched last: of event time, or where
    there is none by the clock of the run.
    """

    key: Callable[[Any], Any]
    call: Callable[[Any, Any], Any]
    initial: Any = None
    ttl: float | None = None
    name: str | None = None
    errors: ErrorPolicy = FAIL
    by_event_time: bool = False

    @property
    def label(self) -> str:
        """Return `map_with_state(function)` behind its key, or the user's name."""
        return self.name or f"key_by({name_of(self.key)}).map_with_state({name_of(self.call)})"

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """Return the functions of the key and of the item."""
        return self.key, self.call

    @property
    def may_be_timed(self) -> bool:
        """Tell whether event time makes a difference."""
        return self.ttl is not None

    def where_timed(self) -> MapWithState:
        """Return it as it is where items have an event time."""
        return replace(self, by_event_time=True)

    @property
    def timed(self) -> bool:
        """Tell whether keys are forgotten by event time."""
        return self.by_event_time

    @property
    def runs_by_clock(self) -> bool:
        """Tell whether keys are forgotten by the clock of the run."""
        return self.ttl is not None and not self.by_event_time

    @property
    def keeps(self) -> str:
        """Return what gives the states their meaning."""
        return f"map_with_state({name_of(self.call)}, ttl={self.ttl}) by {name_of(self.key)}"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        return ("y = g.0(x)", "x = s.keep(y, g.1(s.recall(y), x))")

    def apply(self, item: Any, state: Remembered, call: Any) -> Any:
        """Do the same, interpreted."""
        key = call[0](item)
        return state.keep(key, call[1](state.recall(key), item))

    def start(self) -> Remembered:
        """Begin with no key."""
        return Remembered(self.initial, self.ttl, self.by_event_time, self.label)
