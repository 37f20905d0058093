"""One worker's place in a pool: the shares that it has, the conversation with it, and what its death has cost."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import time
from collections.abc import Callable, Sequence
from time import thread_time
from typing import Any, Protocol

from streamflow.executors.errors import pickled_error, unpickled_error
from streamflow.executors.kept import GRACE, Kept
from streamflow.executors.performing import ITEM, SINCE, STEP, STOP
from streamflow.executors.process_settings import ProcessSettings
from streamflow.executors.share import Share
from streamflow.executors.wire import Content, Message, Report, in_one_piece
from streamflow.executors.worker import BETWEEN, CURSOR_FIELDS, LOADING, SHARE
from streamflow.executors.worker_process import WorkerProcess
from streamflow.memory.packing import Packed, unpack
from streamflow.memory.pool import ARRAYS
from streamflow.memory.recycled import RecycledCopies
from streamflow.model.errors import ItemTimeout, NotTransferable, WorkerDied
from streamflow.model.placement import Chain, Failure, Outcome

log = logging.getLogger("streamflow.executors")

#: Shares that are with a worker: one at work, one that is there when it ends.
DEPTH = 2
#: Seconds that a worker is given at the end to come back from its call, before it is killed.
GRACE_AT_WORK = 0.25
#: Seconds that it is given at least, when those of all have passed.
LEAST_GRACE = 0.1
#: Seconds that loading functions, and importing what they need, may take.
LOAD_WITHIN = 60.0
#: The part of a worker's arena that results may keep occupied; beyond, they are copied out.
MOST_LENT = 0.5


class Sent(Share):
    """Be a share, and what of it travels."""

    __slots__ = ("held", "parts")

    def __init__(
        self,
        number: int,
        chain: int,
        items: Sequence[Any],
        positions: Sequence[Any] | None,
        answer: Callable[[Outcome], None],
    ) -> None:
        super().__init__(number, chain, items, positions, answer)
        self.parts = Packed(b"", [])
        #: Seconds of work on the loop to send it: not of the clock, which goes on while others have the processor.
        self.held = 0.0

    @property
    def values(self) -> list[Any]:
        """Return what travels: the items, or where positions are wanted the pair of both."""
        return list(self.items) if self.positions is None else [list(self.items), self.positions]


class Crew(Protocol):
    """Be what a lane tells of its worker: the pool."""

    loop: asyncio.AbstractEventLoop
    executor: ProcessSettings
    chains: list[Chain]
    pickled: list[bytes]
    closed: bool

    def answer(self, share: Sent, outcome: Outcome) -> None:
        """Take what came of a share."""

    def place_waiting(self) -> None:
        """Look whether there is room for a share that waits."""

    def recycle(self, lane: Lane) -> None:
        """Take note that a worker has done its part."""

    def reap(self, lane: Lane) -> None:
        """Take note that a worker's pipe has ended."""

    def answered(self) -> None:
        """Take note that a worker has done something."""

    def drop_spare(self, lane: Lane) -> bool:
        """Do without the spare worker, if `lane` is that."""

    def resources_left(self, error: bytes | None) -> None:
        """Take note that a worker has left its resources, perhaps with an error."""

    def give_up(self, error: BaseException) -> None:
        """Take note that a worker cannot be started."""


