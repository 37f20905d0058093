"""Give a flow's items to an `async for`: a sink at one end of a small edge, the iterator at the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
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

    @property
    def unresumable(self) -> str:
        """Return why: items that are ready, and not yet asked for, would be lost with the process."""
        return "what the loop has not asked for yet is in no checkpoint; give the items to a function, as in .to(save)"

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


class stream(AbstractAsyncContextManager[AsyncIterator[Any]]):  # noqa: N801 - it is called like a function
    """Run what `end_in` gives to a sink while the block lasts; what is not asked for by then is given up.

    It is no generator with `@asynccontextmanager`, which sets an attribute of the error that passes: some refuse.
    """

    def __init__(self, end_in: Callable[[Sink[Any]], Runnable], options: dict[str, Any]) -> None:
        self._end_in = end_in
        self._options = options

    async def __aenter__(self) -> AsyncIterator[Any]:
        self._channel = Channel("async for", items=AHEAD)
        self._run = self._end_in(HandOver(channel=self._channel)).start(**self._options)
        try:
            await self._run.__aenter__()
        except BaseException:
            self._channel.close()
            raise
        return _items(self._channel, self._run)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._give_up()
            await self._run.__aexit__(kind, error, traceback)
        finally:
            self._channel.close()

    async def _give_up(self) -> None:
        """End the run, which the block has left before its end, or after it."""
        self._channel.close()
        if self._run.report is None:
            try:
                await self._run.cancel()
            except BaseException as error:
                await self._run.__aexit__(type(error), error, error.__traceback__)
                raise


async def _items(channel: Channel, run: Run) -> AsyncIterator[Any]:
    while True:
        message = await channel.receive()
        if isinstance(message, Batch):
            for item in message.items:
                yield item
        elif isinstance(message, EndOfStream):
            await run.wait()
            return
