"""An iterator that blocks, pulled on a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

from streamflow.model.errors import RecordError
from streamflow.model.interfaces import Reader
from streamflow.model.positions import Position
from streamflow.model.statistics import Progress

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: Seconds that `close` gives a user's iterator to return from its `next()`.
GRACE = 1.0

log = logging.getLogger("streamflow.sources")


class Pulling(Protocol[T_co]):
    """Be what makes an iterator on the thread that will use it, and closes it there."""

    @property
    def total(self) -> int | None:
        """Return how many items there are, once `begin` was called, if that is known."""

    @property
    def replayable(self) -> bool:
        """Tell whether items can be skipped to reach a position of an earlier run."""

    def begin(self) -> Iterator[T_co]:
        """Return the iterator."""

    def close(self) -> None:
        """Close the iterator."""


class ThreadReader(Reader[T]):
    """Hand over what a thread pulls, as soon as it is there; the thread runs ahead by one batch at most.

    A thread cannot be interrupted: one whose `next()` does not return within `GRACE` seconds of the end is
    abandoned (it does not keep the interpreter alive), logged, and described in `abandoned`.
    """

    def __init__(self, pulling: Pulling[T], label: str) -> None:
        self._pulling = pulling
        self._label = label
        self._index = 0
        self._skip = 0
        self._loop = asyncio.get_running_loop()
        self._arrival: asyncio.Future[None] | None = None
        self._thread: threading.Thread | None = None
        # Shared with the thread, under the lock of this condition.
        self._changed = threading.Condition()
        self._items: deque[T] = deque()
        self._room = 0
        self._stopping = False
        self._deadline = 0.0
        self._ended = False
        self._error: BaseException | None = None
        #: Where the thread stood when it was given up, or None.
        self.abandoned: str | None = None

    async def read(self, limit: int) -> Sequence[T] | None:
        """Wait for the first item, and return it with those that came in the meantime."""
        self._start(limit)
        while True:
            with self._changed:
                batch = self._take(limit)
                if batch or self._ended or (self._stopping and self._time_left() <= 0):
                    break
                arrival = self._arrival = self._loop.create_future()
            if self._stopping:
                # The deadline is one of real time: a virtual loop may come back from this at once.
                await asyncio.wait([arrival], timeout=self._time_left())
            else:
                await arrival
        if batch:
            return batch
        error, self._error = self._error, None
        if error is not None:
            raise error
        return None

    def position(self) -> Position:
        """Return the ordinal of the next item."""
        return Position(self._label, index=self._index)

    def progress(self) -> Progress:
        """Return the items given, of as many as there were at the beginning."""
        return Progress(done=self._index, total=self._pulling.total, unit="items")

    async def seek(self, position: Position) -> None:
        """Have the thread drop the items before `position.index` first."""
        if not self._pulling.replayable or position.index is None:
            await super().seek(position)
        self._index = self._skip = position.index or 0

    def drain(self) -> bool:
        """Stop the thread after the item it waits for, which is still to be read if it comes within `GRACE`."""
        self._stop()
        return self._thread is not None

    async def close(self) -> None:
        """Wait for the thread to end, but not for ever."""
        self._stop()
        thread = self._thread
        if thread is None:
            return
        while not self._ended and (left := self._time_left()) > 0:
            with self._changed:
                arrival = self._arrival = self._loop.create_future()
                if self._ended:
                    break
            await asyncio.wait([arrival], timeout=left)
        if self._ended:
            thread.join()
        else:
            self._abandon(thread)

    def _start(self, limit: int) -> None:
        self._room = limit
        if self._thread is None:
            context = contextvars.copy_context()
            name = f"streamflow-{self._label}"
            self._thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)
            self._thread.start()

    def _take(self, limit: int) -> list[T]:
        items = self._items
        if len(items) <= limit:
            batch = list(items)
            items.clear()
        else:
            batch = [items.popleft() for _ in range(limit)]
        self._index += len(batch)
        self._changed.notify()
        return batch

    def _stop(self) -> None:
        with self._changed:
            if not self._stopping:
                self._stopping = True
                self._deadline = time.monotonic() + GRACE
            self._changed.notify()

    def _time_left(self) -> float:
        return self._deadline - time.monotonic()

    def _abandon(self, thread: threading.Thread) -> None:
        frame = sys._current_frames().get(thread.ident or 0)
        stack = traceback.format_stack(frame) if frame is not None else []
        where = stack[-1].strip() if stack else "nowhere"
        self.abandoned = f"thread {thread.name!r}: the iterator has not returned from next(), {where}"
        log.warning("abandoned %s", self.abandoned)

    # From here on: on the thread.

    def _run(self) -> None:
        try:
            self._pull()
        except BaseException as error:
            self._error = error
        try:
            self._pulling.close()
        except BaseException as error:
            self._error = self._error or error
        with self._changed:
            self._ended = True
            self._wake()

    def _pull(self) -> None:
        iterator = self._pulling.begin()
        for skipped in range(self._skip):
            if next(iterator, self) is self:
                raise RecordError(f"{self._label} ends at item {skipped:,}, before item {self._skip:,}: it has changed")
        while not self._stopping:
            try:
                item = next(iterator)
            except StopIteration:
                return
            self._hand_over(item)

    def _hand_over(self, item: T) -> None:
        with self._changed:
            self._items.append(item)
            self._wake()
            while len(self._items) >= self._room and not self._stopping:
                self._changed.wait()

    def _wake(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is None:
            return
        try:
            self._loop.call_soon_threadsafe(_settle, arrival)
        except RuntimeError:
            return  # the loop was closed over an abandoned thread


def _settle(arrival: asyncio.Future[None]) -> None:
    if not arrival.done():
        arrival.set_result(None)
