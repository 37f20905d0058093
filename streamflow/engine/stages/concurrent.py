"""Many items under way at once: long-lived workers take items and fill slots; there is no task an item."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from operator import length_hint
from time import perf_counter
from typing import Any, Final

from streamflow.channels.sizes import sample_size
from streamflow.engine.adaptive import AdaptiveLimit
from streamflow.engine.attempts import Attempts, GaveUp
from streamflow.engine.current import set_locator
from streamflow.engine.failures import Failures
from streamflow.engine.ordering import NOTHING, Ordered, Slot, Unordered
from streamflow.engine.plan import PlannedStage
from streamflow.engine.stage import Listener, Stage
from streamflow.engine.turn import Turn
from streamflow.model.batches import Batch, Origin
from streamflow.model.errors import FlowError
from streamflow.model.markers import EndOfStream, Marker
from streamflow.operators.callables import name_of
from streamflow.operators.map import ConcurrentApply

#: Slots of the reorder buffer for each item under way: with fewer, one slow item holds up the others (measured).
SLOTS_PER_ITEM = 16
#: Bytes of results that may wait for their predecessors.
MAX_WAITING_BYTES = 64 << 20
SAMPLE_EVERY = 64
MAX_OUT = 1024
_END: Final = object()


class _Failure:
    """Hold, in a slot, the error that ends the run once everything before it has left."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class ConcurrentStage(Stage):
    """Await a function for up to `concurrency` items at once and hand results on, in order if that was asked for."""

    def __init__(self, planned: PlannedStage, turn: Turn, listener: Listener, *, pairs: bool) -> None:
        super().__init__(planned, turn, listener)
        assert isinstance(planned.operator, ConcurrentApply)
        self.operator = operator = planned.operator
        self.adaptive = AdaptiveLimit() if operator.concurrency == "auto" else None
        self.limit = self.adaptive.limit if self.adaptive else int(operator.concurrency)
        self.order: Ordered | Unordered = Ordered() if operator.ordered else Unordered()
        self.failures = Failures(planned.name, self.ledger)
        self.ledger.concurrency = self.limit
        self._pairs = pairs
        self._items: Iterator[Any] = iter(())
        self._origin: Origin | None = None
        self._under_way = 0
        self._workers = 0
        self._idle: deque[asyncio.Future[None]] = deque()
        self._hungry: asyncio.Future[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._ended = False
        self._taking = True
        self._taken = 0
        self._working: set[asyncio.Task[None]] = set()
        self._item_bytes = 0.0
        self._since_sample = 0
        self._since = 0.0

    @property
    def capacity(self) -> int:
        """Return how many items may be under way or wait for their predecessors."""
        slots = SLOTS_PER_ITEM * self.limit
        if self._item_bytes:
            slots = min(slots, max(self.limit, int(MAX_WAITING_BYTES / self._item_bytes)))
        return slots

    # -- the three kinds of task ----------------------------------------------------------------------------------

    async def work(self) -> None:
        """Read, with workers and one emitter beside, until the input has ended and everything has left."""
        async with _open_resource(self.operator.resource) as resource:
            self._call = self._make_call(resource)
            try:
                async with asyncio.TaskGroup() as group:
                    self._group = group
                    emitter = group.create_task(self._emit())
                    await self._read()
                    await emitter
                    self._release_workers()
            except BaseExceptionGroup as group_error:
                # Workers keep the user's errors in slots, so what comes out is what the emitter has raised.
                raise group_error.exceptions[0] from None

    async def _read(self) -> None:
        """Feed the workers; whoever of them runs out of items looks into the edge first and wakes this only if empty."""
        channel = self.inputs[0]
        loop = asyncio.get_running_loop()
        while not self._ended:
            message = await self.receive(channel)
            self._accept(message)
            if self._ended:
                break
            if not isinstance(message, Batch):
                continue
            self._hungry = loop.create_future()
            self._wake_workers()
            await self._hungry
            self._hungry = None

    def _accept(self, message: Batch | Marker) -> None:
        if isinstance(message, Batch):
            self.ledger.received += len(message.items)
            self._items = iter(message.items)
            self._origin = message.origin
        else:
            if isinstance(message, EndOfStream):
                self._ended = True
                self.failed_above = message.failed
            self.order.mark(message)
            self._wake_emitter()

    def _next(self) -> Any:
        """Return the next item, reading on in the edge without waiting; `_END` if there is none now."""
        if self.order.fenced or not self._taking:
            return _END
        for item in self._items:
            return item
        while not self._ended and self._hungry is not None and not self._hungry.done():
            message = self.inputs[0].take_nowait()
            if message is None:
                self._hungry.set_result(None)
                break
            self._accept(message)
            if self._ended:
                self._hungry.set_result(None)
            elif not isinstance(message, Batch):
                if self.order.fenced:
                    break
                continue
            else:
                for item in self._items:
                    return item
        return _END

    def _wake_workers(self) -> None:
        """Let idle workers go on, and start new ones, as far as there is work and room."""
        there = length_hint(self._items) + self.inputs[0].queued
        wanted = min(there, self.limit - self._under_way, self.capacity - len(self.order))
        while self._idle and wanted > 0:
            future = self._idle.popleft()
            if not future.done():
                future.set_result(None)
                wanted -= 1
        for _ in range(min(wanted, self.limit - self._workers)):
            self._workers += 1
            worker = self._group.create_task(self._worker())
            self._working.add(worker)
            worker.add_done_callback(self._working.discard)

    def _release_workers(self) -> None:
        self._taking = False
        while self._idle:
            future = self._idle.popleft()
            if not future.done():
                future.set_result(None)

    async def _worker(self) -> None:
        """Take an item, fill its slot, take the next."""
        order, call, turn, pairs = self.order, self._call, self.turn, self._pairs
        loop = asyncio.get_running_loop()
        where: list[Any] = [None]
        set_locator(lambda: _position(where[0]))
        while True:
            item = _END
            if self._under_way < self.limit and len(order) < self.capacity:
                item = self._next()
            if item is _END:
                if not self._taking:
                    return
                future = loop.create_future()
                self._idle.append(future)
                await future
                continue
            where[0] = self._origin
            if pairs:
                item, where[0] = item
            slot = order.open()
            index = self._taken
            self._taken += 1
            turned = turn.number
            began = self._begin()
            try:
                result = await call(item)
            except Exception as error:
                self._failed(slot, item, index, error, where[0])
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                # The user's function was cancelled by somebody else, or raised this itself: that is its failure.
                self._failed(slot, item, index, error, where[0])
            else:
                self._succeeded(slot, item, result, where[0])
            finally:
                self._done(began)
            if turn.number == turned:
                # Nothing was waited for: a function that never waits must not hold the loop.
                while turn.spent():
                    await turn.wait(served=True)

    def _begin(self) -> float:
        if not self._under_way:
            self._since = perf_counter()
        self._under_way += 1
        return perf_counter() if self.adaptive is not None else 0.0

    def _done(self, began: float) -> None:
        if self.adaptive is not None and self.adaptive.observe(
            perf_counter() - began, failed=False, under_way=self._under_way
        ):
            self.limit = self.ledger.concurrency = self.adaptive.limit
            self._wake_workers()
        self._under_way -= 1
        if not self._under_way:
            self.ledger.busy += perf_counter() - self._since

    async def _emit(self) -> None:
        """Hand on what may leave, as one batch a wake-up, until the end has left."""
        order = self.order
        loop = asyncio.get_running_loop()
        while True:
            if not order.ready():
                self._ready = loop.create_future()
                await self._ready
                self._ready = None
            out: list[Any] = []
            marker: Any = None
            while order.ready() and len(out) < MAX_OUT:
                value = order.leave()
                if value.__class__ is _Failure or isinstance(value, Marker):
                    marker = value
                    break
                if value is not NOTHING:
                    out.append(value)
            await self._hand_on(out)
            if isinstance(marker, _Failure):
                raise marker.error
            if isinstance(marker, EndOfStream):
                return
            if marker is not None:
                await self.pass_on(marker)
            self._wake_workers()

    async def _hand_on(self, out: list[Any]) -> None:
        if self.failures.letters:
            await self.send_letters(self.failures.letters)
        if out:
            self.ledger.emitted += len(out)
            self.ledger.passed += len(out)
            await self.send(Batch(out, self._origin))

    def _wake_emitter(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    # -- one item -------------------------------------------------------------------------------------------------

    def _make_call(self, resource: Any) -> Callable[[Any], Awaitable[Any]]:
        return Attempts(self.operator, resource, self.ledger, self.turn).call()

    def _succeeded(self, slot: Slot, item: Any, result: Any, position: Any) -> None:
        kind = self.operator.kind
        if kind == "map":
            value = result
        elif kind == "tap" or result:
            value = item
        else:
            value = NOTHING
            self.ledger.dropped += 1
        if value is not NOTHING and self._pairs:
            value = (value, position)
        self._note_size(value)
        if self.order.close(slot, value):
            self._wake_emitter()

    def _failed(self, slot: Slot, item: Any, index: int, error: BaseException, where: Any) -> None:
        attempts = 1
        if isinstance(error, GaveUp):
            attempts = error.attempts
            error = error.error
        value: Any = NOTHING
        try:
            self.failures.take(error, self.operator, item, index, _position(where), attempts=attempts)
        except BaseException as final:
            value = _Failure(final)
            self._taking = False
        if self.order.close(slot, value):
            self._wake_emitter()

    def _note_size(self, value: Any) -> None:
        self._since_sample += 1
        if self._since_sample >= SAMPLE_EVERY:
            self._since_sample = 0
            self._item_bytes += 0.25 * (sample_size(value) - self._item_bytes)

    # -- the books ------------------------------------------------------------------------------------------------

    @property
    def calls_under_way(self) -> int:
        """Return how many calls are under way."""
        return self._under_way

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the stage's own task, and those of its workers that have an item in their hands."""
        return super().tasks() + list(self._working)

    def settle_counts(self) -> None:
        """Count as in flight what was received and has neither left nor been lost."""
        ledger = self.ledger
        ledger.in_flight = ledger.received - ledger.passed - ledger.dropped - ledger.failed - ledger.abandoned

    def close(self) -> None:
        """Send the dead letters that are still here, and give up the rest."""
        self.force_letters(self.failures.letters)
        super().close()


def _position(where: Any) -> Any:
    return where.span() if isinstance(where, Origin) else where


@asynccontextmanager
async def _open_resource(factory: Callable[[], Any] | None) -> AsyncIterator[Any]:
    """Enter what `factory` gives, a sync or async context manager, for as long as the stage lives."""
    if factory is None:
        yield None
        return
    manager = factory()
    if hasattr(manager, "__aenter__"):
        async with manager as resource:
            yield resource
    elif hasattr(manager, "__enter__"):
        with manager as resource:
            yield resource
    else:
        raise FlowError(
            f"resource={name_of(factory)}: it gave {type(manager).__name__}, which is no context manager; "
            f"wrap it with contextlib.closing, or write it with @contextmanager"
        )
