"""Threads of this process: for functions that wait, or that let go of the GIL as NumPy and numba do."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from streamflow.executors.performing import CURSOR, ITEM, SINCE, STEP, STOP, Performer, tamed
from streamflow.executors.share import Share
from streamflow.executors.tickets import Tickets
from streamflow.model.arguments import whole_number
from streamflow.model.errors import ItemTimeout
from streamflow.model.interfaces import Executor, Pool
from streamflow.model.placement import Chain, Failure, Outcome
from streamflow.model.statistics import PlaceStatistics

log = logging.getLogger("streamflow.executors")

#: Shares that are in a pool for each worker: one at work, one that is there when it ends.
DEPTH = 2
#: Real seconds that a thread is given at the end to come back from its call.
GRACE = 5.0


@dataclass(frozen=True, kw_only=True)
class Threads(Executor):
    """Run functions on `count` threads of this process."""

    count: int
    interrupts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole_number("threads(n)", self.count, 1)

    @property
    def workers(self) -> int:
        """Return the number of threads."""
        return self.count

    @property
    def label(self) -> str:
        """Return `threads(n)`."""
        return f"threads({self.count})"

    async def open(self) -> Pool:
        """Make the pool; its threads begin with the first shares."""
        return ThreadPool(self)


def threads(count: int) -> Threads:
    """Describe `count` threads, for functions that wait or that release the GIL (NumPy, numba, I/O).

    >>> import streamflow as sf
    >>> list(sf.flow(["a", "b"]).map(str.upper, on=sf.threads(2)))
    ['A', 'B']
    """
    return Threads(count=count)


class ThreadPool(Pool):
    """Hold threads that take shares from one queue: who is idle takes the next."""

    def __init__(self, executor: Threads) -> None:
        self.executor = executor
        self.loop = asyncio.get_running_loop()
        self.context = contextvars.copy_context()
        self.shares: queue.SimpleQueue[Share | None] = queue.SimpleQueue()
        self.chains: list[Chain] = []
        self._tickets = Tickets(DEPTH * executor.workers)
        self._lanes: list[_Lane] = []
        self._under_way: set[Share] = set()
        self._closed = False
        self._started = self._abandoned = 0
        self._timer: asyncio.TimerHandle | None = None

    def load(self, chain: Chain) -> int:
        """Keep the chain."""
        self.chains.append(chain)
        return len(self.chains) - 1

    async def room(self) -> None:
        """Wait for one of two places a thread."""
        await self._tickets.wait()

    def decline(self) -> None:
        """Give the place back."""
        self._tickets.give_back()

    def submit(
        self, chain: int, items: Sequence[Any], positions: Sequence[Any] | None, answer: Callable[[Outcome], None]
    ) -> None:
        """Put the share where the next idle thread finds it."""
        share = Share(len(self.chains), chain, items, positions, answer)
        self._under_way.add(share)
        if len(self._lanes) < self.executor.workers:
            self._begin_lane()
        self.shares.put(share)
        if self.chains[chain].timeout is not None and self._timer is None:
            self._watch()

    def statistics(self) -> PlaceStatistics:
        """Return how many threads were begun, and given up."""
        label, count = self.executor.label, self.executor.workers
        return PlaceStatistics(name=label, workers=count, started=self._started, abandoned=self._abandoned)

    async def close(self) -> None:
        """Let each thread come back from its call; one that does not is reported, and left to itself."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        with suppress(queue.Empty):
            while True:
                self.shares.get_nowait()  # what nobody has begun is not begun
        for lane in self._lanes:
            lane.cursor[STOP] = 1
            self.shares.put(None)
        deadline = time.monotonic() + GRACE
        for lane in self._lanes:
            await lane.ended(deadline)
        errors = [lane.error for lane in self._lanes if lane.error is not None]
        if errors:
            raise errors[0]

    # -- on the loop ----------------------------------------------------------------------------------------------

    def answered(self, share: Share, outcome: Outcome) -> None:
        """Take what a thread has made of a share, unless it was given up meanwhile."""
        if self._closed or share not in self._under_way:
            return
        self._under_way.discard(share)
        self._tickets.give_back()
        share.answer(outcome)

    def _begin_lane(self) -> None:
        self._lanes.append(_Lane(self))
        self._started += 1

    def _watch(self) -> None:
        """Give up the calls that have taken too long, and look again when the next one may have."""
        self._timer = None
        for lane in list(self._lanes):
            if lane.seconds_left() <= 0:
                self._abandon(lane)
        timed = [limit for share in self._under_way if (limit := self.chains[share.chain].timeout) is not None]
        if timed and not self._closed:
            # A share that no thread has begun yet has all its time before it.
            soonest = min([*timed, *(lane.seconds_left() for lane in self._lanes)])
            self._timer = self.loop.call_later(max(0.001, soonest), self._watch)

    def _abandon(self, lane: _Lane) -> None:
        share, index, step = lane.share, lane.cursor[ITEM], lane.cursor[STEP]
        if share is None or lane.seconds_left() > 0:
            return  # it has come back in this very moment
        chain = self.chains[share.chain]
        self._lanes.remove(lane)
        self._abandoned += 1
        lane.abandon()
        error = ItemTimeout(
            f"{chain.steps[step].label}: one attempt took longer than timeout={chain.timeout:g} s; a thread cannot be "
            f"broken off, so the call goes on without anybody waiting for it (on=sf.processes(n) can)"
        )
        undone = [other for other in range(len(share.items)) if other != index]
        if len(self._under_way) > 1 or undone:
            self._begin_lane()
        self.answered(share, Outcome(kept=(), failures=[Failure(index, step, error)], undone=undone))


