"""The live pool of worker processes: who gets which share, who has died and what that costs, and the end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import thread_time
from typing import Any

from streamflow.executors.crossing import pickled_chain, refused
from streamflow.executors.errors import unpickled_error
from streamflow.executors.kept import GRACE, Kept
from streamflow.executors.process_lane import DEPTH, Lane, Sent
from streamflow.executors.process_settings import ProcessSettings
from streamflow.executors.tickets import Tickets
from streamflow.executors.wire import packed
from streamflow.executors.worker_process import WorkerProcess
from streamflow.files.threads import FileThread
from streamflow.memory.allocator import allocator_environment
from streamflow.memory.reclaiming import register
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Pool
from streamflow.model.placement import Chain, Outcome
from streamflow.model.statistics import PlaceStatistics

#: Deaths in a row without any item to blame, after which no more workers are started.
MAX_UNEXPLAINED = 3
#: Seconds that a worker may live on without its pipe.
LINGER = 0.2
#: Seconds between two looks at the workers.
LOOK_EVERY = 0.25
#: Seconds until the first spare worker is started: until then it would only slow the others down.
SPARE_AFTER = 0.5


class ProcessPool(Pool):
    """Hold `count` workers and a spare one, and give each share to the worker that has the fewest."""

    def __init__(self, executor: ProcessSettings, kept: Kept | None) -> None:
        self.executor = executor
        self.loop = asyncio.get_running_loop()
        self.chains: list[Chain] = []
        self.pickled: list[bytes] = []
        self._kept = kept
        self._tickets = Tickets(DEPTH * executor.workers)
        self._thread = FileThread(executor.label, grace=2 * GRACE)
        self._lanes: list[Lane] = []
        self._spare: Lane | None = None
        self._retiring: set[Lane] = set()
        self._waiting: deque[Sent] = deque()
        self._serial = 0
        self._unexplained = 0
        self._counts = Counter[str]()
        self._timer: asyncio.TimerHandle | None = None
        self._began = self.loop.time()
        self.closed = False
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Start the workers, or take those that were kept."""
        register(self)
        for worker in self._kept.take() if self._kept is not None else []:
            if worker.alive and len(self._lanes) < self.executor.workers:
                self._lanes.append(Lane(self, worker))
                self._lanes[-1].attach()
            elif worker.alive and self._spare is None:
                self._spare = Lane(self, worker)
                self._spare.attach()
            else:
                worker.kill()
                self._thread.submit(worker.wait, GRACE)
        while len(self._lanes) < self.executor.workers:
            self._lanes.append(self._new_lane())
        self._look_later(LOOK_EVERY)

    # -- what the stages ask --------------------------------------------------------------------------------------

    def load(self, chain: Chain) -> int:
        """Pickle the functions by value where they have no module, and send them to every worker once."""
        if chain.timeout is None and self.executor.timeout is not None:
            chain = Chain(chain.steps, self.executor.timeout)
        pickled = pickled_chain(chain)
        self.chains.append(chain)
        self.pickled.append(pickled)
        for lane in self._all():
            lane.tell_chains()
        return len(self.chains) - 1

    async def room(self) -> None:
        """Wait for one of two places a worker."""
        await self._tickets.wait()

    def decline(self) -> None:
        """Give the place back."""
        self._tickets.give_back()

    def submit(
        self, chain: int, items: Sequence[Any], positions: Sequence[Any] | None, answer: Callable[[Outcome], None]
    ) -> None:
        """Give the share to a worker, as soon as one can take it."""
        self._serial += 1
        share = Sent(self._serial, chain, items, positions, answer)
        began = thread_time()
        try:
            share.parts = packed(share.values)
        except Exception as error:
            self.loop.call_soon(self._refuse_unpicklable, share, error)
            return
        self._waiting.append(share)
        self.place_waiting()
        share.held = thread_time() - began
        timeout = self.chains[chain].timeout
        if timeout is not None:
            self._look_later(min(LOOK_EVERY, timeout))

    def statistics(self) -> PlaceStatistics:
        """Return how many workers were started, died, timed out and were recycled, and how much has crossed."""
        for lane in self._all():
            self.note_arena(lane.worker)
        return PlaceStatistics(name=self.executor.label, workers=self.executor.workers, **self._counts)

    def trim(self) -> int:
        """Have the arenas give back what is free, soon; called on any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._trim)
        return 0

    def _trim(self) -> None:
        for lane in self._all():
            lane.trim()

    async def close(self) -> None:
        """End idle workers in peace, or keep them; kill those that are at work."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        leaving = [lane for lane in self._all() if lane.leave(self._kept)]
        deadline = time.monotonic() + GRACE
        endings = [self._thread.submit(lane.farewell, self._kept, deadline) for lane in leaving]
        results = await asyncio.gather(*endings, return_exceptions=True)
        await self._thread.close()
        self.statistics()  # what the arenas saw goes with them
        self._lanes.clear()
        self._retiring.clear()
        self._spare = None
        for result in results:
            if isinstance(result, bytes):
                raise unpickled_error(result)
            if isinstance(result, BaseException):
                raise result

    # -- shares ---------------------------------------------------------------------------------------------------

    def place_waiting(self) -> None:
        """Give what waits to the workers that have room for it, in order."""
        while self._waiting and not self.closed:
            share = self._waiting[0]
            if self._error is not None:
                self._waiting.popleft()
                self.answer(share, Outcome(kept=(), undone=range(len(share.items)), fatal=self._error))
                continue
            lane = min(self._lanes, key=lambda lane: len(lane.shares), default=None)
            if lane is None or len(lane.shares) >= DEPTH or not lane.take(share):
                return  # what a worker answers brings this on again
            self._waiting.popleft()

    def _refuse_unpicklable(self, share: Sent, error: Exception) -> None:
        self.answer(share, refused(share.items, self.chains[share.chain].steps[0].label, packed, error))

    def answer(self, share: Sent, outcome: Outcome) -> None:
        """Hand an outcome to who waits for it."""
        if self.closed:
            return
        self._tickets.give_back()
        share.answer(outcome)

    def answered(self) -> None:
        """Take note that a worker has done something: the pool is well."""
        self._unexplained = 0

    def drop_spare(self, lane: Lane) -> bool:
        """Do without the spare worker for now, if `lane` is that."""
        if lane is not self._spare:
            return False
        self._spare = None
        return True

    # -- workers --------------------------------------------------------------------------------------------------

    def _all(self) -> list[Lane]:
        return [*self._lanes, *self._retiring, *([self._spare] if self._spare is not None else [])]

    def _new_lane(self) -> Lane:
        executor = self.executor
        # A worker is nobody's but ours: it keeps what was freed, so that arrays that come and go fault no pages.
        environment = allocator_environment()
        worker = WorkerProcess(arena=executor.arena_size, memory=executor.memory_limit, environment=environment)
        lane = Lane(self, worker)
        self._counts["started"] += 1
        starting = self._thread.submit(worker.start)
        starting.add_done_callback(lane.started)
        return lane

    def replace(self, lane: Lane) -> None:
        """Put the spare worker, or a new one, in the place of `lane`."""
        if self.closed or self._error is not None:
            return
        if lane is self._spare:
            self._spare = None
            return
        try:
            new = self._spare or self._new_lane()
        except FlowError as error:
            self.give_up(error)
            return
        self._spare = None
        self._lanes[self._lanes.index(lane)] = new
        self._look_later(LOOK_EVERY)
        self.place_waiting()

    def reap(self, lane: Lane) -> None:
        """Learn how a worker has ended whose pipe has."""
        self.note_arena(lane.worker)
        ending = self._thread.submit(lane.worker.wait, LINGER)
        ending.add_done_callback(lambda ended: self._lost(lane, ended.result()))

    def note_arena(self, worker: WorkerProcess) -> None:
        """Keep what one worker's arena has seen."""
        counts = self._counts
        counts["arena_peak"] = max(counts["arena_peak"], worker.inbox.peak)
        counts["waits"] += worker.inbox.waits - worker.waits_noted
        counts["crossed_bytes"] += worker.crossed
        worker.waits_noted, worker.crossed = worker.inbox.waits, 0

    def resources_left(self, error: bytes | None) -> None:
        """Keep what leaving the resources of a recycled worker has raised."""
        if error is not None:
            self.give_up(unpickled_error(error))

    def _lost(self, lane: Lane, how: str) -> None:
        """Settle what a worker had that is no more: the item at work has failed, everything else is given again."""
        self._retiring.discard(lane)
        if self.closed:
            return
        if not lane.retired:
            self._counts["died"] += 1
            self._unexplained += not lane.worker.ready or lane.was_loading
        for share, outcome in lane.post_mortem(how):
            self.answer(share, outcome)
        if self._unexplained >= MAX_UNEXPLAINED:
            self.give_up(
                FlowError(
                    f"{self.executor.label}: worker processes end before they begin; the last one {how}"
                    f"{' while it loaded the functions' * lane.was_loading}. What it has printed to stderr tells more"
                )
            )
        elif lane in self._lanes or lane is self._spare:
            self.replace(lane)

    def give_up(self, error: BaseException) -> None:
        """Fail what waits, and all that comes: no worker can be had."""
        self._error = error
        self.place_waiting()

    def recycle(self, lane: Lane) -> None:
        """Let a worker that has done its part end, and put another in its place."""
        self._counts["recycled"] += 1
        self.replace(lane)
        self._retiring.add(lane)
        lane.retire()

    # -- looking after them ---------------------------------------------------------------------------------------

    def _look_later(self, seconds: float) -> None:
        due = self.loop.time() + seconds
        if self.closed or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(due, self._look)

    def _look(self) -> None:
        """Kill what has taken too long, notice who died without a word, keep a spare one warm."""
        self._timer = None
        soonest = LOOK_EVERY
        try:
            soonest = self._look_at_all()
        finally:
            self._look_later(max(0.001, soonest))

    def _look_at_all(self) -> float:
        soonest = LOOK_EVERY
        for lane in self._all():
            left = lane.seconds_left()
            if left <= 0:
                self._counts["timed_out"] += 1
                lane.kill_overdue()
            soonest = min(soonest, left)
            lane.notice_death()
        ready = self._error is None and all(lane.worker.ready for lane in self._lanes)
        if self._spare is None and ready and self.loop.time() - self._began > SPARE_AFTER:
            with suppress(FlowError):  # what is missing for it now may be there at the next look
                self._spare = self._new_lane()
        return soonest
