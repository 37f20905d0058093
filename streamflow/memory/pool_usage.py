"""What the pools of this process did while a run lasted."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

from streamflow.memory.pool import ARRAYS, BUFFERS, Shelf
from streamflow.memory.reclaiming import registered
from streamflow.model.statistics import PoolStatistics

_lock = Lock()
_under_way = 0


class PoolUsage:
    """Tell the figures of all pools since `begin`; `end` lets go of idle buffers, unless another run is under way."""

    def __init__(self) -> None:
        self._before: dict[Shelf[object], PoolStatistics] = {}
        self._after: tuple[PoolStatistics, ...] | None = None

    def begin(self) -> None:
        """Begin to count."""
        global _under_way
        with _lock:
            _under_way += 1
        self._before = {shelf: shelf.statistics() for shelf in _shelves()}

    def end(self) -> None:
        """Stand still, and leave no memory behind that only runs need."""
        global _under_way
        self._after = self.statistics()
        self._before = {}
        with _lock:
            _under_way -= 1
            last = not _under_way
        if last:
            BUFFERS.trim()
            ARRAYS.trim()

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """Return the figures of those pools that were used."""
        if self._after is not None:
            return self._after
        found = (_since(shelf.statistics(), self._before.get(shelf)) for shelf in _shelves())
        return tuple(one for one in found if one.hits or one.misses)


def _shelves() -> list[Shelf[object]]:
    return [one for one in registered() if isinstance(one, Shelf)]


def _since(now: PoolStatistics, before: PoolStatistics | None) -> PoolStatistics:
    if before is None:
        return now
    return replace(
        now,
        hits=now.hits - before.hits,
        misses=now.misses - before.misses,
        trims=now.trims - before.trims,
        refused=now.refused - before.refused,
    )
