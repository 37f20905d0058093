"""Where a stage's results go: to each of its edges, or to those of the output that a route has chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamflow.channels.memory import Channel
from streamflow.model.batches import Batch
from streamflow.model.markers import Barrier, Marker


class Outlet:
    """Hand every batch and marker to each of `channels`, at the pace of the slowest that blocks."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self.channels = tuple(channels)

    @property
    def closed(self) -> bool:
        """Tell whether nobody reads any more (an outlet without edges is never closed)."""
        return bool(self.channels) and all(channel.closed for channel in self.channels)

    async def send(self, batch: Batch) -> int:
        """Send `batch` down every edge; return how many of its items no edge was there for."""
        for channel in self.channels:
            await channel.send(batch)
        return 0

    def mark_for_ended(self, barrier: Barrier) -> None:
        """Send a barrier for a stage that has ended, where it need not wait for what lies before it."""
        for channel in self.channels:
            if channel.overtaken:
                channel.mark(barrier)

    def mark(self, marker: Marker) -> None:
        """Send `marker` down every edge, now, so that it reaches all of them before anything after it."""
        for channel in self.channels:
            channel.mark(marker)


class RoutingOutlet(Outlet):
    """Sort pairs `(output, item)` onto the edges of each output; what goes to an unread output counts as dropped."""

    def __init__(self, outputs: Mapping[Any, Sequence[Channel]], pairs: bool) -> None:
        super().__init__([channel for channels in outputs.values() for channel in channels])
        self._outputs = {which: Outlet(channels) for which, channels in outputs.items()}
        self._pairs = pairs

    async def send(self, batch: Batch) -> int:
        """Sort, and send each output's share, in the order in which outputs first occur."""
        boxes: dict[Any, list[Any]] = {}
        for element in batch.items:
            (which, item), *position = element if self._pairs else (element,)
            boxes.setdefault(which, []).append((item, *position) if self._pairs else item)
        unread = 0
        for which, items in boxes.items():
            outlet = self._outputs.get(which)
            if outlet is None:
                unread += len(items)
            else:
                await outlet.send(Batch(items, batch.origin))
        return unread
