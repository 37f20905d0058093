"""The stand-in for a file's thread in a simulated run: the loop performs its calls when the seed says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from streamflow.files.threads import GRACE, FileThread, _Call, log
from streamflow.testing.sealed_world import World

T = TypeVar("T")


class SimulatedThread(FileThread):
    """Perform each call at a moment that `world` draws, and answer it at a later one, in the order of the calls.

    Between the two, anything may happen on the loop. A call that sleeps (`time.sleep`) takes as long, in virtual
    seconds; the thread is given up at its end as a real one is. A call that waits for the loop hangs for ever.
    """

    def __init__(self, name: str, grace: float | None = None) -> None:
        loop: Any = asyncio.get_running_loop()
        self._world: World = loop.world
        self._opened: set[FileThread] = loop.threads
        self._loop = loop
        self._name = name
        self._grace = GRACE if grace is None else grace
        self._made: deque[_Call] = deque()
        self._performed: deque[_Call] = deque()
        self._at_work = self._closing = False
        self._ended = loop.create_future()
        self.waiting = 0
        self.abandoned = None
        self._opened.add(self)

    def submit(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Have `function(*arguments)` called, and return the future of what it returns or raises."""
        self.waiting += 1
        answer: asyncio.Future[T] = self._loop.create_future()
        self._made.append(_Call(function, arguments, answer))
        if not self._at_work:
            self._go_on()
        return answer

    async def close(self) -> None:
        """Let the calls that were made end; give them up if that takes longer than `grace`."""
        self._opened.discard(self)
        self._closing = True
        if not self._at_work:
            self._go_on()
        await asyncio.wait([self._ended], timeout=self._grace)
        if not self._ended.done():
            self.abandoned = f"thread {self._name!r}: a call does not return"
            log.warning("abandoned %s", self.abandoned)

    def _go_on(self) -> None:
        self._at_work = bool(self._made)
        if self._at_work:
            self._loop.call_later(self._world.lag(), self._perform)
        elif self._closing and not self._performed:
            self._end()

    def _perform(self) -> None:
        call, slept = self._made.popleft(), self._world.slept
        call.perform()
        self._performed.append(call)
        self._loop.call_later(self._world.slept - slept + self._world.lag(), self._tell_next)
        self._loop.call_later(self._world.slept - slept, self._go_on)

    def _tell_next(self) -> None:
        self._answer(self._performed.popleft())
        if self._closing and not self._at_work and not self._performed:
            self._end()