class Lane:
    """Talk with one worker, on the pool's loop."""

    def __init__(self, pool: Crew, worker: WorkerProcess) -> None:
        self.pool = pool
        self.worker = worker
        #: What it has, by number, in order.
        self.shares: dict[int, Sent] = {}
        self.retired = False
        #: Whether the worker has died while it loaded functions.
        self.was_loading = False
        self._attached = self._writing = self._ended = False
        self._copies = RecycledCopies(ARRAYS)
        self._told = 0
        self._items_done = 0
        #: The share and item that were to be broken off, and the cursor as it stood at the end.
        self._overdue: tuple[int, int] | None = None
        self._last_cursor: Sequence[int] = (0,) * CURSOR_FIELDS
        self._answers: dict[str, Callable[..., None]] = {
            "ready": self._ready,
            "outcome": self._outcome,
            "need": self._need,
            "full": self._full,
            "ended": pool.resources_left,
        }

    # -- its life -------------------------------------------------------------------------------------------------

    def started(self, starting: asyncio.Future[WorkerProcess]) -> None:
        """Begin the conversation; if there is no process, there is none to be had."""
        if starting.cancelled() or self.pool.closed:
            return
        error = starting.exception()
        if error is None:
            self.attach()
            return
        self._ended = True
        if not self.pool.drop_spare(self):
            self.pool.give_up(error)

    def attach(self) -> None:
        """Listen to the worker."""
        self._attached = True
        self.pool.loop.add_reader(self.worker.pipe.fileno(), self._readable)
        self._send(("argv", sys.argv))
        self.tell_chains()
        self.pool.place_waiting()

    def _detach(self) -> None:
        if self._attached:
            self._attached = False
            self.pool.loop.remove_reader(self.worker.pipe.fileno())
            if self._writing:
                self.pool.loop.remove_writer(self.worker.pipe.fileno())

    def retire(self) -> None:
        """Take no more shares, and end after those that are here."""
        self.retired = True
        if not self.shares:
            self._send(("end",))

    def leave(self, kept: Kept | None) -> bool:
        """Say good-bye on the loop; return whether `farewell` is to follow on a thread."""
        self._detach()
        if self._ended:
            return False
        self.worker.cursor[STOP] = 1
        if self.worker.ready:
            self.worker.send(("end",) if kept is None or self.retired else ("forget",))
        return True

    def farewell(self, kept: Kept | None, deadline: float) -> bytes | None:
        """Wait for the worker's end, or keep it for the next run; on a thread. Return what leaving resources raised.

        The `deadline` (of `time.monotonic`) is that of all workers together.
        """
        worker = self.worker
        if worker.process is None:
            return None
        keeping = kept is not None and not self.retired
        grace = max(deadline - time.monotonic(), LEAST_GRACE)
        said = worker.converse(
            "forgotten" if keeping else "ended", (GRACE_AT_WORK if self.shares else grace) if worker.ready else 0.0
        )
        error: bytes | None = said[1] if said is not None else self._unsaid()
        if keeping and kept is not None and said is not None:
            worker.cursor[STOP] = 0
            if not kept.put([worker]):
                return error
        worker.wait(LEAST_GRACE if said is not None else 0.0)
        return error

    def _unsaid(self) -> bytes | None:
        """Return the error of a worker that was idle and has not come back from leaving its resources."""
        resources = any(step.resource is not None for chain in self.pool.chains for step in chain.steps)
        if not resources or self.shares or not self.worker.ready:
            return None
        message = f"{self.worker!r} was ended while it left its resources: it has {GRACE:g} s for that, or it has died"
        return pickled_error(WorkerDied(message), "resource=")

    # -- the conversation -----------------------------------------------------------------------------------------

    def tell_chains(self) -> None:
        """Send the chains that the worker does not know yet."""
        while self._attached and self._told < len(self.pool.pickled):
            self._send(("chain", self._told, self.pool.pickled[self._told]))
            self._told += 1

    def trim(self) -> None:
        """Have both arenas give back the pages that are free."""
        if self._attached:
            self.worker.inbox.trim()
            self._send(("trim",))

    def take(self, share: Sent) -> bool:
        """Send a share, if there is room for it in the worker's memory."""
        if not self._attached or self.retired:
            return False
        content = self._content(share)
        if content is None:
            return False
        self.shares[share.number] = share
        share.parts = Packed(b"", [])
        placed = share.positions is not None
        self._send(("share", share.number, share.chain, content, placed, self.worker.take_freed()))
        return True

    def _content(self, share: Sent) -> Content | None:
        try:
            # Where nothing is under way, nothing would ever make room: then a share passes whatever the bound is.
            return self.worker.place(share.parts, len(share.items), beyond=not self.shares)
        except OSError:
            # The system has no room for shared memory: the share goes through the pipe.
            return in_one_piece(share.values), [], len(share.items)

    def _send(self, message: Message) -> None:
        if not self.worker.send(message) and not self._writing:
            self._writing = True
            self.pool.loop.add_writer(self.worker.pipe.fileno(), self._writable)

    def _writable(self) -> None:
        if self.worker.flush():
            self._writing = False
            self.pool.loop.remove_writer(self.worker.pipe.fileno())

    def _readable(self) -> None:
        messages = self.worker.read()
        if messages is None:
            self._end()
            return
        try:
            for kind, *rest in messages:
                self._answers[kind](*rest)
        except Exception:
            log.exception("a worker process has said what nobody understands: it is ended, its items are done again")
            self.worker.kill()

    def _ready(self) -> None:
        self.worker.ready = True

    def _outcome(self, number: int, content: Content, report: Report, frees: list[int]) -> None:
        for offset in frees:
            self.worker.inbox.give_back(offset)
        share = self.shares[number]
        began = thread_time()
        outcome = self._read_outcome(share, content, report)
        outcome.crossing = max(share.held, thread_time() - began)
        del self.shares[number]
        self.pool.answered()
        self.pool.answer(share, outcome)
        self._items_done += len(share.items) - len(outcome.undone)
        limit = self.pool.executor.recycle_after
        if self.retired:
            self.retire()
        elif limit is not None and self._items_done >= limit:
            self.pool.recycle(self)
        self.pool.place_waiting()

    def _need(self, name: str) -> None:
        from streamflow.executors.by_value import dumps

        value = getattr(sys.modules.get("__main__"), name, None)
        try:
            pickled = dumps(value) if value is not None else None
        except Exception:
            pickled = None  # the worker says what it cannot find
        self._send(("main", name, pickled))

    def _full(self) -> None:
        freed = self.worker.take_freed()
        self._send(("room", freed, not freed))

    # -- what comes back ------------------------------------------------------------------------------------------

    def _read_outcome(self, share: Sent, content: Content, report: Report) -> Outcome:
        kept, dropped, failed, undone, apart, seconds, fatal = report
        failures = [Failure(index, step, unpickled_error(error)) for index, step, error in failed]
        outcome = Outcome(
            kept=kept,
            dropped=dropped,
            failures=failures,
            undone=undone,
            apart=apart,
            seconds=seconds,
            fatal=None if fatal is None else unpickled_error(fatal),
        )
        try:
            outcome.values = self._values(content)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a class of the user's raises there is the failure of its item
            if len(share.items) > 1:
                return Outcome(kept=(), undone=range(len(share.items)), apart=True)
            label = self.pool.chains[share.chain].label
            message = f"{label}: the result cannot be read here: {type(error).__name__}: {error}"
            return Outcome(kept=(), failures=[Failure(0, 0, NotTransferable(message))])
        return outcome

    def _values(self, content: Content) -> list[Any]:
        payload, buffers, _ = content
        worker = self.worker
        crossed = sum(reference[1] for reference in buffers)
        worker.crossed += crossed
        lent = worker.outbox.held + worker.returned.held + crossed
        as_views = self.pool.executor.views and lent <= MOST_LENT * self.pool.executor.arena_size
        views = [self._lent(*buffer) if as_views else self._copied(*buffer) for buffer in buffers]
        values: list[Any] = unpack(self._copied(*payload) if isinstance(payload, tuple) else payload, views)
        return values

    def _lent(self, offset: int, length: int, readonly: bool, returned: bool) -> memoryview:
        worker = self.worker
        if returned:
            return worker.returned.lend(offset, length, readonly, worker.returned_freed.append)
        return worker.outbox.lend(offset, length, readonly, worker.freed.append)

    def _copied(self, offset: int, length: int, readonly: bool, returned: bool) -> memoryview:
        worker = self.worker
        source = (worker.returned if returned else worker.outbox).segment.view(offset, length)
        copy = self._copies.copy(source, readonly=readonly)
        (worker.returned_freed if returned else worker.freed).append(offset)
        return copy

    # -- time, and death ------------------------------------------------------------------------------------------

    def _at_work(self) -> tuple[int, int, int]:
        """Return share, item and since when; item before time, as it is written the other way round."""
        cursor = self.worker.cursor
        number, item = cursor[SHARE], cursor[ITEM]
        return number, item, cursor[SINCE]

    def seconds_left(self) -> float:
        """Return how long the call under way may still take; endless if there is none, or it has no timeout."""
        if self._ended or not self._attached:
            return math.inf
        number, item, since = self._at_work()
        share = self.shares.get(number)
        limit = self.pool.chains[share.chain].timeout if share is not None else LOAD_WITHIN if item == LOADING else None
        if limit is None or not since:
            return math.inf
        return limit - (time.monotonic_ns() - since) / 1e9

    def kill_overdue(self) -> None:
        """Break off the call that has taken too long, if it is still the same."""
        number, item, _ = self._at_work()
        if self.seconds_left() <= 0 and self._at_work()[:2] == (number, item):
            self._overdue = number, item
            self.worker.kill()

    def notice_death(self) -> None:
        """See to a worker that has ended although its pipe is open: a child of its own may hold that."""
        if self._attached and not self.worker.alive:
            self._end()

    def _end(self) -> None:
        """Let go of a worker whose pipe has ended, and learn how it ended itself."""
        if self._ended:
            return
        self._ended = True
        self._last_cursor = tuple(self.worker.cursor)
        self.was_loading = self._last_cursor[ITEM] == LOADING
        self._detach()
        self.pool.reap(self)

    def post_mortem(self, how: str) -> list[tuple[Sent, Outcome]]:
        """Return what became of the shares that were here: the item at work has failed, the rest is given again."""
        shares, self.shares = self.shares, {}
        return [(share, self._remains(share, how)) for share in shares.values()]

    def _remains(self, share: Sent, how: str) -> Outcome:
        cursor, count = self._last_cursor, len(share.items)
        if cursor[SHARE] != share.number:
            return Outcome(kept=(), undone=range(count))
        if self._overdue is not None and self._overdue != (share.number, cursor[ITEM]):
            return Outcome(kept=(), undone=range(count))  # it was killed for an item that had just come through
        if cursor[ITEM] == BETWEEN and count > 1:
            return Outcome(kept=(), undone=range(count), apart=True)
        index = 0 if cursor[ITEM] == BETWEEN else cursor[ITEM]
        error = self._obituary(share, index, cursor[STEP], how)
        undone = [other for other in range(count) if other != index]
        return Outcome(kept=(), failures=[Failure(index, cursor[STEP], error)], undone=undone)

    def _obituary(self, share: Sent, index: int, step: int, how: str) -> Exception:
        chain = self.pool.chains[share.chain]
        label = chain.steps[step].label
        if self._overdue is not None:
            return ItemTimeout(
                f"{label}: one attempt took longer than timeout={chain.timeout:g} s, so its worker was killed"
            )
        return WorkerDied(f"{label}: its worker process {how} while it had this item")

    def __repr__(self) -> str:
        return f"<Lane of {self.worker!r}: {len(self.shares)} shares>"
