"""The passing of time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from streamflow.model.arguments import seconds_of, whole_number
from streamflow.model.errors import RecordError
from streamflow.model.interfaces import Reader, Source
from streamflow.model.positions import Position


@dataclass(frozen=True)
class Ticks(Source[int]):
    """Count 0, 1, 2, … with `every` seconds in between, the first at once; end after `count`, if given.

    Ticks that nobody was there to take are not made up for: however many were missed, one comes, and the next
    ones keep to the times set by the first.
    """

    guarantee = "counted on from any position"

    every: float
    _: KW_ONLY
    count: int | None = None

    def __post_init__(self) -> None:
        seconds_of("Ticks(every=...)", self.every)
        if self.count is not None:
            whole_number("Ticks(count=...), None for no end", self.count, 0)

    @property
    def bounded(self) -> bool:
        """Tell whether there is a `count`."""
        return self.count is not None

    @property
    def replayable(self) -> bool:
        """Tell that it can count on from any number; the next tick after that comes at once."""
        return True

    async def open(self) -> Reader[int]:
        """Begin to count at the first read."""
        return TickReader(self.every, self.count, self.label)


class TickReader(Reader[int]):
    """Wait for the next tick by the clock of the loop."""

    def __init__(self, every: float, count: int | None, label: str) -> None:
        self._every = every
        self._count = count
        self._label = label
        self._index = 0
        self._due: float | None = None

    async def read(self, limit: int) -> Sequence[int] | None:
        """Wait until the next tick is due."""
        if self._index == self._count:
            return None
        loop = asyncio.get_running_loop()
        due = loop.time() if self._due is None else self._due
        await asyncio.sleep(max(0.0, due - loop.time()))
        # A timer may fire a moment early, by the resolution of the clock: that misses nothing.
        missed = max(0, math.floor((loop.time() - due) / self._every))
        self._due = due + (missed + 1) * self._every
        self._index += 1
        return (self._index - 1,)

    def position(self) -> Position:
        """Return the number of the next tick."""
        return Position(self._label, index=self._index)

    async def seek(self, position: Position) -> None:
        """Count on from `position.index`."""
        if position.index is None:
            raise RecordError(f"cannot seek to {position}: it has no index")
        self._index, self._due = position.index, None

    def drain(self) -> bool:
        """End: a tick that is not due yet does not come."""
        self._count = self._index
        return False