class _Lane:
    """Be one thread, and what it is at."""

    def __init__(self, pool: ThreadPool) -> None:
        self.pool = pool
        self.cursor = [0] * CURSOR
        self.share: Share | None = None
        self.abandoned = False
        self.error: BaseException | None = None
        self._over = pool.loop.create_future()
        self._thread = threading.Thread(
            target=pool.context.copy().run, args=(self._run,), name=f"streamflow {pool.executor.label}", daemon=True
        )
        self._thread.start()

    def seconds_left(self) -> float:
        """Return how long the call under way may still take; endless if there is none, or it has no timeout."""
        share, since = self.share, self.cursor[SINCE]
        limit = self.pool.chains[share.chain].timeout if share is not None else None
        if limit is None or not since:
            return math.inf
        return limit - (time.monotonic_ns() - since) / 1e9

    def abandon(self) -> None:
        """Wait no more for this thread; it ends when its call returns, if ever."""
        self.abandoned = True
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = traceback.format_stack(frame) if frame is not None else []
        where = stack[-1].strip() if stack else "nowhere"
        log.warning("abandoned thread %r: a call does not return, %s", self._thread.name, where)

    async def ended(self, deadline: float) -> None:
        """Wait for the thread's end until `deadline`, in real seconds; then give it up."""
        while not self._over.done() and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait([self._over], timeout=left)
        if self._over.done():
            self._thread.join()
        else:
            self.abandon()

    # From here on: on the thread.

    def _run(self) -> None:
        performers: dict[int, Performer] = {}
        while not self.abandoned and (share := self.pool.shares.get()) is not None:
            self.share = share
            performer = performers.get(share.chain)
            if performer is None:
                performer = performers[share.chain] = Performer(self.pool.chains[share.chain])
            outcome = performer.perform(share.items, share.positions, self.cursor)
            self.cursor[SINCE] = 0
            self.share = None
            self._tell(self.pool.answered, share, outcome)
            del share, outcome  # what a call returned must not live until the next one
        for performer in performers.values():
            try:
                performer.close()
            except BaseException as error:
                self.error = self.error or tamed(error, "resource=")
        self._tell(self._end)

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        # RuntimeError: the loop was closed over an abandoned thread.
        with suppress(RuntimeError):
            self.pool.loop.call_soon_threadsafe(function, *arguments)

    # And here on the loop again.

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)
