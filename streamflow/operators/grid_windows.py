"""The state of tumbling and sliding windows: cells by key, in windows by number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from streamflow.model.windows import EarlyResult, UpdatedResult, WindowResult
from streamflow.operators.firing import Firing, copied, pieces, reach
from streamflow.operators.grid import Grid
from streamflow.operators.recipe import Recipe

#: NaN as a key: each NaN is another object, and would be another key.
NAN = math.nan
Cells = dict[Any, list[Any]]


class Pane:
    """Hold one window: its cells in the order in which their keys were first seen, and the keys changed of late."""

    __slots__ = ("cells", "changed", "hi", "lo")

    def __init__(self, lo: float, hi: float) -> None:
        self.lo, self.hi = lo, hi
        self.cells: Cells = {}
        self.changed: dict[Any, None] = {}


class GridWindows(Firing):
    """Hold the open windows of a grid, and with `keep` those that closed a while ago.

    The window of the last item stays at hand in `lo`, `hi` and `cells`: most often the next item is in it too.
    """

    __slots__ = (
        "boundary",
        "cells",
        "changed",
        "closed",
        "every",
        "grid",
        "hi",
        "keep",
        "lo",
        "nan",
        "open",
        "recipe",
        "updating",
    )

    def __init__(self, grid: Grid, recipe: Recipe, every: float | None, keep: float | None) -> None:
        super().__init__()
        self.grid, self.recipe, self.every, self.keep = grid, recipe, every, keep
        self.open: dict[int, Pane] = {}
        self.closed: dict[int, Pane] = {}
        #: When the next early results are due; they come each `every`, of windows that have changed.
        self.boundary = math.inf
        self.updating: Pane | None = None
        self.nan = NAN
        self._put_away()

    def _put_away(self) -> None:
        """Have no window at hand."""
        self.lo = self.hi = math.inf
        self.cells: Cells = {}
        self.changed: dict[Any, None] = {}

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
            if self.every is not None and self.boundary == math.inf:
                self.boundary = (watermark // self.every + 1) * self.every
            self._note_due(n)
            return pane
        if self.keep is None or hi + self.keep <= watermark:
            return None
        pane = self.updating = self.closed.setdefault(n, Pane(lo, hi))
        return pane

    def fold(self, key: Any, values: Sequence[Any]) -> None:
        """Take an item of the window at hand."""
        if key != key:
            key = self.nan
        cell = self.cells.get(key)
        if cell is None:
            self.cells[key] = self.recipe.begin(values)
        else:
            self.recipe.update(cell, values)

    def note(self, key: Any) -> None:
        """Take note that the cell of `key` in the window at hand has changed."""
        pane = self.updating
        if pane is None:
            self.changed[key if key == key else self.nan] = None
        else:
            self._update(pane, key if key == key else self.nan)

    def _update(self, pane: Pane, key: Any) -> None:
        result = UpdatedResult(key, pane.lo, pane.hi, self.recipe.value(pane.cells[key]))
        self.let_out(self.clock.watermark, [result])

    def slide(self, time: float, key: Any, values: Sequence[Any]) -> bool:
        """Take an item into every window that holds its time and is open; tell whether there is any."""
        if key != key:
            key = self.nan
        noting = self.every is not None or self.keep is not None
        done: list[tuple[Cells, list[Any] | None]] = []
        told = len(self.waiting)
        try:
            for n in self.grid.covering(time):
                pane = self._pane(n)
                if pane is not None:
                    self.cells, self.changed = pane.cells, pane.changed
                    cell = self.cells.get(key)
                    done.append((self.cells, None if cell is None else cell[:]))
                    self.fold(key, values)
                    if noting:
                        self.note(key)
        except BaseException:
            self._undo(done, key, told)
            raise
        return bool(done)

    def _undo(self, done: list[tuple[Cells, list[Any] | None]], key: Any, told: int) -> None:
        """Take an item out again of those windows that had taken it when another refused it."""
        for cells, cell in done:
            if cell is not None:
                cells[key][:] = cell
            else:
                cells.pop(key, None)
                self.changed.pop(key, None)
        while len(self.waiting) > told:
            self.waiting.pop()

    # -- time -----------------------------------------------------------------------------------------------------

    def fire(self) -> None:
        """Close what ends by the watermark; before that what is due early, each at its time."""
        watermark = self.clock.watermark
        if self.boundary <= watermark and self.every is not None:
            self._close(self.boundary)
            for n in sorted(self.open):
                self._give_early(self.open[n])
            self.boundary = (watermark // self.every + 1) * self.every
        self._close(watermark)
        if self.keep is not None:
            self.closed = {n: pane for n, pane in self.closed.items() if pane.hi + self.keep > watermark}
        self._find_due()

    def _close(self, moment: float) -> None:
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
        results = self._results(WindowResult, pane, pane.cells)
        # What may still be updated is worked out now, as it is.
        self.let_out(pane.hi, results if self.keep is None else list(results))

    def _give_early(self, pane: Pane) -> None:
        if pane.changed:
            self.let_out(self.boundary, list(self._results(EarlyResult, pane, pane.changed)))
            pane.changed.clear()

    def _results(self, kind: type[WindowResult], pane: Pane, keys: Iterable[Any]) -> Iterator[WindowResult]:
        value, cells, lo, hi = self.recipe.value, pane.cells, pane.lo, pane.hi
        return (kind(key, lo, hi, value(cells[key])) for key in keys)

    def _note_due(self, n: int) -> None:
        self.due = min(self.due, reach(self.open[n].hi, self.clock.lateness))
        if self.boundary != math.inf:
            self.due = min(self.due, reach(self.boundary, self.clock.lateness))

    def _find_due(self) -> None:
        if not self.open:
            self.due, self.boundary = math.inf, math.inf
            return
        self.due = math.inf
        self._note_due(min(self.open))

    def end(self) -> None:
        """Close everything."""
        self._close(math.inf)
        self.closed.clear()
        self._find_due()

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def chunks(self) -> Iterator[Any]:
        """Yield the clock, then the cells of each window in the order of their keys, then which have changed."""
        yield ("time", self.clock.highest, self.boundary)
        for kind, panes in (("open", self.open), ("closed", self.closed)):
            for n, pane in panes.items():
                yield (kind, n, ())
                for cells in pieces(pane.cells.items()):
                    yield (kind, n, tuple((key, copied(cell)) for key, cell in cells))
                for keys in pieces(pane.changed):
                    yield ("changed", n, tuple(keys))

    def restore_chunk(self, chunk: Any) -> None:
        """Take one of those pieces."""
        kind, n, content = chunk
        if kind == "time":
            self.clock.highest = max(self.clock.highest, n)
            self.boundary = content
        elif kind == "changed":
            self.open[n].changed.update(dict.fromkeys(self._known(key) for key in content))
        else:
            panes = self.open if kind == "open" else self.closed
            if n not in panes:
                panes[n] = Pane(*self.grid.bounds(n))
            panes[n].cells.update((self._known(key), copied(cell)) for key, cell in content)
            if kind == "open":
                self._note_due(n)

    def _known(self, key: Any) -> Any:
        return key if key == key else self.nan
