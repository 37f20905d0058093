"""Who may hand in the next share: first come, first served, so that the stages of a run share a pool fairly."""

from __future__ import annotations

import asyncio
from collections import deque


class Tickets:
    """Let callers wait for one of `capacity` places, in the order in which they came."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Wait for a free place and take it."""
        if self.taken < self.capacity and not self._waiting:
            self.taken += 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future  # who sets it has taken the place already
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """Free a place; it goes to who has waited longest."""
        self.taken -= 1
        while self._waiting and self.taken < self.capacity:
            future = self._waiting.popleft()
            if not future.done():
                self.taken += 1
                future.set_result(None)
