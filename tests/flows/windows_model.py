"""Windows, slowly and obviously: what every kind of window must give, item by item."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Result = tuple[str, Any, float, float, list[Any]]


class Model:
    """Fold `(time, key, item)` one after the other; `out` are the results, `late` the items that came too late.

    `windows(time)` gives the bounds of the windows of a time.
    """

    def __init__(
        self,
        windows: Callable[[float], list[tuple[float, float]]],
        *,
        lateness: float = 0.0,
        every: float | None = None,
        keep: float | None = None,
    ) -> None:
        self.windows, self.lateness, self.every, self.keep = windows, lateness, every, keep
        self.highest = -math.inf
        self.told = -math.inf
        self.held: dict[tuple[float, float], dict[Any, list[Any]]] = {}
        self.closed: set[tuple[float, float]] = set()
        self.changed: dict[tuple[float, float], dict[Any, None]] = {}
        self.out: list[Result] = []
        self.late: list[Any] = []
        self.boundary = math.inf

    def take(self, time: float, key: Any, item: Any) -> None:
        """Let time go on to this item, then take it."""
        self.highest = max(self.highest, time)
        watermark = self.highest - self.lateness
        self.go_on(watermark)
        taken = False
        for bounds in self.windows(time):
            open_for = bounds[1] + (self.keep or 0.0) if self.keep is not None else bounds[1]
            if open_for <= watermark:
                continue
            taken = True
            cells = self.held.setdefault(bounds, {})
            cells.setdefault(key, []).append(item)
            if bounds[1] <= watermark:
                self.closed.add(bounds)
                self.out.append(("UpdatedResult", key, *bounds, list(cells[key])))
            else:
                self.changed.setdefault(bounds, {})[key] = None
                if self.every is not None and self.boundary == math.inf:
                    self.boundary = (watermark // self.every + 1) * self.every
        if not taken:
            self.late.append(item)

    def go_on(self, watermark: float) -> None:
        """Close what ends by `watermark`, and tell early what is due before."""
        if self.every is not None and self.boundary <= watermark:
            self.close(self.boundary)
            for bounds in sorted(self.open()):
                for key in self.changed.pop(bounds, {}):
                    self.out.append(("EarlyResult", key, *bounds, list(self.held[bounds][key])))
            self.boundary = (watermark // self.every + 1) * self.every
        self.close(watermark)
        if not self.open():
            self.boundary = math.inf

    def open(self) -> list[tuple[float, float]]:
        return [bounds for bounds in self.held if bounds not in self.closed]

    def close(self, moment: float) -> None:
        for bounds in sorted(self.open(), key=lambda one: one[1]):
            if bounds[1] <= moment:
                self.closed.add(bounds)
                for key, items in self.held[bounds].items():
                    self.out.append(("WindowResult", key, *bounds, list(items)))


def told(results: list[Any]) -> list[Result]:
    """Return results in the form of the model's."""
    return [(type(one).__name__, one.key, one.start, one.end, one.value) for one in results]
