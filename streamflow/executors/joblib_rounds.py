"""The thread that gives shares to joblib's `Parallel`, round after round.

A round takes the shares that are there, and goes on as long as more of them are there when a worker has done one. It
never waits for the next: joblib asks for it under a lock without which no result of another comes through.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from streamflow.executors.joblib_parallel import BrokenOff, parallel
from streamflow.executors.joblib_places import Place
from streamflow.executors.share import Share
from streamflow.files.threads import FileThread
from streamflow.model.errors import WorkerDied
from streamflow.model.placement import Failure, Outcome

log = logging.getLogger("streamflow.executors")

#: Real seconds that calls which cannot be broken off are given at the end.
GRACE = 5.0


class Called(Share):
    """Be a share, and the call that does it."""

    __slots__ = ("call",)

    call: Any


class Listener(Protocol):
    """Be told, on the loop, what came of the shares: the pool."""

    loop: asyncio.AbstractEventLoop

    def answered(self, share: Called, outcome: Outcome) -> None:
        """Take what came of a share."""

    def worker_died(self) -> None:
        """Take note of it."""

    def gave_up(self, error: BaseException) -> None:
        """Take note that nothing that was put will be done."""


class Rounds:
    """Own the thread, from its first share on."""

    def __init__(self, label: str, workers: int, place: Place, listener: Listener) -> None:
        self._label = label
        self._workers = workers
        self._place = place
        self._listener = listener
        self._shares: queue.SimpleQueue[Called | None] = queue.SimpleQueue()
        #: Items each of which may have cost the workers: they are done one by one.
        self._suspects: deque[Called] = deque()
        self._closed = self._over = False
        self._error: BaseException | None = None
        self._ended = listener.loop.create_future()
        self._thread: threading.Thread | None = None

    def put(self, share: Called) -> None:
        """Have a share done, in this round or the next."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"streamflow {self._label}", daemon=True)
            self._thread.start()
        self._shares.put(share)

    async def close(self, *, at_work: bool) -> None:
        """End the thread, and with it the workers; raise what has ended it, or leaving the resources has raised."""
        self._closed = True
        self._shares.put(None)
        if self._thread is None:
            return
        if at_work:
            breaking = FileThread(f"{self._label} breaking off", grace=GRACE)
            breaking.submit(self._place.break_off)
            await breaking.close()
        deadline = time.monotonic() + GRACE
        while not self._ended.done() and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait([self._ended], timeout=left)
        if not self._ended.done():
            log.warning("abandoned thread %r: a call does not return", self._thread.name)
            return
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    # From here on: on the thread.

    def _run(self) -> None:
        try:
            while not self._over:
                with parallel(self._workers, self._place.backend) as workers:
                    self._go_round(workers)
        except BrokenOff:
            pass  # as it was asked for
        except BaseException as error:
            self._error = error
            self._tell(self._listener.gave_up, error)
        self._tell(self._end)

    def _go_round(self, workers: Any) -> None:
        """Do rounds up to the end, or until one of them breaks: joblib's object is of no use after that."""
        while True:
            alone = bool(self._suspects)
            share = self._suspects.popleft() if alone else self._shares.get()
            if share is None:
                self._over = True
                self._place.leave(workers, self._workers)
                return
            if not self._round(workers, share, alone=alone):
                return

    def _round(self, workers: Any, first: Called, *, alone: bool) -> bool:
        """Do `first`, and what else is there unless it is to be `alone`; tell whether no worker has died."""
        given: dict[int, Called] = {}
        error: BaseException = WorkerDied("joblib has given up")
        try:
            for number, answer in workers(self._calls(first, given, alone=alone)):
                share = given.pop(number)
                self._tell(self._listener.answered, share, self._place.read(share, answer))
                del share, answer  # what a call returned must not live until the next one
        except Exception as raised:
            error = raised
        if not given:
            return True
        if not self._closed:
            self._blame(list(given.values()), error)
        return False

    def _calls(self, first: Called, given: dict[int, Called], *, alone: bool) -> Iterator[Any]:
        share: Called | None = first
        while share is not None and not self._closed:
            given[share.number] = share
            yield share.call
            share = None if alone else self._one_more()

    def _one_more(self) -> Called | None:
        """Return a share if there is one now."""
        with suppress(queue.Empty):
            share = self._shares.get_nowait()
            if share is None:
                self._shares.put(None)
            return share
        return None

    def _blame(self, lost: list[Called], error: BaseException) -> None:
        """Find out which item has cost the workers: loky's all end with the first of them."""
        self._tell(self._listener.worker_died)
        if len(lost) == 1 and len(lost[0].items) == 1:
            self._tell(self._listener.answered, lost[0], self._obituary(lost[0], error))
            return
        for share in lost:
            if len(share.items) > 1:
                apart = Outcome(kept=(), undone=range(len(share.items)), apart=True)
                self._tell(self._listener.answered, share, apart)
            else:
                self._suspects.append(share)

    def _obituary(self, share: Called, error: BaseException) -> Outcome:
        label = self._place.chains[share.chain].label
        said = str(error).strip().splitlines()
        died = WorkerDied(f"{label}: its worker process ended while it had this item: {said[-1] if said else error!r}")
        died.__cause__ = error
        return Outcome(kept=(), failures=[Failure(0, 0, died)])

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        # RuntimeError: the loop was closed over an abandoned thread.
        with suppress(RuntimeError):
            self._listener.loop.call_soon_threadsafe(function, *arguments)
