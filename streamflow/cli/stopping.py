"""Ctrl-C, SIGTERM and SIGHUP drain a run; a second one cancels it. The handlers are the command's own."""

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
        self._stopping: list[asyncio.Task[object]] = []
        #: The first signal that came, or 0.
        self.signal_number = 0

    def signal(self, number: int) -> None:
        """Take one signal."""
        if not self._stopping:
            self.signal_number = number
            self._tell("draining: what was read is being finished; once more to cancel")
            self._stopping.append(asyncio.create_task(self._run.drain()))
        elif len(self._stopping) == 1:
            self._tell("cancelling")
            self._stopping.append(asyncio.create_task(self._run.cancel()))

    async def settled(self) -> None:
        """Wait for what was begun; its errors are those of the run, which its waiter gets."""
        await asyncio.gather(*self._stopping, return_exceptions=True)


@contextmanager
def stopping(run: Run, tell: Callable[[str], object]) -> Iterator[Stopper]:
    """Let SIGINT, SIGTERM and SIGHUP stop `run` while the block lasts."""
    stopper = Stopper(run, tell)
    loop = asyncio.get_running_loop()
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    try:
        for number in numbers:
            loop.add_signal_handler(number, stopper.signal, int(number))
    except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt, which cancels
        yield stopper
        return
    try:
        yield stopper
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
