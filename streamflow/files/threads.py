"""Blocking calls on a file, one after the other, on a thread of the file's own."""

from __future__ import annotations

import asyncio
import logging
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger("streamflow.files")

_open: set[FileThread] = set()


def calls_in_flight() -> int:
    """Return how many calls threads are at now; unless it is 0, a busy loop must give the GIL away."""
    return sum([thread.waiting for thread in tuple(_open)])


def open_threads() -> int:
    """Return how many threads of this kind there are."""
    return len(_open)


#: The class that takes the place of `FileThread` in this context: a simulated run performs the calls on its own loop.
stand_in: ContextVar[type[FileThread] | None] = ContextVar("stand_in", default=None)

#: Seconds that a call which hangs is given at the end, where nothing else was said.
GRACE = 5.0


class FileThread:
    """Run calls in the order in which they were made, on one daemon thread, from one event loop.

    A call whose caller is cancelled still runs to its end, and the calls after it wait for it. `grace` is how
    many seconds `close` gives a call that hangs (a dead network mount, a pipe that nobody reads).
    """

    def __new__(cls, *_: Any, **__: Any) -> FileThread:
        """Make a thread, or what stands in for one here."""
        return super().__new__(stand_in.get() or cls)

    def __init__(self, name: str, grace: float | None = None) -> None:
        self._grace = GRACE if grace is None else grace
        self._loop = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._ended = self._loop.create_future()
        #: Calls that were made and have not come back yet.
        self.waiting = 0
        self._thread = threading.Thread(target=self._run, name=f"streamflow-{name}", daemon=True)
        #: Where the thread stood when it was given up, or None.
        self.abandoned: str | None = None
        self._thread.start()
        _open.add(self)

    def submit(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Have `function(*arguments)` called, and return the future of what it returns or raises."""
        self.waiting += 1
        answer: asyncio.Future[T] = self._loop.create_future()
        self._calls.put(_Call(function, arguments, answer))
        return answer

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Wait for `function(*arguments)`."""
        return await self.submit(function, *arguments)

    async def close(self) -> None:
        """Let the calls that were made end, then the thread; give it up if that takes longer than `grace`."""
        self._calls.put(None)
        _open.discard(self)
        deadline = time.monotonic() + self._grace
        while not self._ended.done() and (left := deadline - time.monotonic()) > 0:
            # The deadline is one of real time: a virtual loop may come back from this at once.
            await asyncio.wait([self._ended], timeout=left)
        if self._ended.done():
            self._thread.join()
        else:
            self._abandon()

    async def close_after(self, last: Callable[[], object], *others: asyncio.Future[Any] | None) -> None:
        """Have `last` called behind the calls that were made, then close.

        Nobody need look any more at what came of it, or of `others`: asyncio would complain otherwise.
        """
        closing = self.submit(last)
        await self.close()
        for future in (closing, *others):
            if future is not None and future.done() and not future.cancelled():
                future.exception()

    def _abandon(self) -> None:
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = traceback.format_stack(frame) if frame is not None else []
        where = stack[-1].strip() if stack else "nowhere"
        self.abandoned = f"thread {self._thread.name!r}: a call does not return, {where}"
        log.warning("abandoned %s", self.abandoned)

    # From here on: on the thread.

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.perform()
            self._tell(self._answer, call)
            del call  # what a call returned must not live until the next one
        self._tell(self._end)

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        # RuntimeError: the loop was closed over an abandoned thread.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    # And here on the loop again.

    def _answer(self, call: _Call) -> None:
        self.waiting -= 1
        call.settle()

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


class _Call:
    """Be one call, what came of it, and the future that waits for it."""

    __slots__ = ("answer", "arguments", "error", "function", "value")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], answer: asyncio.Future[Any]) -> None:
        self.function = function
        self.arguments = arguments
        self.answer = answer
        self.value: Any = None
        self.error: BaseException | None = None

    def perform(self) -> None:
        try:
            self.value = self.function(*self.arguments)
        except BaseException as error:
            self.error = error

    def settle(self) -> None:
        if self.answer.done():
            return  # its caller was cancelled
        if self.error is None:
            self.answer.set_result(self.value)
        else:
            self.answer.set_exception(self.error)
