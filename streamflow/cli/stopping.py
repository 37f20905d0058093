"""Ctrl-C and SIGTERM drain a run; a second one cancels it. The handlers are the command's own, and put back after."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamflow.engine.runner import Run


class Stopper:
    """Turn signals into the gears of stopping."""

    def __init__(self, run: Run, tell: Callable[[str], object]) -> None:
        self._run = run
        self._tell = tell
        self._stopping: asyncio.Task[object] | None = None
        self.signals = 0

    def signal(self) -> None:
        """Take one signal."""
        self.signals += 1
        if self.signals == 1:
            self._tell("draining: what was read is being finished; once more to cancel")
            self._stopping = asyncio.create_task(self._run.drain())
        elif self.signals == 2:
            self._tell("cancelling")
            self._stopping = asyncio.create_task(self._run.cancel())

    async def settled(self) -> None:
        """Wait for what was begun; its errors are those of the run, which its waiter gets."""
        if self._stopping is not None:
            await asyncio.wait([self._stopping])
            if not self._stopping.cancelled():
                self._stopping.exception()


@contextmanager
def stopping(run: Run, tell: Callable[[str], object]) -> Iterator[Stopper]:
    """Let SIGINT and SIGTERM stop `run` while the block lasts."""
    stopper = Stopper(run, tell)
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in numbers:
            loop.add_signal_handler(number, stopper.signal)
    except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt, which cancels
        yield stopper
        return
    try:
        yield stopper
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
