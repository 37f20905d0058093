"""What coroutines have sent that has not left yet, among it signals, in its order."""

from __future__ import annotations

import asyncio
from typing import Any

#: Results that may wait to be handed on, before whoever sends more waits.
MAX_OUT = 1024


class Outbox:
    """Hand on everything at once as soon as the loop is free, from many coroutines to one."""

    def __init__(self) -> None:
        self._elements: list[Any] = []
        self._ready: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None

    @property
    def full(self) -> bool:
        """Tell whether there is no room."""
        return len(self._elements) >= MAX_OUT

    def put(self, element: Any) -> None:
        """Take an element, whether there is room or not."""
        self._elements.append(element)
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    async def drained(self) -> None:
        """Wait until what is there has been handed on."""
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._drained)  # others wait for it as well

    async def take(self) -> list[Any]:
        """Return what there is, waiting for it; what was taken before has been handed on."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
        if not self._elements:
            self._ready = asyncio.get_running_loop().create_future()
            try:
                await self._ready
            finally:
                self._ready = None
        elements, self._elements = self._elements, []
        return elements
