"""Bytes of a pipe, a socket or a terminal, as they come."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from functools import partial

from streamflow.sources.lines import Blocks

#: Bytes that are read at once; a pipe holds no more.
BLOCK = 1 << 16


class PipeBlocks(Blocks):
    """Read what is in a pipe, a socket or a terminal when the loop says that there is something.

    Not on a thread: that would be stuck in a read that nothing can interrupt when the run ends first.
    """

    def __init__(self, descriptor: int, *, owned: bool = False) -> None:
        self._descriptor = descriptor
        self._owned = owned
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    async def next(self) -> tuple[bytes, int]:
        """Wait until there is something, and return it."""
        while True:
            if not self._poll.poll(0):
                await self._readable()
            try:
                block = os.read(self._descriptor, BLOCK)
            except BlockingIOError:
                continue  # somebody else reads here too, and was faster
            return block, len(block)

    async def close(self) -> None:
        """Close the descriptor, if it is owned."""
        if self._owned:
            os.close(self._descriptor)

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = loop.create_future()
        _watch(loop, self._descriptor, partial(_settle, readable))
        try:
            await readable
        finally:
            loop.remove_reader(self._descriptor)


def _settle(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


def _watch(loop: asyncio.AbstractEventLoop, descriptor: int, callback: Callable[[], object]) -> None:
    blocking = os.get_blocking(descriptor)
    loop.add_reader(descriptor, callback)
    # uvloop makes it non-blocking for good, and with a terminal everybody's output too.
    os.set_blocking(descriptor, blocking)


def watchable(descriptor: int) -> bool:
    """Tell whether the running loop can say when there is something to read."""
    if not hasattr(select, "poll"):
        return False
    loop = asyncio.get_running_loop()
    try:
        _watch(loop, descriptor, lambda: None)
    except (OSError, NotImplementedError, ValueError):
        return False  # /dev/null, for one
    loop.remove_reader(descriptor)
    return True
