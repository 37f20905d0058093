"""How long a run may hold the event loop: one budget for all its stages together."""

from __future__ import annotations

import asyncio
import threading
import time
from time import perf_counter

from streamflow.files.threads import calls_in_flight, open_threads

#: Seconds between two times at which the GIL is given away while other threads are alive (below).
GIVE_AWAY_EVERY = 0.004
#: Seconds asked of the operating system; it makes two to three times as much of them.
GIVE_AWAY_FOR = 50e-6


class Turn:
    """Divide the turns of one event loop among the stages of one run.

    A stage asks `spent()` before each slice of work and, if it is, waits for the next turn. Stages that got nothing
    in a turn go first in the next one, so that a stage that is always hungry starves nobody.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, max_stall: float = 0.001) -> None:
        self.max_stall = max_stall
        self.deadline = 0.0
        #: The number of turns that have ended: two equal readings lie within one turn.
        self.number = 0
        self._loop = loop
        self._denied: list[asyncio.Future[None]] = []
        self._served: list[asyncio.Future[None]] = []
        self._given_away = perf_counter()
        self._ended = 0.0
        self._in_flight = 0

    def spent(self) -> bool:
        """Tell whether this turn's budget is used up; the first to ask in a turn begins it."""
        if not self.deadline:
            self.begin()
            return bool(self._denied)
        return perf_counter() >= self.deadline

    def begin(self) -> None:
        """Begin a turn, if none is under way: its end will be noticed, so that `number` changes."""
        if not self.deadline:
            now = perf_counter()
            self.deadline = now + self.max_stall
            self._loop.call_soon(self._over)
            if now - self._ended > 2 * GIVE_AWAY_FOR:
                self._given_away = now  # the loop was idle in between: whoever waited for the GIL has had it

    async def wait(self, served: bool) -> None:
        """Wait for the next turn; `served` says whether the caller has worked in this one."""
        self.begin()
        future = self._loop.create_future()
        (self._served if served else self._denied).append(future)
        await future

    async def next(self) -> None:
        """Wait for a turn with room: the caller has worked in this one, and goes first once it got nothing in another.

        Behind a stage whose every item takes longer than a turn, it would never have one otherwise.
        """
        served = True
        while self.spent():
            await self.wait(served)
            served = False

    def _over(self) -> None:
        self.deadline = 0.0
        self.number += 1
        waiting = self._denied + self._served
        self._denied.clear()
        self._served.clear()
        for future in waiting:
            if not future.done():
                future.set_result(None)
        self._ended = perf_counter()
        if self._ended - self._given_away >= GIVE_AWAY_EVERY:
            self._give_the_gil_away()

    def _give_the_gil_away(self) -> None:
        # A loop that polls more often than the interpreter's switch interval lets go of the GIL and takes it again
        # before a waiting thread has woken, and each time restarts that thread's patience: it may wait for ever.
        # Sleeping outside the GIL for longer than a wake-up takes is the only thing that helps.
        self._given_away = self._ended
        # Our own threads say whether they have a call in their hands, and most calls come back within one look; of
        # other threads nothing is known.
        in_flight, before = calls_in_flight(), self._in_flight
        self._in_flight = in_flight
        if (in_flight and before) or threading.active_count() - 1 > open_threads():
            time.sleep(GIVE_AWAY_FOR)
