"""Ctrl-C, SIGTERM and SIGHUP drain a run, or suspend it; a second one cancels it, a third one ends it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING

from streamflow.cli.exit_codes import OURS, is_users

if TYPE_CHECKING:
    from streamflow.engine.runner import Run

#: Seconds within which signals are one: `timeout` sends its own twice, a shell and a supervisor may both pass one on.
TOGETHER = 0.1
#: Seconds that a run has to end in once the function that held its loop was broken off.
GRACE = 1.0


#: What the first signal does to a run: without checkpoints, and with them.
DRAINING = "draining: what was read is being finished; once more to cancel"
SUSPENDING = "suspending: a last checkpoint is being taken; once more to cancel"


class Interrupted(BaseException):
    """Say that a signal has broken off a function that held the event loop; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stopper:
    """Turn signals into the gears of stopping.

    Signals come here at once, wherever the process is; the gears turn on the loop. Where a function of the user's holds
    the loop, they cannot: the second signal says so, and the third breaks the function off. Should the run go on even
    so, because what was broken off did not hold the loop after all or others refuse to be cancelled, it is ended.
    """

    def __init__(self, run: Run, suspends: bool) -> None:
        self._run = run
        self._first = SUSPENDING if suspends else DRAINING
        self._loop = asyncio.get_running_loop()
        self._came = 0
        self._came_at = float("-inf")
        self._stopping: list[asyncio.Task[object]] = []
        self._last_resort: asyncio.TimerHandle | None = None
        #: The first signal that came, or 0.
        self.signal_number = 0

    def signal(self, number: int, frame: FrameType | None) -> None:
        """Take one signal."""
        now = monotonic()
        if now - self._came_at < TOGETHER:
            return
        self._came_at = now
        # Where those before have not been seen to yet, a function may hold the loop.
        holder = _holder(frame) if self._came > len(self._stopping) else None
        self._came += 1
        if self._came == 1:
            self.signal_number = number
            _say(self._first)
        elif self._came == 2 and holder is None:
            _say("cancelling; once more to end at once")
        elif self._came == 2:
            _say(f"cancelling as soon as {holder} returns, which holds the event loop; once more breaks it off")
        elif holder is None or self._came > 3:
            _end(number)
        else:
            self._loop.call_soon_threadsafe(self._allow_grace, number)
            raise Interrupted(number)
        self._loop.call_soon_threadsafe(self._next_gear)

    def _next_gear(self) -> None:
        gear = self._run.cancel if self._stopping else self._run.drain
        self._stopping.append(self._loop.create_task(gear()))

    def _allow_grace(self, number: int) -> None:
        self._last_resort = self._loop.call_later(GRACE, _end, number)

    async def settled(self) -> None:
        """Wait for what was begun; its errors are those of the run, which its waiter gets."""
        await asyncio.gather(*self._stopping, return_exceptions=True)
        if self._last_resort is not None:
            self._last_resort.cancel()


def _end(number: int) -> None:
    _say("ending at once: what is unfinished bears no final name")
    os._exit(128 + number)


def _say(text: str) -> None:
    """Write to standard error past Python's buffers: the signal may have come in the middle of a write to them."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())


def _holder(frame: FrameType | None) -> str | None:
    """Name the user's function that is at work, if one is."""
    while frame is not None and not is_users(frame.f_code.co_filename):
        # The signal may have come while one before it was taken: what that has interrupted counts.
        if frame.f_code.co_filename.startswith(OURS) and frame.f_code.co_filename != __file__:
            return None  # what called us is no function of the flow
        frame = frame.f_back
    if frame is None or not os.path.isfile(frame.f_code.co_filename):
        return None
    return f"{frame.f_code.co_name} ({frame.f_code.co_filename}, line {frame.f_lineno})"


@contextmanager
def stopping(run: Run, *, suspends: bool) -> Iterator[Stopper]:
    """Let SIGINT, SIGTERM and SIGHUP stop `run` while the block lasts; with checkpoints the first one suspends it."""
    stopper = Stopper(run, suspends)
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    loop = asyncio.get_running_loop()
    for number in numbers:
        with suppress(NotImplementedError):  # Windows
            # Only so that the signal wakes a loop that sleeps: the handler proper runs at once.
            loop.add_signal_handler(number, _awake)
        signal.signal(number, stopper.signal)
    try:
        yield stopper
    finally:
        for number, handler in before.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: one that is not Python's


def _awake() -> None:
    """Do nothing: that the loop turns is enough."""
