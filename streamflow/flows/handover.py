"""Give a flow's items to an `async for`: a sink at one end of a small edge, the iterator at the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from streamflow.channels.memory import Channel
from streamflow.engine.runner import Run
from streamflow.flows.runnable import Runnable
from streamflow.model.batches import Batch
from streamflow.model.interfaces import Sink, Writer
from streamflow.model.markers import EndOfStream

#: Items that may be ready before the loop body asks for them.
AHEAD = 1024


@dataclass(frozen=True, eq=False, kw_only=True)
class HandOver(Sink[Any]):
    """Send each batch down `channel`, which the iterator reads."""

    channel: Channel

    @property
    def label(self) -> str:
        """Return what the items are given to."""
        return "async for"

    async def open(self, bounded: bool) -> Writer[Any]:
        """Open nothing."""
        return HandOverWriter(self.channel)


class HandOverWriter(Writer[Any]):
    """Send batches, and the end when the run closes."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def write(self, batch: Sequence[Any]) -> None:
        """Send a batch, waiting for the iterator."""
        await self._channel.send(Batch(list(batch)))

    async def close(self) -> None:
        """Send the end."""
        self._channel.mark(EndOfStream())


@asynccontextmanager
async def stream(end_in: Callable[[Sink[Any]], Runnable], options: dict[str, Any]) -> AsyncIterator[AsyncIterator[Any]]:
    """Run what `end_in` gives to a sink while the block lasts; what is not asked for by then is given up."""
    channel = Channel("async for", items=AHEAD)
    run = end_in(HandOver(channel=channel)).start(**options)
    try:
        async with run:
            yield _items(channel, run)
            channel.close()
            if run.report is None:
                await run.cancel()
    finally:
        channel.close()


async def _items(channel: Channel, run: Run) -> AsyncIterator[Any]:
    while True:
        message = await channel.receive()
        if isinstance(message, Batch):
            for item in message.items:
                yield item
        elif isinstance(message, EndOfStream):
            await run.wait()
            return
