"""Functions that run elsewhere: shares of items go to a pool of workers, and what comes back leaves in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import length_hint
from typing import Any

from streamflow.channels.memory import DEFAULT_ITEMS, Channel
from streamflow.channels.sizes import sample_size
from streamflow.engine.failures import Failures
from streamflow.engine.ordering import Ordered, Unordered
from streamflow.engine.origins import Origins
from streamflow.engine.plan import PlannedStage
from streamflow.engine.shares import ROOM_TO_BEGIN, Assembly, Broken, share_size
from streamflow.engine.stage import Listener, Stage
from streamflow.engine.turn import Turn
from streamflow.model.batches import Batch
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Pool
from streamflow.model.markers import EndOfStream, Marker
from streamflow.model.placement import Chain, Failure, Outcome
from streamflow.model.positions import plain, resolved

#: Shares for each worker that may be under way or wait for their predecessors.
SHARES_PER_WORKER = 16
#: Bytes of items and results that may be under way or wait for their predecessors.
MAX_WAITING_BYTES = 64 << 20
#: Shares that the order has room for.
MAX_SHARES = 1024
#: Shares for each worker that may wait on the edge before the stage.
QUEUED_PER_WORKER = 4
#: Shares of which one is looked at for the size of its items.
SIZE_EVERY = 4
#: More items than any share takes.
UNKNOWN = 1 << 30


class PlacedStage(Stage):
    """Cut what arrives into shares, have them done by `pool`, and hand on what comes back."""

    def __init__(self, planned: PlannedStage, turn: Turn, listener: Listener, pool: Pool, *, pairs: bool) -> None:
        super().__init__(planned, turn, listener)
        self.operators = planned.placed
        first = self.operators[0]
        self.workers = self.ledger.concurrency = first.on.workers
        self.ledger.place = first.on.label
        self.pool = pool
        self.chain = Chain(tuple(operator.step for operator in self.operators), first.timeout)
        self.order: Ordered | Unordered = Ordered(MAX_SHARES) if first.ordered else Unordered()
        self.failures = Failures(planned.name, self.ledger)
        #: Whether the edge before this stage is as large as what items cost makes sensible; else the user has said.
        self.elastic = False
        self._pairs = pairs
        self._items: Iterator[Any] = iter(())
        self._origins = Origins()
        self._again: deque[tuple[Assembly, list[int]]] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._ended = False
        self._taking = True
        #: Items that were taken into shares, and those whose share has left; the same in shares.
        self._taken = self._left = 0
        self._shares = self._shares_left = 0
        #: Shares, or pieces of them, that the pool has not answered yet.
        self._with_workers = 0
        #: What an item costs: in a worker, and the loop; and how large it is.
        self._cost = self._crossing = self._item_bytes = 0.0
        self._capacity = self._most_items()
        self._reader: asyncio.Future[None] | None = None
        self._dispatcher: asyncio.Future[None] | None = None
        self._emitter: asyncio.Future[None] | None = None
        self._drops = [0] * len(self.operators)

    @property
    def calls_under_way(self) -> int:
        """Return how many shares are with the workers, or will be again."""
        return self._shares - self._shares_left

    # -- the three tasks ------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Read, hand out and hand on, until the input has ended and everything has left."""
        self._key = self.pool.load(self.chain)
        try:
            async with asyncio.TaskGroup() as group:
                emitter = group.create_task(self._emit_to_the_end())
                dispatcher = group.create_task(self._dispatch())
                try:
                    await self._read()
                    await emitter
                finally:
                    self._stop_taking()
                    dispatcher.cancel()
        except BaseExceptionGroup as group_error:
            failure = group_error.exceptions[0]
        else:
            return
        finally:
            for timer in self._timers:
                timer.cancel()
        raise failure  # out here, so that it keeps its own cause and context

    def _stop_taking(self) -> None:
        self._taking = False
        self._items = iter(())

    async def _read(self) -> None:
        """Wait for what comes next, whenever nothing is there to be handed out."""
        channel = self.inputs[0]
        while not self._ended:
            if self.order.fenced or length_hint(self._items):
                self._reader = asyncio.get_running_loop().create_future()
                await self._reader
                self._reader = None
            else:
                self._accept(await self.receive(channel))
                _wake(self._dispatcher)

    def _accept(self, message: Batch | Marker, begun: int = 0) -> None:
        """Take a message in, of whose predecessors `begun` are in a share that is not whole yet."""
        if isinstance(message, Batch):
            self.ledger.received += len(message.items)
            self._items = iter(message.items)
            self._origins.remember(self._taken + begun, message.origin, self._left)
            return
        if isinstance(message, EndOfStream):
            self._ended = True
            self.failed_above = message.failed
        self.order.mark(message, self._shares + (begun > 0))
        _wake(self._emitter)

    async def _dispatch(self) -> None:
        """Hand out a share whenever there are items, a place for what comes of them, and a worker."""
        while True:
            if not self._may_hand_out():
                self._dispatcher = asyncio.get_running_loop().create_future()
                await self._dispatcher
                self._dispatcher = None
                continue
            if self.turn.spent():
                await self.turn.next()
            await self.pool.room()
            if self._again:
                self._submit(*self._again.popleft())
            elif self._may_hand_out():
                share = self._next_share()
                self._submit(share, range(len(share.items)))
            else:
                self.pool.decline()
            if not length_hint(self._items):
                _wake(self._reader)

    def _may_hand_out(self) -> bool:
        if self._again:
            return True
        if not self._taking or self.order.fenced or not length_hint(self._items):
            return False
        return self._taken - self._left < self._capacity and self._shares - self._shares_left < MAX_SHARES

    def _most_items(self) -> int:
        """Return how many items may be under way or wait for their predecessors."""
        most = SHARES_PER_WORKER * self.workers * self._share_size(UNKNOWN)
        if self._item_bytes:
            most = min(most, int(MAX_WAITING_BYTES / self._item_bytes))
        return max(most, 4 * self.workers)

    def _share_size(self, there: int) -> int:
        return share_size(there, self.workers, self._cost, self._crossing, self._item_bytes)

    def _next_share(self) -> Assembly:
        """Take the next share out of what is there, without waiting for more."""
        channel = self.inputs[0]
        # Where somebody waits to send more, what is there is not the end, and nothing need shrink.
        there = UNKNOWN if channel.sending else length_hint(self._items) + channel.queued
        size = self._share_size(there)
        taken = list(islice(self._items, size))
        while len(taken) < size and not (self._ended or self.order.fenced) and self._reader is not None:
            message = channel.take_nowait()
            if message is None:
                break
            self._accept(message, len(taken))
            if isinstance(message, Marker):
                break  # it leaves behind this share: what comes after it is not for this one
            taken += islice(self._items, size - len(taken))
        items, positions = taken, None
        if self._pairs:
            items, positions = [item for item, _ in taken], [position for _, position in taken]
        if not self._shares % SIZE_EVERY:
            self._note_size(items[0])
        share = Assembly(self._shares, self._taken, items, positions)
        self._shares += 1
        self._taken += len(items)
        return share

    def _submit(self, share: Assembly, indexes: Sequence[int]) -> None:
        whole = len(indexes) == len(share.items)
        items = share.items if whole else [share.items[index] for index in indexes]
        positions = None
        if self.chain.wants_positions:
            positions = [self._position_of(share, index) for index in indexes]
        self._with_workers += 1
        self.pool.submit(
            self._key, items, positions, lambda outcome: self._answered(share, indexes, outcome, whole=whole)
        )

    # -- what comes back ------------------------------------------------------------------------------------------

    def _answered(self, share: Assembly, indexes: Sequence[int], outcome: Outcome, *, whole: bool) -> None:
        """Take the outcome of (a piece of) a share."""
        self._with_workers -= 1
        if self.over:
            return  # the books are closed: what was under way is in them as abandoned
        self.ledger.busy += outcome.seconds / self.workers
        done = len(indexes) - len(outcome.undone)
        if done and outcome.seconds:
            # The largest recent cost: one slow item makes the shares short at once, cheap ones lengthen them gradually.
            self._cost = max(outcome.seconds / done, self._cost * 0.8, 1e-8)
            self._crossing = max(outcome.crossing / len(indexes), self._crossing * 0.8)
            self._capacity = self._most_items()
            if self.elastic:
                wanted = QUEUED_PER_WORKER * self.workers * self._share_size(UNKNOWN)
                self.inputs[0].max_items = max(ROOM_TO_BEGIN, min(wanted, DEFAULT_ITEMS))
        for step, count in enumerate(outcome.dropped):
            self._drops[step] += count
            self.ledger.dropped += count
        if whole and outcome.kept is None and not outcome.undone and share.positions is None and not share.results:
            self._close(share, outcome.values)
        else:
            self._gather(share, indexes, outcome)
        _wake(self._dispatcher)

    def _gather(self, share: Assembly, indexes: Sequence[int], outcome: Outcome) -> None:
        kept = range(len(indexes)) if outcome.kept is None else outcome.kept
        for at, value in zip(kept, outcome.values, strict=True):
            index = indexes[at]
            share.results[index] = value if share.positions is None else (value, share.positions[index])
        again = {indexes[at] for at in outcome.undone}
        failed = {indexes[failure.index] for failure in outcome.failures}
        share.settle(index for index in indexes if index not in again and index not in failed)
        for failure in outcome.failures:
            self._take_failure(share, indexes[failure.index], failure)
        if outcome.fatal is not None:
            self._stop_taking()
            share.fail(min(again), outcome.fatal)
        left = share.still_missing(sorted(again))
        if left:
            pieces = [[index] for index in left] if outcome.apart else [left]
            self._again.extend((share, piece) for piece in pieces)
        whole = share.whole()
        if whole is not None:
            self._close(share, whole)

    def _take_failure(self, share: Assembly, index: int, failure: Failure) -> None:
        """Have an item tried again, set it aside, or let the run end with its error."""
        operator, error = self.operators[failure.step], failure.error
        attempt = share.attempt(index)
        retry = operator.retry
        if retry is not None and not isinstance(error, FlowError) and retry.again(attempt, error):
            self.ledger.retried += 1
            self._try_later(share, index, retry.delay(attempt))
            return
        try:
            self.failures.take(
                error, operator, share.items[index], share.first + index, self._place_of(share, index), attempts=attempt
            )
        except BaseException as final:
            # What came before it leaves first; nothing after it is begun.
            self._stop_taking()
            share.fail(index, final)
        else:
            share.settle([index])

    def _try_later(self, share: Assembly, index: int, delay: float) -> None:
        def now() -> None:
            self._timers.discard(timer)
            if share.still_missing([index]):
                self._again.append((share, [index]))
                _wake(self._dispatcher)

        timer = asyncio.get_running_loop().call_later(delay, now)
        self._timers.add(timer)

    def _close(self, share: Assembly, value: list[Any] | Broken) -> None:
        if self.order.close(share.ordinal, (len(share.items), value)):
            _wake(self._emitter)

    # -- what leaves ----------------------------------------------------------------------------------------------

    async def _emit_to_the_end(self) -> None:
        try:
            await self._emit()
        finally:
            self._taking = False  # whatever has ended it: nothing that is begun now could leave

    async def _emit(self) -> None:
        order, loop = self.order, asyncio.get_running_loop()
        while True:
            if not order.ready():
                self._emitter = loop.create_future()
                await self._emitter
                self._emitter = None
            shares, signal = order.leave(SHARES_PER_WORKER)
            value: list[Any] | Broken | None
            for count, value in shares:
                self._left += count
                self._shares_left += 1
                await self._hand_on(value.outputs if isinstance(value, Broken) else value)
                if isinstance(value, Broken):
                    raise value.error
            if isinstance(signal, EndOfStream):
                return
            if isinstance(signal, Marker):
                await self.pass_on(signal)
                _wake(self._reader)  # it may go on behind a fence
            _wake(self._dispatcher)
            del shares  # nothing that has left is held while the next one is waited for
            value = None

    async def _hand_on(self, out: list[Any]) -> None:
        if self.failures.letters:
            await self.send_letters(self.failures.letters)
        if out:
            if not self._shares_left % SIZE_EVERY:
                self._note_size(out[-1])
            self.ledger.emitted += len(out)
            self.ledger.passed += len(out)
            await self.send(Batch(out, self._origins.latest))

    # -- where items came from, and how large they are ------------------------------------------------------------

    def _place_of(self, share: Assembly, index: int) -> Any:
        where = None if share.positions is None else plain(share.positions[index])
        return where or self._origins.span_of(share.first + index)

    def _position_of(self, share: Assembly, index: int) -> Any:
        return resolved(self._place_of(share, index))

    def _note_size(self, value: Any) -> None:
        size = sample_size(value)
        self._item_bytes += (size - self._item_bytes) * (0.25 if self._item_bytes else 1.0)

    # -- the books ------------------------------------------------------------------------------------------------

    def waits_for(self) -> list[Channel]:
        """Return the edges that must move before this stage can: none while workers are at it."""
        return self.full_edges() or ([] if self.calls_under_way else self.hungry_edges())

    def at_rest(self) -> bool:
        """Tell whether no worker has anything, and the reader waits for items or what has come of them for room."""
        return not (self._with_workers or self._again or self._timers) and self.idle()

    def settle_counts(self) -> None:
        """Count as in flight what was received and has neither left nor been lost."""
        ledger = self.ledger
        ledger.in_flight = ledger.received - ledger.passed - ledger.dropped - ledger.failed - ledger.abandoned
        ledger.drops = {
            operator.label: count for operator, count in zip(self.operators, self._drops, strict=True) if count
        }

    def close(self) -> None:
        """Send the dead letters that are still here, and give up the rest."""
        self.force_letters(self.failures.letters)
        super().close()
        self._origins.clear()
        self._again.clear()


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
