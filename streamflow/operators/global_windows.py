"""The state of global windows: one cell a key, which is told when so many items have come, or so much time has gone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from streamflow.model.windows import WindowResult
from streamflow.operators.firing import Windows, known, pieces
from streamflow.operators.recipe import Recipe
from streamflow.operators.window_specs import GlobalWindow


class GlobalWindows(Windows):
    """Hold for each key its cell and how many items came since its last result; `changed` are those with any."""

    __slots__ = ("cells", "changed", "recipe", "spec")

    def __init__(self, spec: GlobalWindow, recipe: Recipe) -> None:
        super().__init__(spec.every)
        self.spec, self.recipe = spec, recipe
        self.cells: dict[Any, list[Any]] = {}
        self.changed: dict[Any, int] = {}

    @property
    def key_count(self) -> int:  # type: ignore[override]  # worked out
        """Return the number of cells."""
        return len(self.cells)

    def sample(self) -> Any:
        """Return the cell of the key that came last."""
        return next(reversed(self.cells.items()), None)

    def put(self, key: Any, values: Sequence[Any]) -> None:
        """Put an item into the cell of its key."""
        key = known(key)
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = self.recipe.begin(values)
        else:
            self.recipe.update(cell, values)
        if self.every is not None and not self.changed:
            self.opened(math.inf)
        count = self.changed[key] = self.changed.get(key, 0) + 1
        if count == self.spec.count:
            self.let_out(self.clock.watermark, [self._result(key)])
            del self.changed[key]
            if not self.changed:
                self.find_due()

    def _result(self, key: Any) -> WindowResult:
        cell = self.cells[key] if self.spec.keep else self.cells.pop(key)
        return WindowResult(key, -math.inf, math.inf, self.recipe.value(cell))

    def give_early(self) -> None:
        """Give the results of every key with items since its last, as their first came."""
        self.let_out(self.boundary, [self._result(key) for key in self.changed])
        self.changed.clear()

    def close(self, moment: float) -> None:
        """Give what is left, if this is the end of all time."""
        if moment == math.inf:
            self.give_early()
            self.cells.clear()

    def nearest(self) -> float:
        """Return the time of the next results."""
        return self.boundary if self.changed else math.inf

    def chunks(self) -> Iterator[Any]:
        """Yield the clock, then the cells, then how many items came of which keys."""
        yield ("time", self.clock.highest, self.boundary)
        for cells in pieces(self.cells.items()):
            yield ("cells", *cells)
        for counts in pieces(self.changed.items()):
            yield ("changed", *counts)

    def restore_chunk(self, chunk: Any) -> None:
        """Take one of those pieces."""
        kind, *content = chunk
        if kind == "time":
            self.clock.highest = max(self.clock.highest, content[0])
            self.boundary = content[1]
        elif kind == "cells":
            self.cells.update((known(key), cell) for key, cell in content)
        else:
            self.changed.update((known(key), count) for key, count in content)
            self.find_due()
