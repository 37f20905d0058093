"""The memory of one run: its limit, the pools it uses, and how the allocator and the collector are tuned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

from streamflow.channels.memory import Channel
from streamflow.engine.footprint import Footprint
from streamflow.engine.governing import Governing
from streamflow.engine.governor import Governor
from streamflow.engine.stage import Stage
from streamflow.memory.allocator import ALLOCATOR, TUNED
from streamflow.memory.collection import COLLECTION, threshold_of
from streamflow.memory.pool_usage import PoolUsage
from streamflow.model.arguments import memory_of
from streamflow.model.errors import FlowError
from streamflow.model.events import Event
from streamflow.model.statistics import MemoryStatistics, PoolStatistics


class MemoryFigures(TypedDict):
    """Be what the statistics of a run say of its memory."""

    memory: MemoryStatistics | None
    pools: tuple[PoolStatistics, ...]
    allocator: str | None


class RunMemory:
    """See to the memory of one run, from `begin` to `end`."""

    def __init__(
        self, limit: str | int | None, *, tune_allocator: bool = False, gc_threshold: int | None = None
    ) -> None:
        if not isinstance(tune_allocator, bool):
            raise FlowError(f"tune_allocator={tune_allocator!r}: expected True or False")
        self._governor = Governor(memory_of("memory", limit)) if limit is not None else None
        self._tune = tune_allocator
        self._threshold = threshold_of(gc_threshold) if gc_threshold is not None else None
        self._pools = PoolUsage()
        self._allocator: str | None = None

    def begin(self) -> None:
        """Begin to count, and tune what is to be tuned."""
        self._pools.begin()
        if self._tune:
            self._allocator = ALLOCATOR.begin()
        if self._threshold is not None:
            COLLECTION.begin(self._threshold)

    def end(self) -> None:
        """Put everything back."""
        self._pools.end()
        if self._allocator == TUNED:
            ALLOCATOR.end()
        if self._threshold is not None:
            COLLECTION.end(self._threshold)

    @property
    def limited(self) -> bool:
        """Tell whether there is a limit."""
        return self._governor is not None

    async def govern(self, stages: Sequence[Stage], channels: Sequence[Channel], tell: Callable[[Event], None]) -> None:
        """Keep to the limit until cancelled."""
        assert self._governor is not None
        await Governing(self._governor, stages, channels, tell, Footprint()).run()

    def figures(self) -> MemoryFigures:
        """Return what is to be said, as of now."""
        return {
            "memory": self._governor.statistics() if self._governor is not None else None,
            "pools": self._pools.statistics(),
            "allocator": self._allocator,
        }
