"""`key_by(...).process`: coroutines that live as long as the stage, and are dealt the items of their keys."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

from streamflow.channels.memory import Channel
from streamflow.engine.alarm import LEAST
from streamflow.engine.current import set_locator
from streamflow.engine.failures import Failures, as_failure, explain_failure, without_our_frames
from streamflow.engine.lane import Dealt, Lane, Mark
from streamflow.engine.ordering import Signal
from streamflow.engine.outbox import Outbox
from streamflow.engine.plan import PlannedStage
from streamflow.engine.run_clock import RunClock
from streamflow.engine.stage import Listener
from streamflow.engine.stages.timed import TimedStage
from streamflow.engine.turn import Turn
from streamflow.model.batches import Batch, Origin
from streamflow.model.markers import Barrier, EndOfStream, Marker
from streamflow.model.notes import add_note
from streamflow.model.positions import Answerable, plain
from streamflow.model.processing import KeyedItem
from streamflow.operators.firing import known
from streamflow.operators.process import Process

#: Items that may wait for each of several coroutines while another one is at work.
WAITING_EACH = 16


class ProcessStage(TimedStage):
    """Deal what comes to the lanes, each the keys that fall to it, and hand on what their coroutines send."""

    def __init__(
        self, planned: PlannedStage, turn: Turn, listener: Listener, clock: RunClock, *, pairs: bool, stamped: bool
    ) -> None:
        super().__init__(planned, turn, listener, clock)
        assert isinstance(planned.operator, Process)
        self.operator = operator = planned.operator
        self.failures = Failures(planned.name, self.ledger)
        self.lanes = [
            Lane(self, operator.label, by_event_time=operator.by_event_time) for _ in range(operator.concurrency)
        ]
        self.ledger.concurrency = operator.concurrency
        self._pairs = pairs
        self._stamped = stamped and operator.by_event_time
        #: What the coroutines have sent, and among it the marks that all of them have passed.
        self._out = Outbox()
        #: Items and marks that are dealt and not taken, and who waits until there are few.
        self._dealt = 0
        self._most = 0 if operator.concurrency == 1 else WAITING_EACH * operator.concurrency
        self._few: asyncio.Future[None] | None = None
        self._lives: list[asyncio.Task[None]] = []
        self._working = 0
        self._busy_since = 0.0
        #: Seconds at work before, and the time of the run's clock when this stage began.
        self._worked = 0.0
        self._began: float | None = None
        #: Whether all coroutines have returned, in this run or in one that it goes on from.
        self._returned = False
        self._closing = False

    # -- the three kinds of task ----------------------------------------------------------------------------------

    async def work(self) -> None:
        """Deal, hand on, and have each coroutine live, until all of them have returned."""
        if self._returned:
            return
        self._began = self.clock.now()
        try:
            async with asyncio.TaskGroup() as group:
                dealer = group.create_task(self._deal_all())
                emitter = group.create_task(self._emit())
                self._lives = [
                    group.create_task(self._live(lane), name=f"streamflow processor {self.name} #{number}")
                    for number, lane in enumerate(self.lanes, 1)
                ]
                try:
                    await asyncio.wait(self._lives)
                    dealer.cancel()
                    self._out.put(Signal(None))
                    await emitter
                    self._returned = not self.failed_above
                finally:
                    self._closing = True
                    for lane in self.lanes:
                        lane.break_off()
        except BaseExceptionGroup as group_error:
            failure = group_error.exceptions[0]
        else:
            return
        raise failure  # out here, so that it keeps its own cause and context

    async def _deal_all(self) -> None:
        """Read and deal, a message at a time: the next one is read when little of it waits."""
        while True:
            message = await self.receive(self.inputs[0])
            if isinstance(message, Batch):
                self.ledger.received += len(message.items)
                await self.take(message)
            elif isinstance(message, EndOfStream):
                self.failed_above = message.failed
                self._mark(message)
                return
            else:
                self._mark(message)
            del message
            while self._dealt > self._most:
                self._few = asyncio.get_running_loop().create_future()
                await self._few

    async def take(self, batch: Batch) -> None:
        """Deal the items of a batch; none is held here meanwhile."""
        lanes, key_of, turn = self.lanes, self.operator.key, self.turn
        for index, element in enumerate(batch.items, self.ledger.received - len(batch.items)):
            if turn.spent():
                await turn.next()
            item, where = element if self._pairs else (element, None)
            try:
                key = known(key_of(item))
                lane = lanes[hash(key) % len(lanes)]
            except (Exception, asyncio.CancelledError) as error:  # nothing is awaited here: it is the user's
                await self._key_failed(error, item, index, plain(where) or batch.origin)
                continue
            self._dealt += 1
            lane.queue.append(Dealt(key, item, where, batch.origin, index))
            lane.wake()

    async def _key_failed(self, error: BaseException, item: Any, index: int, where: Any) -> None:
        try:
            self.failures.take(error, self.operator, item, index, where.span() if isinstance(where, Origin) else where)
        except Exception as final:
            self._mark(final)  # what came before it leaves first
            await asyncio.Event().wait()
        await self.send_letters(self.failures.letters)

    def _mark(self, what: Marker | BaseException) -> None:
        """Have every lane pass `what`, behind all that was dealt before it."""
        mark = Mark(what, len(self.lanes))
        self._dealt += 1
        for lane in self.lanes:
            lane.queue.append(mark)
            lane.wake()

    async def _live(self, lane: Lane) -> None:
        """Let one coroutine live; what it raises leaves behind what it has sent."""
        set_locator(lane.position)
        self.works()
        try:
            await self.operator.call(lane.inbox, lane.send, lane.state)
        except (Exception, asyncio.CancelledError) as error:
            if not isinstance(error, asyncio.CancelledError) or not (self._closing or lane.broken):
                self._failed(error, lane)
            elif self._closing:
                raise
        else:
            lane.let_go()
            if not lane.over and not lane.broken:
                self._returned_early()
        finally:
            lane.gone = True
            self.rests()

    def _failed(self, error: BaseException, lane: Lane) -> None:
        """Have the run fail, once what was sent before has left."""
        failure = as_failure(error, self.operator.label)
        position = plain(lane.where)
        if isinstance(position, Answerable):
            position.reject(without_our_frames(failure))
        at_item = isinstance(lane.event, KeyedItem)
        self.ledger.failed += at_item
        index = lane.ordinal if at_item else None
        explain_failure(failure, self.name, self.operator.label, index, lane.position())
        if lane.event is not None:
            add_note(failure, f"the latest event was {lane.event_in_words()}")
        lane.event = lane.where = lane.origin = None
        if self._closing:
            raise failure
        self._out.put(Signal(failure))

    def _returned_early(self) -> None:
        """Close the input: a coroutine wants no more of it. That is success, and the others are to end as well."""
        self.inputs[0].close()
        for lane in self.lanes:
            lane.end()

    # -- handing on -----------------------------------------------------------------------------------------------

    def give_from(self, lane: Lane, item: Any) -> bool:
        """Take what a coroutine sends; it leaves as soon as the loop is free, together with what else there is.

        Tell whether there is no room for more.
        """
        if self._stamped:
            floor = lane.floor if len(self.lanes) == 1 else min(one.floor for one in self.lanes)
            item = (item, lane.stamp(floor))
        elif self._pairs:
            item = (item, plain(lane.where))
        self.origin = lane.origin or self.origin
        self._out.put(item)
        return self._out.full

    async def room(self) -> None:
        """Wait until there is room for more."""
        while self._out.full and not self._closing:
            self.rests()
            try:
                await self._out.drained()
            finally:
                self.works()

    async def _emit(self) -> None:
        """Hand on what there is as one batch, up to the next signal; None is the last."""
        while True:
            batch: list[Any] = []
            for element in await self._out.take():
                if element.__class__ is not Signal:
                    batch.append(element)
                    continue
                if batch:
                    await self.hand_on(batch, self.origin, 0)
                batch = []
                if element.what is None:
                    return
                await self._heed(element.what)
            if batch:
                await self.hand_on(batch, self.origin, 0)
            del batch, element  # nothing that has left is held while the next one is waited for

    async def _heed(self, what: Marker | BaseException) -> None:
        if isinstance(what, BaseException):
            self._closing = True
            raise what
        if not isinstance(what, EndOfStream):
            await self.pass_on(what)
        if isinstance(what, Barrier):
            for lane in self.lanes:
                lane.go_on()

    # -- what lanes tell ------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return how many seconds the run has been at work, those before it was broken off included."""
        return self._worked + (0.0 if self._began is None else self.clock.now() - self._began)

    def wake_at(self, moment: float) -> float:
        """Return when, by the loop's clock, `now` will be `moment`; no sooner than a rounding error from now on."""
        assert self._began is not None
        soonest = asyncio.get_running_loop().time() + LEAST
        return max(self.clock.due(moment - self._worked + self._began), soonest)

    def look_up(self) -> None:
        """Note that the clock goes on."""
        for lane in self.lanes:
            lane.wake()

    def took(self) -> None:
        """Take note that an item has left a queue."""
        self._dealt -= 1
        if self._dealt <= self._most and self._few is not None and not self._few.done():
            self._few.set_result(None)

    def let_go(self) -> None:
        """Count an item that a coroutine is done with."""
        self.ledger.passed += 1

    def passed(self, mark: Mark) -> None:
        """Let a mark leave, behind what was sent before, once all lanes have passed it."""
        mark.missing -= 1
        if not mark.missing:
            self.took()
            self._out.put(Signal(mark.what))

    def works(self) -> None:
        """Count one more coroutine that is at work."""
        if not self._working:
            self._busy_since = perf_counter()
        self._working += 1

    def rests(self) -> None:
        """Count one less."""
        self._working -= 1
        if not self._working:
            self.ledger.busy += perf_counter() - self._busy_since

    # -- the books ------------------------------------------------------------------------------------------------

    @property
    def calls_under_way(self) -> int:
        """Return how many coroutines are at work."""
        return self._working

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the stage's own task, and those of its coroutines."""
        return super().tasks() + [life for life in self._lives if not life.done()]

    def waits_for(self) -> list[Channel]:
        """Return the edges that must move before this stage can: none while a coroutine may, by itself or in time."""
        by_clock = not self.operator.by_event_time and any(lane.timers.earliest < math.inf for lane in self.lanes)
        return self.full_edges() or ([] if self._working or by_clock else self.hungry_edges())

    def at_rest(self) -> bool:
        """Tell whether every coroutine waits for events, or all of them for room."""
        return not self._working and self.idle()

    def settle_counts(self) -> None:
        """Count as in flight what was received and is neither let go nor lost."""
        ledger = self.ledger
        if self._working:
            now = perf_counter()
            ledger.busy += now - self._busy_since
            self._busy_since = now
        ledger.in_flight = ledger.received - ledger.passed - ledger.failed - ledger.abandoned

    def close(self) -> None:
        """Send the dead letters that are still here, and give up the rest."""
        self.force_letters(self.failures.letters)
        super().close()

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def remembered(self) -> Iterator[tuple[str, Iterable[Any]]]:
        """Yield how far time has come, then all keys."""
        yield self.planned.keys[0], self._chunks()

    def _chunks(self) -> Iterator[Any]:
        watermark = max(lane.watermark for lane in self.lanes)
        yield {"watermark": watermark, "worked": self.now(), "returned": self._returned}
        for lane in self.lanes:
            yield from lane.timers.chunks()

    async def restore_parts(self, parts: Mapping[str, Sequence[Any]]) -> None:
        """Begin with what was remembered; keys are dealt out afresh, since there may be more lanes than before."""
        for piece in parts.get(self.planned.keys[0], ()):
            if self.turn.spent():
                await self.turn.next()
            chunk = self.writing.decode(piece)
            if isinstance(chunk, dict):
                self._worked, self._returned = chunk["worked"], chunk["returned"]
                for lane in self.lanes:
                    lane.watermark = lane.floor = chunk["watermark"]
                continue
            for key, *rest in chunk:
                key = known(key)
                self.lanes[hash(key) % len(self.lanes)].timers.take_over(key, *rest)
