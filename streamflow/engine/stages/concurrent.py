"""Many items under way at once: long-lived workers take items and fill slots; there is no task an item."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from operator import length_hint
from time import perf_counter
from typing import Any, Final

from streamflow.channels.memory import Channel
from streamflow.channels.sizes import sample_size
from streamflow.engine.adaptive import AdaptiveLimit
from streamflow.engine.attempts import Attempts, GaveUp
from streamflow.engine.current import set_locator
from streamflow.engine.failures import Failures, is_cancellation
from streamflow.engine.ordering import NOTHING, Ordered, Signal, Unordered
from streamflow.engine.origins import Origins
from streamflow.engine.plan import PlannedStage
from streamflow.engine.resources import open_resource
from streamflow.engine.stage import Listener, Stage
from streamflow.engine.turn import Turn
from streamflow.model.batches import Batch
from streamflow.model.markers import Barrier, EndOfStream, Marker
from streamflow.model.policies import DeadLetters
from streamflow.model.positions import plain
from streamflow.operators.map import ConcurrentApply

#: Slots of the reorder buffer for each item under way: with fewer, one slow item holds up the others (measured).
SLOTS_PER_ITEM = 16
#: Bytes of results that may wait for their predecessors.
MAX_WAITING_BYTES = 64 << 20
MAX_OUT = 1024
_END: Final = object()
Call = Callable[[Any], Awaitable[Any]]


class ConcurrentStage(Stage):
    """Await a function for up to `concurrency` items at once and hand results on, in order if that was asked for."""

    def __init__(self, planned: PlannedStage, turn: Turn, listener: Listener, *, pairs: bool) -> None:
        super().__init__(planned, turn, listener)
        assert isinstance(planned.operator, ConcurrentApply)
        self.operator = operator = planned.operator
        self.adaptive = AdaptiveLimit() if operator.concurrency == "auto" else None
        self.limit = self.adaptive.limit if self.adaptive else int(operator.concurrency)
        most = _slots(self.adaptive.most if self.adaptive else self.limit)
        self.order: Ordered | Unordered = Ordered(most) if operator.ordered else Unordered()
        self.failures = Failures(planned.name, self.ledger)
        self.ledger.concurrency = self.limit
        self._pairs = pairs
        #: Items in the hands of workers, by ordinal, where a barrier need not wait for them.
        self._under_way: dict[int, Any] = {}
        self._passes = self._lets_pass()
        #: What was under way when a barrier came that has not left yet.
        self._cut: tuple[Any, ...] | None = None
        self._items: Iterator[Any] = iter(())
        self._origins = Origins()
        self._workers: list[asyncio.Task[None]] = []  # each lives as long as the stage
        self._idle: deque[asyncio.Future[None]] = deque()
        self._hungry: asyncio.Future[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._ended = False
        self._taking = True
        self._taken = 0
        self._item_bytes = 0.0
        self._busy_since = 0.0
        self._capacity = self._ceiling = _slots(self.limit)

    @property
    def calls_under_way(self) -> int:
        """Return how many workers have an item in their hands."""
        return len(self._workers) - len(self._idle)

    def _lets_pass(self) -> bool:
        """Tell whether a barrier passes what is under way, which is saved with the checkpoint and done again.

        Where order does not matter: waiting for it at each barrier would cost the longest of many calls each time. Not
        where a failed item is set aside, which would be twice then, nor with positions, which may lie in a block.
        """
        letters = isinstance(self.operator.errors.on_error, DeadLetters)
        return not self.operator.ordered and not letters and not self._pairs

    def _set_capacity(self) -> None:
        """Work out how many items may be under way or wait for their predecessors."""
        capacity = _slots(self.limit)
        if self._item_bytes:
            capacity = min(capacity, max(self.limit, int(MAX_WAITING_BYTES / self._item_bytes)))
        self._ceiling += capacity - self._capacity
        self._capacity = capacity

    # -- the three kinds of task ----------------------------------------------------------------------------------

    async def work(self) -> None:
        """Read, with workers and one emitter beside, until the input has ended and everything has left."""
        async with open_resource(self.operator.resource) as resource:
            self._call = self._make_call(resource)
            try:
                async with asyncio.TaskGroup() as group:
                    self._group = group
                    emitter = group.create_task(self._emit_to_the_end())
                    try:
                        await self._read()
                        await emitter
                    finally:
                        self._release_workers()
            except BaseExceptionGroup as group_error:
                # Workers keep the user's errors in slots, so what comes out is what the emitter has raised.
                failure = group_error.exceptions[0]
            else:
                return
            raise failure  # out here, so that it keeps its own cause and context

    async def _read(self) -> None:
        """Feed the workers; whoever runs out of items looks into the edge first, and wakes this only if it is empty."""
        channel = self.inputs[0]
        loop = asyncio.get_running_loop()
        while not self._ended:
            if not self.order.fenced and not length_hint(self._items):
                self._accept(await self.receive(channel))
            else:
                self._hungry = loop.create_future()
                self._wake_workers()
                await self._hungry
                self._hungry = None

    def _accept(self, message: Batch | Marker) -> None:
        if isinstance(message, Batch):
            self.ledger.received += len(message.items)
            self._items = iter(message.items)
            ledger = self.ledger
            left = ledger.passed + ledger.dropped + ledger.failed
            self._origins.remember(self._taken, message.origin, left)
        else:
            if isinstance(message, EndOfStream):
                self._ended = True
                self.failed_above = message.failed
            if self._passes and isinstance(message, Barrier):
                assert isinstance(self.order, Unordered)
                self._cut = tuple(self._under_way.values())
                self.order.let_pass(message)
            else:
                self.order.mark(message, self._taken)
            self._wake_emitter()

    def _read_on(self) -> Any:
        """Return the first item of what comes next on the edge, without waiting; `_END` if there is none now."""
        reader = self._hungry
        if reader is None or reader.done() or self.order.fenced or not self._taking:
            return _END  # the reader itself is at the edge, or waits for the fence
        while not (self._ended or self.order.fenced):
            message = self.inputs[0].take_nowait()
            if message is None:
                break
            self._accept(message)
            for item in self._items:
                return item
        if not self.order.fenced:
            self._wake_reader()
        return _END

    def _wake_reader(self) -> None:
        if self._hungry is not None and not self._hungry.done():
            self._hungry.set_result(None)

    def _wake_workers(self) -> None:
        """Let idle workers go on, and start new ones, as far as there is work and room."""
        if self.order.fenced or not self._taking:
            return
        there = length_hint(self._items) + self.inputs[0].queued
        if not there:
            self._wake_reader()  # idle workers have nothing to look for: it waits for what comes next
        free = min(self._ceiling - self._taken, self.limit - self.calls_under_way)
        wanted = min(there, free)
        while self._idle and wanted > 0:
            future = self._idle.popleft()
            if not future.done():
                self._note_busy()
                future.set_result(None)
                wanted -= 1
        for _ in range(min(wanted, self.limit - len(self._workers))):
            self._note_busy()
            self._workers.append(self._group.create_task(self._worker()))
        if there and there <= free:
            # There is more room than items: when those at hand have been taken, nobody would look for the next one
            # before a call returns. Whoever was woken goes first.
            asyncio.get_running_loop().call_soon(self._wake_reader)

    def _note_busy(self) -> None:
        if not self._busy_since:
            self._busy_since = perf_counter()

    def _note_idle(self) -> None:
        if self._busy_since and len(self._idle) >= len(self._workers):
            self.ledger.busy += perf_counter() - self._busy_since
            self._busy_since = 0.0

    def _release_workers(self) -> None:
        self._taking = False
        self._items = iter(())
        while self._idle:
            future = self._idle.popleft()
            if not future.done():
                future.set_result(None)

    async def _worker(self) -> None:
        """Take an item, fill its slot, take the next. This is the hot path: what can be is kept out of it."""
        order, call, turn, pairs, adaptive = self.order, self._call, self.turn, self._pairs, self.adaptive
        bare = self.operator.kind == "map" and not pairs
        under_way = self._under_way if self._passes else None
        close = order.close
        loop = asyncio.get_running_loop()
        position = result = None
        index = 0
        set_locator(lambda: plain(position) or self._origins.span_of(index))
        while True:
            item: Any = _END
            if self._taken < self._ceiling and (adaptive is None or self.calls_under_way <= self.limit):
                for item in self._items:  # noqa: B007  (the quickest way to take one)
                    break
                else:
                    item = self._read_on()
            if item is _END:
                if not self._taking:
                    return
                future = loop.create_future()
                self._idle.append(future)
                self._note_idle()
                # An idle worker holds on to nothing: somebody may wait for the end of what it has dropped.
                position = result = None
                await future
                continue
            if pairs:
                item, position = item
            index = self._taken
            self._taken = index + 1
            if under_way is not None:
                under_way[index] = item
            if not turn.deadline:
                turn.begin()
            turned = turn.number
            try:
                result = await call(item)
                if not bare:
                    result = self._value(item, result, position)
            except (Exception, asyncio.CancelledError) as error:
                if is_cancellation(error):
                    raise
                if under_way is not None:
                    del under_way[index]
                self._failed(item, index, error, position)
            else:
                if under_way is not None:
                    del under_way[index]
                if close(index, result) and self._ready is not None:
                    self._wake_emitter()
            # If nothing was waited for: a function that never waits must not hold the loop.
            if turn.number == turned and turn.spent():
                await turn.next()

    def _adapting(self, call: Call) -> Call:
        """Return `call` with its time and its failures told to the adaptive limit."""
        adaptive = self.adaptive
        assert adaptive is not None

        async def timed(item: Any) -> Any:
            began = perf_counter()
            failed = True
            try:
                result = await call(item)
                failed = False
                return result
            finally:
                if adaptive.observe(perf_counter() - began, failed=failed, under_way=self.calls_under_way):
                    self.limit = self.ledger.concurrency = adaptive.limit
                    self._set_capacity()
                    self._wake_workers()

        return timed

    async def _emit_to_the_end(self) -> None:
        try:
            await self._emit()
        finally:
            self._taking = False  # whatever has ended it: nothing that is begun now could leave

    async def _emit(self) -> None:
        """Hand on what may leave, as one batch a wake-up, until the end has left."""
        order = self.order
        loop = asyncio.get_running_loop()
        while True:
            if not order.ready():
                self._ready = loop.create_future()
                await self._ready
                self._ready = None
            out, signal = order.leave(MAX_OUT)
            self._ceiling = order.head + self._capacity
            await self._hand_on(out)
            if isinstance(signal, EndOfStream):
                return
            if isinstance(signal, Marker):
                await self.pass_on(signal)
                self._wake_reader()  # it may go on behind a fence
            elif signal is not None:
                raise signal
            self._wake_workers()
            del out, signal  # nothing that has left is held while the next one is waited for

    async def _hand_on(self, out: list[Any]) -> None:
        if self.failures.letters:
            await self.send_letters(self.failures.letters)
        if out:
            self._note_size(out[-1])
            self.ledger.emitted += len(out)
            self.ledger.passed += len(out)
            await self.send(Batch(out, self._origins.latest))

    def _wake_emitter(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    # -- one item -------------------------------------------------------------------------------------------------

    def _make_call(self, resource: Any) -> Call:
        call = Attempts(self.operator, resource, self.ledger, self.turn).call()
        return call if self.adaptive is None else self._adapting(call)

    def _value(self, item: Any, result: Any, position: Any) -> Any:
        """Return what leaves for an item whose call has returned `result`."""
        kind = self.operator.kind
        value = result if kind == "map" else item
        if kind == "filter" and not result:
            self.ledger.dropped += 1
            return NOTHING
        return (value, position) if self._pairs else value

    def _failed(self, item: Any, index: int, error: BaseException, position: Any) -> None:
        attempts = 1
        if isinstance(error, GaveUp):
            attempts = error.attempts
            error = error.error
        value: Any = NOTHING
        try:
            position = plain(position) or self._origins.span_of(index)
            self.failures.take(error, self.operator, item, index, position, attempts=attempts)
        except BaseException as final:
            # What came before it leaves first; nothing after it is begun.
            value = Signal(final)
            self._taking = False
            self._items = iter(())
        if self.order.close(index, value):
            self._wake_emitter()

    def _note_size(self, value: Any) -> None:
        self._item_bytes += 0.25 * (sample_size(value) - self._item_bytes)
        self._set_capacity()

    # -- the books ------------------------------------------------------------------------------------------------

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the stage's own task, and those of its workers that have an item in their hands."""
        return super().tasks() + [worker for worker in self._workers if not worker.done()]

    def waits_for(self) -> list[Channel]:
        """Return the edges that must move before this stage can: none while a call is under way, which may return."""
        return self.full_edges() or ([] if self.calls_under_way else self.hungry_edges())

    def at_rest(self) -> bool:
        """Tell whether no call is under way, and the reader waits for items or what has come of them for room."""
        return not self.calls_under_way and self.idle()

    def settle_counts(self) -> None:
        """Count as in flight what was received and has neither left nor been lost."""
        ledger = self.ledger
        if self._busy_since:
            now = perf_counter()
            ledger.busy += now - self._busy_since
            self._busy_since = now
        came = ledger.received + ledger.restored
        ledger.in_flight = came - ledger.passed - ledger.dropped - ledger.failed - ledger.abandoned

    def snapshot(self) -> Any:
        """Return the items that a barrier has passed."""
        cut, self._cut = self._cut, None
        return cut or None

    def restore(self, snapshot: Any) -> None:
        """Begin with items that were under way: they are done again."""
        self._items = iter(snapshot)
        self.ledger.restored = len(snapshot)

    def close(self) -> None:
        """Send the dead letters that are still here, and give up the rest."""
        self.force_letters(self.failures.letters)
        super().close()
        self._origins.clear()


def _slots(limit: int) -> int:
    """Return how many items may be under way or wait for their predecessors, where `limit` are under way at most."""
    return min(SLOTS_PER_ITEM * limit, max(limit, 1 << 16))
