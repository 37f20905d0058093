"""Ctrl-C, SIGTERM and SIGHUP drain a run; a second one cancels it, a third one ends it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from streamflow.cli.exit_codes import is_users

if TYPE_CHECKING:
    from streamflow.engine.runner import Run


class Interrupted(BaseException):
    """Say that a signal has broken off a function that held the event loop; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stopper:
    """Turn signals into the gears of stopping.

    Signals come here at once, wherever the process is; the gears turn on the loop. Where a function holds the loop,
    they cannot: the second signal says so, and the third breaks the function off.
    """

    def __init__(self, run: Run, tell: Callable[[str], object]) -> None:
        self._run = run
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._came = 0
        self._stopping: list[asyncio.Task[object]] = []
        #: The first signal that came, or 0.
        self.signal_number = 0

    def signal(self, number: int, frame: FrameType | None) -> None:
        """Take one signal."""
        held = self._came > len(self._stopping)  # those before have not been seen to yet
        self._came += 1
        if self._came == 1:
            self.signal_number = number
            self._tell("draining: what was read is being finished; once more to cancel")
        elif self._came == 2:
            holding = f"{_holder(frame)} holds the event loop, so that nothing can stop; once more breaks it off"
            self._tell(holding if held else "cancelling; once more to end at once")
        elif held:
            raise Interrupted(number)
        else:
            self._tell("ending at once: what is unfinished bears no final name")
            os._exit(128 + number)
        self._loop.call_soon_threadsafe(self._next_gear)

    def _next_gear(self) -> None:
        gear = self._run.cancel if self._stopping else self._run.drain
        self._stopping.append(self._loop.create_task(gear()))

    async def settled(self) -> None:
        """Wait for what was begun; its errors are those of the run, which its waiter gets."""
        await asyncio.gather(*self._stopping, return_exceptions=True)


def _holder(frame: FrameType | None) -> str:
    """Name the user's function that is at work."""
    while frame is not None and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return "a function" if frame is None else f"{frame.f_code.co_name} ({frame.f_code.co_filename}, {frame.f_lineno})"


@contextmanager
def stopping(run: Run, tell: Callable[[str], object]) -> Iterator[Stopper]:
    """Let SIGINT, SIGTERM and SIGHUP stop `run` while the block lasts."""
    stopper = Stopper(run, tell)
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, stopper.signal) for number in numbers}
    try:
        yield stopper
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
