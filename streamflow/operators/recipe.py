"""What is kept of the items of one key in one window: a cell with a slot for each aggregation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from streamflow.model.errors import FlowError
from streamflow.model.windows import WindowResult
from streamflow.operators.aggregation import Aggregation
from streamflow.operators.aggregations import collect, itself
from streamflow.operators.callables import name_of, require_plain

_WINDOW_RESULTS = """
def window_results(kind, start, end, cells, new=object.__new__, set_key=set_key, set_start=set_start, set_end=set_end,
                   set_value=set_value):
    out = []
    for key, a in cells:
        result = new(kind)
        set_key(result, key)
        set_start(result, start)
        set_end(result, end)
        set_value(result, {value})
        out.append(result)
    return out
"""


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

    # An item is in all slots or in none: those that may refuse it are asked first, and put back if another refuses it.

    @cached_property
    def risky(self) -> tuple[int, ...]:
        """Return the slots whose updates may fail for what they hold; they can be put back."""
        return tuple(at for at, one in enumerate(self.aggregations) if not one.certain and one.spare is not None)

    @cached_property
    def checked(self) -> tuple[int, ...]:
        """Return the slots whose updates fail for what the value is; they may hold much."""
        return tuple(at for at, one in enumerate(self.aggregations) if not one.certain and one.spare is None)

    @cached_property
    def certain(self) -> tuple[int, ...]:
        """Return the slots whose updates never fail."""
        return tuple(at for at, one in enumerate(self.aggregations) if one.certain)

    def read(self, item: Any, calls: Sequence[Callable[[Any], Any]]) -> list[Any]:
        """Return the values of `item`, by the users' functions as they are to be called."""
        rest = iter(calls)
        return [item if one.value is None else next(rest)(item) for one in self.aggregations]

    def begin(self, values: Sequence[Any]) -> list[Any]:
        """Return the cell that the first values make."""
        return [one.start(value) for one, value in zip(self.aggregations, values, strict=True)]

    def update(self, cell: list[Any], values: Sequence[Any]) -> None:
        """Take further values into `cell`; an error leaves it as it was."""
        self.check(values)
        before = self.spared(cell)
        try:
            self.try_update(cell, values)
        except BaseException:
            self.put_back(cell, before)
            raise
        self.settle(cell, values)

    def check(self, values: Sequence[Any]) -> None:
        """Raise what an update of the slots that may hold much would raise."""
        for at in self.checked:
            self.aggregations[at].start(values[at])

    def spared(self, cell: list[Any]) -> list[Any]:
        """Return copies of what `put_back` puts back."""
        return [self.aggregations[at].spare(cell[at]) for at in self.risky]  # type: ignore[misc]  # they have one

    def put_back(self, cell: list[Any], before: list[Any]) -> None:
        """Set the slots of which there are copies."""
        for at, slot in zip(self.risky, before, strict=True):
            cell[at] = slot

    def try_update(self, cell: list[Any], values: Sequence[Any]) -> None:
        """Update the slots that may refuse their value."""
        for at in self.risky:
            cell[at] = self.aggregations[at].update(cell[at], values[at])

    def settle(self, cell: list[Any], values: Sequence[Any]) -> None:
        """Update the other ones, whose values were checked."""
        for at in (*self.checked, *self.certain):
            cell[at] = self.aggregations[at].update(cell[at], values[at])

    def merge(self, one: list[Any], other: list[Any]) -> list[Any]:
        """Return one cell made of two, of which the first was begun earlier."""
        return [
            aggregation.merge(first, second)  # type: ignore[misc]  # asked before: `mergeable`
            for aggregation, first, second in zip(self.aggregations, one, other, strict=True)
        ]

    @cached_property
    def value(self) -> Callable[[Sequence[Any]], Any]:
        """Return the function that tells what a cell says; put together once, since it is called for each result."""
        text, names = self._told
        function: Callable[[Sequence[Any]], Any] = eval(f"lambda a: {text}", names)  # names of ours, and quoted ones
        return function

    @property
    def _told(self) -> tuple[str, dict[str, Any]]:
        """Return the expression of what the cell `a` says, and what its names mean."""
        said = [f"a[{at}]" if one.result is itself else f"r{at}(a[{at}])" for at, one in enumerate(self.aggregations)]
        names = {f"r{at}": one.result for at, one in enumerate(self.aggregations)}
        if self.names is None:
            return said[0], names
        return f"{{{', '.join(f'{name!r}: {one}' for name, one in zip(self.names, said, strict=True))}}}", names

    @cached_property
    def window_results(self) -> Callable[[type[WindowResult], float, float, Iterable[tuple[Any, Any]]], list[Any]]:
        """Return what makes results of the kind, start, end, and pairs of key and cell that it is given.

        It sets the fields itself: a frozen dataclass takes four times as long to make itself.
        """
        value, names = self._told
        names |= {f"set_{name}": getattr(WindowResult, name).__set__ for name in ("key", "start", "end", "value")}
        exec(_WINDOW_RESULTS.format(value=value), names)
        made: Callable[..., list[Any]] = names["window_results"]
        return made

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
        """Return the statements that update the cell `a`; nothing is spared or checked that need not be."""
        risky, checked = self._added(self.risky), self._added(self.checked)
        certain = self._added(self.certain)
        if len(self.risky) + len(self.checked) <= 1:
            return [*risky, *checked, *certain] or ["pass"]
        tests = [self._spelled(self.aggregations[at].begin, at) for at in self.checked]
        copies = [f"b@_{at} = {self._copy(at)}" for at in self.risky]
        restored = [f"    a[{at}] = b@_{at}" for at in self.risky]
        tried = ["try:", *(f"    {line}" for line in risky), "except BaseException:", *restored, "    raise"]
        return [*tests, *copies, *(tried if self.risky else ()), *checked, *certain]

    def _added(self, slots: Sequence[int]) -> list[str]:
        return [self._spelled(line, at) for at in slots for line in self.aggregations[at].add]

    def _copy(self, at: int) -> str:
        return f"a[{at}]" if self.aggregations[at].spare is itself else f"h@_{at}_99(a[{at}])"

    @property
    def texts(self) -> dict[str, Any]:
        """Return what the statements refer to."""
        copies = {f"h@_{at}_99": self.aggregations[at].spare for at in self.risky}
        return copies | {
            name.replace("#", f"@_{at}"): value
            for at, one in enumerate(self.aggregations)
            for name, value in one.names.items()
        }

    def _spelled(self, text: str, at: int) -> str:
        text = text.replace("a[#]", f"a[{at}]").replace("#", f"@_{at}")
        return re.sub(r"\bv\b", self.values[at], text)


def aggregated(aggregations: Mapping[str, object], unnamed: Sequence[object] = ()) -> Recipe:
    """Return the recipe of a dict with these names; FlowError for what is no aggregation, or has no name."""
    if unnamed:
        raise FlowError("aggregate(...): give each a name, under which its value is found: aggregate(n=sf.agg.count())")
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
        spare=deepcopy,
        form=f"reduce({name_of(function)})",
        value=None,
        begin="v",
        add=("a[#] = h#_0(a[#], v)",),
        start=lambda item: item,
        update=function,
        merge=function,
        result=itself,
        names={"h#_0": function},
    )
    return Recipe((folding,), None)


def collected() -> Recipe:
    """Return the recipe that gathers the items in a list."""
    return Recipe((collect(),), None)
