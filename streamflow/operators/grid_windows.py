"""The state of tumbling and sliding windows: cells by key, in windows by number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from streamflow.model.windows import EarlyResult, UpdatedResult, WindowResult
from streamflow.operators.firing import DUE_AT_ONCE, Windows, known, pieces
from streamflow.operators.grid import Grid
from streamflow.operators.recipe import Recipe

Cells = dict[Any, list[Any]]


class Pane:
    """Hold one window: its cells in the order in which their keys were first seen, and the keys changed of late."""

    __slots__ = ("cells", "changed", "hi", "lo")

    def __init__(self, lo: float, hi: float) -> None:
        self.lo, self.hi = lo, hi
        self.cells: Cells = {}
        self.changed: dict[Any, None] = {}


class GridWindows(Windows):
    """Hold the open windows of a grid, and with `keep` those that closed a while ago.

    The window of the last item stays at hand in `lo`, `hi` and `cells`: most often the next item is in it too. Of
    sliding ones all that it is in do, in `near`.
    """

    __slots__ = (
        "cells",
        "changed",
        "closed",
        "grid",
        "hi",
        "keep",
        "lo",
        "near",
        "open",
        "recipe",
        "updating",
    )

    def __init__(self, grid: Grid, recipe: Recipe, every: float | None, keep: float | None) -> None:
        super().__init__(every)
        self.grid, self.recipe, self.keep = grid, recipe, keep
        self.open: dict[int, Pane] = {}
        self.closed: dict[int, Pane] = {}
        self.updating: Pane | None = None
        self._put_away()

    @property
    def key_count(self) -> int:  # type: ignore[override]  # worked out
        """Return the number of cells."""
        return sum(len(pane.cells) for panes in (self.open, self.closed) for pane in panes.values())

    def sample(self) -> Any:
        """Return a cell of the window at hand."""
        return next(reversed(self.cells.items()), None)

    def _put_away(self) -> None:
        """Have no window at hand."""
        self.lo = self.hi = math.inf
        self.cells: Cells = {}
        self.changed: dict[Any, None] = {}
        self.near: list[Pane] = []

    # -- items ----------------------------------------------------------------------------------------------------

    def turn(self, time: float) -> bool:
        """Take the window of `time` at hand; tell whether there is one, or whether it has closed for good."""
        pane = self._pane(self.grid.index(time))
        if pane is None:
            return False
        self.cells, self.changed = pane.cells, pane.changed
        if self.updating is None:
            self.lo, self.hi = pane.lo, pane.hi
        else:
            self.lo = self.hi = math.inf  # each item of a window that has closed is looked at
        return True

    def _pane(self, n: int) -> Pane | None:
        self.updating = None
        pane = self.open.get(n)
        if pane is not None:
            return pane
        lo, hi = self.grid.bounds(n)
        watermark = self.clock.watermark
        if hi > watermark:
            pane = self.open[n] = Pane(lo, hi)
            self.opened(hi)
            return pane
        if self.keep is None or hi + self.keep <= watermark:
            return None
        pane = self.updating = self.closed.setdefault(n, Pane(lo, hi))
        return pane

    def fold(self, key: Any, values: Sequence[Any]) -> None:
        """Take an item of the window at hand."""
        key = known(key)
        cell = self.cells.get(key)
        if cell is None:
            self.cells[key] = self.recipe.begin(values)
        else:
            self.recipe.update(cell, values)

    def note(self, key: Any) -> None:
        """Take note that the cell of `key` in the window at hand has changed."""
        pane = self.updating
        if pane is None:
            self.changed[known(key)] = None
        else:
            self._update(pane, known(key))

    def _update(self, pane: Pane, key: Any) -> None:
        result = UpdatedResult(key, pane.lo, pane.hi, self.recipe.value(pane.cells[key]))
        self.let_out(self.clock.watermark, [result])

    def slide(self, time: float, key: Any, values: Sequence[Any]) -> bool:
        """Take an item into every window that holds its time and is open; tell whether there is any."""
        key, recipe = known(key), self.recipe
        panes = self.near if self.lo <= time < self.hi else self._take_near(time)
        cells = [pane.cells.get(key) for pane in panes]
        recipe.check(values)
        before = [recipe.spared(cell) for cell in cells if cell is not None]
        known_cells = [cell for cell in cells if cell is not None]
        try:
            for cell in known_cells:
                recipe.try_update(cell, values)
            new = [recipe.begin(values) for cell in cells if cell is None]
        except BaseException:
            for cell, slots in zip(known_cells, before, strict=True):
                recipe.put_back(cell, slots)
            raise
        for cell in known_cells:
            recipe.settle(cell, values)
        self._note_slid(panes, cells, key, new)
        return bool(panes)

    def _take_near(self, time: float) -> list[Pane]:
        """Return the windows that hold `time` and take items; have them at hand as long as they stay the same."""
        numbers = self.grid.covering(time)
        panes = [pane for n in numbers if (pane := self._pane(n)) is not None]
        self._put_away()
        if self.grid.even and len(panes) == len(numbers) and panes[0].hi > self.clock.watermark:
            self.near = panes
            self.lo, self.hi = self.grid.begin(numbers[-1]), self.grid.begin(numbers[-1] + 1)
        return panes

    def _note_slid(self, panes: list[Pane], cells: list[list[Any] | None], key: Any, new: list[list[Any]]) -> None:
        """Put the new cells into their windows, and note what has changed."""
        fresh = iter(new)
        for pane, cell in zip(panes, cells, strict=True):
            if cell is None:
                pane.cells[key] = next(fresh)
            if pane.hi <= self.clock.watermark:
                self._update(pane, key)
            elif self.every is not None:
                pane.changed[key] = None

    # -- time -----------------------------------------------------------------------------------------------------

    def fire(self) -> None:
        """Close what is due, and forget what takes nothing on any more."""
        super().fire()
        if self.keep is not None:
            watermark = self.clock.watermark
            self.closed = {n: pane for n, pane in self.closed.items() if pane.hi + self.keep > watermark}

    def close(self, moment: float) -> None:
        """Give the results of what ends by `moment`, window by window."""
        for n in sorted(self.open):
            pane = self.open[n]
            if pane.hi > moment:
                break
            del self.open[n]
            self._give(pane)
            if self.keep is not None:
                self.closed[n] = pane
                pane.changed.clear()
        self._put_away()

    def _give(self, pane: Pane) -> None:
        make, cells = self.recipe.window_results, pane.cells.items()
        results = (make(WindowResult, pane.lo, pane.hi, some) for some in pieces(cells, DUE_AT_ONCE))
        # What may still be updated is worked out now, as it is.
        self.waiting.append((None, results if self.keep is None else iter(list(results))))

    def give_early(self) -> None:
        """Give the results of keys that have changed, window by window."""
        for n in sorted(self.open):
            pane = self.open[n]
            if pane.changed:
                changed = [(key, pane.cells[key]) for key in pane.changed]
                self.let_out(self.boundary, self.recipe.window_results(EarlyResult, pane.lo, pane.hi, changed))
                pane.changed.clear()

    def nearest(self) -> float:
        """Return the end of the first window."""
        return self.open[min(self.open)].hi if self.open else math.inf

    def end(self) -> None:
        """Close everything."""
        super().end()
        self.closed.clear()

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def chunks(self) -> Iterator[Any]:
        """Yield the clock, then the cells of each window in the order of their keys, then which have changed."""
        yield ("time", self.clock.highest, self.boundary)
        for kind, panes in (("open", self.open), ("closed", self.closed)):
            for n, pane in panes.items():
                yield (kind, n, ())
                for cells in pieces(pane.cells.items()):
                    yield (kind, n, tuple(cells))
                for keys in pieces(pane.changed):
                    yield ("changed", n, tuple(keys))

    def restore_chunk(self, chunk: Any) -> None:
        """Take one of those pieces."""
        kind, n, content = chunk
        if kind == "time":
            self.clock.highest = max(self.clock.highest, n)
            self.boundary = content
        elif kind == "changed":
            self.open[n].changed.update(dict.fromkeys(known(key) for key in content))
        else:
            panes = self.open if kind == "open" else self.closed
            if n not in panes:
                panes[n] = Pane(*self.grid.bounds(n))
            panes[n].cells.update((known(key), cell) for key, cell in content)
            if kind == "open":
                self.opened(panes[n].hi)
