"""A plain `for` over a flow: by hand where nothing waits, else from an event loop on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from streamflow.engine.driver import Driver, can_drive, open_now
from streamflow.flows.runnable import Runnable, loop_factory
from streamflow.model.interfaces import PullReader, Sink, Writer

#: Batches that may be ready before the loop body asks for them.
AHEAD = 8


def iterate(end_in: Callable[[Sink[Any]], Runnable], *, fuse: bool = True) -> Iterator[Any]:
    """Return an iterator over what `end_in` gives to a sink; closing it ends the run."""
    plan = end_in(Batches(give=_nowhere)).plan
    source = plan.stages[0].source
    if can_drive(plan) and source is not None and source.decode is None:
        reader = open_now(source.open())
        if isinstance(reader, PullReader):
            return Driver(plan, reader, fuse=fuse).items()
        if reader is not None:
            open_now(reader.close())
    return _from_thread(end_in)


async def _nowhere(batch: list[Any]) -> None:
    """Stand for the loop body in a plan that only the synchronous driver runs."""


def _from_thread(end_in: Callable[[Sink[Any]], Runnable]) -> Iterator[Any]:
    """Run the flow on a loop on a thread, with the caller's context variables, and hand its batches over.

    The thread is started when the first item is asked for, and has ended when the iterator is exhausted or closed.
    """
    bridge = Bridge()
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(bridge.run, end_in), name="streamflow for loop", daemon=True
    )
    thread.start()
    try:
        while True:
            kind, value = bridge.ready.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            bridge.taken()
            yield from value
    finally:
        bridge.stop()
        thread.join()


class Bridge:
    """Carry batches from a loop on another thread to a plain iterator, `AHEAD` of them at most."""

    def __init__(self) -> None:
        self.ready: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room: asyncio.Semaphore | None = None
        self._main: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, end_in: Callable[[Sink[Any]], Runnable]) -> None:
        """Run the flow to its end; on the loop's thread."""
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._run(end_in))
        except BaseException as error:
            self.ready.put(("error", error))
        else:
            self.ready.put(("end", None))

    async def _run(self, end_in: Callable[[Sink[Any]], Runnable]) -> None:
        room = self._room = asyncio.Semaphore(AHEAD)

        async def give(batch: list[Any]) -> None:
            await room.acquire()
            self.ready.put(("items", batch))

        run = end_in(Batches(give=give)).run()
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._main = asyncio.current_task()
            if self._stopped:
                run.close()
                return
        await run

    def taken(self) -> None:
        """Make room for one more batch; on the iterator's thread."""
        assert self._loop is not None
        assert self._room is not None
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits for room
            self._loop.call_soon_threadsafe(self._room.release)

    def stop(self) -> None:
        """Cancel the run if it has not ended; on the iterator's thread."""
        with self._lock:
            self._stopped = True
            if self._loop is not None and self._main is not None:
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._main.cancel)


@dataclass(frozen=True, eq=False, kw_only=True)
class Batches(Sink[Any]):
    """Await `give` with each batch."""

    give: Callable[[list[Any]], Awaitable[None]]

    @property
    def label(self) -> str:
        """Return what the items are given to."""
        return "for"

    async def open(self, bounded: bool) -> Writer[Any]:
        """Open nothing."""
        return BatchesWriter(self.give)


class BatchesWriter(Writer[Any]):
    """Await a function with each batch."""

    def __init__(self, give: Callable[[list[Any]], Awaitable[None]]) -> None:
        self._give = give

    async def write(self, batch: Sequence[Any]) -> None:
        """Give the batch."""
        await self._give(list(batch))
