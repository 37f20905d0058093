"""How often Python looks for garbage while runs last that ask for it."""

from __future__ import annotations

import gc
from threading import Lock

from streamflow.model.arguments import whole_number


class CollectionTuning:
    """Have the youngest generation collected after so many new objects, from the first `begin` to the last `end`.

    Of several thresholds the largest counts. At the end the one from before is set again, unless somebody has set
    another meanwhile, which then stays. A collector that its owner has turned off stays off.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._wanted: list[int] = []
        self._before: tuple[int, int, int] | None = None
        self._set = 0

    def begin(self, threshold: int) -> None:
        """Set it, or a larger one that another run wants."""
        with self._lock:
            if not self._wanted:
                self._before = gc.get_threshold()
            self._wanted.append(threshold)
            self._apply()

    def end(self, threshold: int) -> None:
        """Take back one `begin`."""
        with self._lock:
            self._wanted.remove(threshold)
            self._apply()

    def _apply(self) -> None:
        assert self._before is not None
        young, *older = gc.get_threshold()
        if not self._before[0] or young not in (self._before[0], self._set):
            return
        self._set = max(self._wanted, default=self._before[0])
        gc.set_threshold(self._set, *older)


def threshold_of(given: object) -> int:
    """Return a number of new objects; FlowError says that it is none."""
    return whole_number("gc_threshold, a number of new objects between two collections,", given, 1)


COLLECTION = CollectionTuning()
