"""What is kept of the items of one key in one window: a cell with a slot for each aggregation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from streamflow.model.errors import FlowError
from streamflow.operators.aggregation import Aggregation
from streamflow.operators.aggregations import collect
from streamflow.operators.callables import name_of, require_plain

#: Of these no update ever fails; they come last, so that one item is either in all slots or in none.
_CERTAIN = ("count(", "first(", "last(", "collect(")


@dataclass(frozen=True)
class Recipe:
    """Make cells, update and merge them, and tell what they say; `names` is None where the value is no dict."""

    aggregations: tuple[Aggregation, ...]
    names: tuple[str, ...] | None

    @property
    def form(self) -> str:
        """Return what a cell is made by, as a checkpoint must fit it."""
        names = self.names or ("",) * len(self.aggregations)
        return ", ".join(
            f"{name}={one.form}" if name else one.form for name, one in zip(names, self.aggregations, strict=True)
        )

    @property
    def mergeable(self) -> bool:
        """Tell whether two cells can be made one."""
        return all(one.merge is not None for one in self.aggregations)

    @cached_property
    def order(self) -> list[int]:
        """Return the order in which slots are updated: those first that may refuse a value."""
        return sorted(range(len(self.aggregations)), key=self._certain)

    @cached_property
    def reversible(self) -> bool:
        """Tell whether a cell must be put back where an update fails: one before it may have been done."""
        return sum(not self._certain(at) for at in range(len(self.aggregations))) > 1

    def _certain(self, at: int) -> bool:
        return self.aggregations[at].form.startswith(_CERTAIN)

    def read(self, item: Any, calls: Sequence[Callable[[Any], Any]]) -> list[Any]:
        """Return the values of `item`, by the users' functions as they are to be called."""
        rest = iter(calls)
        return [item if one.value is None else next(rest)(item) for one in self.aggregations]

    def begin(self, values: Sequence[Any]) -> list[Any]:
        """Return the cell that the first values make."""
        return [one.start(value) for one, value in zip(self.aggregations, values, strict=True)]

    def update(self, cell: list[Any], values: Sequence[Any]) -> None:
        """Take further values into `cell`; an error leaves it as it was."""
        before = cell[:]
        try:
            for at in self.order:
                cell[at] = self.aggregations[at].update(cell[at], values[at])
        except BaseException:
            cell[:] = before
            raise

    def merge(self, one: list[Any], other: list[Any]) -> list[Any]:
        """Return one cell made of two, of which the first was begun earlier."""
        return [
            aggregation.merge(first, second)  # type: ignore[misc]  # asked before: `mergeable`
            for aggregation, first, second in zip(self.aggregations, one, other, strict=True)
        ]

    def value(self, cell: Sequence[Any]) -> Any:
        """Return what `cell` says."""
        if self.names is None:
            return self.aggregations[0].result(cell[0])
        return {name: one.result(slot) for name, one, slot in zip(self.names, self.aggregations, cell, strict=True)}

    # -- as text for generated code: `a` is the cell, `@` the operator's number -------------------------------------

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """Return the users' functions of an item, in the order of the aggregations that have one."""
        return tuple(one.value for one in self.aggregations if one.value is not None)

    @property
    def values(self) -> tuple[str, ...]:
        """Return the expression of each aggregation's value: a variable that `value_lines` set, or the item."""
        return tuple("x" if one.value is None else f"v@_{at}" for at, one in enumerate(self.aggregations))

    def value_lines(self, first: int) -> list[str]:
        """Return the statements that call the users' functions, the first of which is number `first`."""
        calls = [at for at, one in enumerate(self.aggregations) if one.value is not None]
        return [f"v@_{at} = g.{first + n}(x)" for n, at in enumerate(calls)]

    @property
    def begin_text(self) -> str:
        """Return the expression of a new cell."""
        return f"[{', '.join(self._spelled(one.begin, at) for at, one in enumerate(self.aggregations))}]"

    @property
    def update_lines(self) -> list[str]:
        """Return the statements that update the cell `a`."""
        lines = [self._spelled(line, at) for at in self.order for line in self.aggregations[at].add]
        if not self.reversible:
            return lines or ["pass"]
        return [
            "b = a[:]",
            "try:",
            *(f"    {line}" for line in lines),
            "except BaseException:",
            "    a[:] = b",
            "    raise",
        ]

    @property
    def texts(self) -> dict[str, Any]:
        """Return what the statements refer to."""
        return {
            name.replace("#", f"@_{at}"): value
            for at, one in enumerate(self.aggregations)
            for name, value in one.names.items()
        }

    def _spelled(self, text: str, at: int) -> str:
        text = text.replace("a[#]", f"a[{at}]").replace("#", f"@_{at}")
        return re.sub(r"\bv\b", self.values[at], text)


def aggregated(aggregations: Mapping[str, object]) -> Recipe:
    """Return the recipe of a dict with these names; FlowError for what is no aggregation."""
    if not aggregations:
        raise FlowError("aggregate(): name at least one, as in aggregate(n=sf.agg.count())")
    for name, one in aggregations.items():
        if not isinstance(one, Aggregation):
            called = f"; call it: sf.agg.{name_of(one)}()" if callable(one) else ""
            raise FlowError(f"aggregate({name}={one!r}): expected one of sf.agg, as sf.agg.count(){called}")
    known = tuple(one for one in aggregations.values() if isinstance(one, Aggregation))
    return Recipe(known, tuple(aggregations))


def reduced(function: Callable[[Any, Any], Any]) -> Recipe:
    """Return the recipe that folds items, beginning with the first."""
    require_plain(function, "reduce")
    folding = Aggregation(
        form=f"reduce({name_of(function)})",
        value=None,
        begin="v",
        add=("a[#] = h#_0(a[#], v)",),
        start=lambda item: item,
        update=function,
        merge=function,
        result=lambda slot: slot,
        names={"h#_0": function},
    )
    return Recipe((folding,), None)


def collected() -> Recipe:
    """Return the recipe that gathers the items in a list."""
    return Recipe((collect(),), None)
