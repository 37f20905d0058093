"""Keyed operators whose state lies in a store that may block, or whose functions run elsewhere.

The state stays with the run, and workers borrow it. A batch is what is there. Its keys are brought in, its items go
by their keys to the workers, each with what is known of it, and when all are back the state is put and the results
leave in the order of the input. Between two batches nothing is under way: that is when a barrier passes. A worker
that is lost takes nothing along.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from streamflow.channels.sizes import sample_size
from streamflow.engine.current import set_locator
from streamflow.engine.failures import Failures
from streamflow.engine.folding import Failed, Fold
from streamflow.engine.held_loop import PLACE_ADVICE, HeldLoop
from streamflow.engine.kept_state import KeptState
from streamflow.engine.keyed_batch import KeyedBatch, KeyShare, KeyWork, Missing
from streamflow.engine.origins import Origins
from streamflow.engine.plan import PlannedStage
from streamflow.engine.shares import share_size
from streamflow.engine.stage import Listener, Stage
from streamflow.engine.stages.fused import ENTRY_BYTES
from streamflow.engine.stepper import FAILURES, MAX_OUT
from streamflow.engine.turn import Turn
from streamflow.model.batches import Batch
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Pool
from streamflow.model.markers import Barrier, Commit, EndOfStream, Marker, Watermark
from streamflow.model.placement import Chain, Outcome, Step
from streamflow.model.positions import Stamp, plain, resolved
from streamflow.model.windows import Keyed
from streamflow.operators.firing import copied, known
from streamflow.operators.keyed_apart import KeyedApart
from streamflow.operators.keyed_steps import refuse_awaitable
from streamflow.operators.keyed_store import CLOCK, from_within

#: Items in one batch, and seconds of work of each worker: results leave when all of it is done.
MAX_BATCH = 8192
BATCH_SECONDS = 0.2
#: Items in a batch for each worker, before anybody knows what one costs.
BATCH_TO_BEGIN = 16
#: Items between two looks at the clock, where each costs little.
LOOK_EVERY = 64
_NOTHING: Any = object()


class KeyedStage(Stage):
    """Take batch after batch through one keyed step; `pool` is where its function runs, None for the loop."""

    def __init__(
        self,
        planned: PlannedStage,
        turn: Turn,
        listener: Listener,
        state: KeptState,
        pool: Pool | None,
        run_time: Callable[[], float],
        *,
        pairs: bool,
    ) -> None:
        super().__init__(planned, turn, listener)
        assert isinstance(planned.operator, KeyedApart)
        operator = self.operator = planned.operator
        self.state, self.pool = state, pool
        self.failures = Failures(planned.name, self.ledger)
        self.step = operator.step()
        self.fold = Fold(self.step, operator.label, goes_on=operator.errors.drops and operator.retry is None)
        self.workers = 1
        if operator.on is not None:
            self.workers = self.ledger.concurrency = operator.on.workers
            self.ledger.place = operator.on.label
        self._pairs = pairs
        self._ttl = self.step.ttl
        self._run_time = run_time
        self._by_event_time = operator.inner.timed
        #: The highest event time so far; or by how much the clock of the states is ahead of this run's.
        self._highest, self._ahead = -math.inf, 0.0
        self._origins = Origins()
        self._taken = self._left = 0
        #: What an item costs: in a worker, and the loop; and how large a value is.
        self._cost = self._crossing = self._value_bytes = 0.0
        self._told = False
        self._held = HeldLoop(PLACE_ADVICE, partial(listener.loop_held, self.name))
        self._at: int | None = None
        self._error: BaseException | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._chain = 0

    # -- the input ------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Take what is there, again and again; tell what keys have come to at a regular end."""
        set_locator(self.position)
        if self.pool is not None:
            step = Step("map", self.fold, self.operator.label, goes_on=True)
            self._chain = self.pool.load(Chain((step,), self.operator.timeout))
        channel = self.inputs[0]
        while True:
            message: Batch | Marker | None = await self.receive(channel)
            items: list[Any] = []
            while isinstance(message, Batch):
                self._accept(message)
                items += message.items
                message = channel.take_nowait() if len(items) < self._batch_size() else None
            await self._process_all(items)
            if isinstance(message, EndOfStream):
                self.failed_above = message.failed
                break
            if message is not None:
                if isinstance(message, Watermark):
                    self._highest = max(self._highest, message.time)
                await self.pass_on(message)
        if self.operator.folds and not self.failed_above and not self.stopping_early and not self._told:
            await self._tell()
        await self.state.written()

    def _accept(self, batch: Batch) -> None:
        self.ledger.received += len(batch.items)
        self._origins.remember(self._taken, batch.origin, self._left)
        self._taken += len(batch.items)

    def _batch_size(self) -> int:
        """Return how many items are taken at once: results leave together, and none should wait for long."""
        if not self._cost:
            return BATCH_TO_BEGIN * self.workers if self.pool is not None else MAX_BATCH
        return max(self.workers, min(int(BATCH_SECONDS * self.workers / self._cost), MAX_BATCH))

    async def _process_all(self, items: list[Any]) -> None:
        at = 0
        while at < len(items):
            size = self._batch_size()
            await self._process(items[at : at + size])
            at += size

    async def _process(self, taken: list[Any]) -> None:
        """Take one batch through."""
        items, positions = taken, None
        if self._pairs:
            items, positions = [item for item, _ in taken], [position for _, position in taken]
        moments = self._moments(positions, len(items))
        batch = KeyedBatch(items, moments, tries_again=not self.fold.goes_on)
        keys = await self._keys_of(batch)
        await self.state.have(key for key in keys if key is not _NOTHING)
        if self.pool is None:
            await self._fold_here(batch, keys)
        else:
            await self._fold_elsewhere(batch, keys)
        await self._hand_on(batch, keys, positions)
        self._left += len(items)
        if self._ttl is not None:
            await self.state.forget(_over_by(self._now(), self._ttl), 2 * len(items))
        await self.state.settle()
        self._measure(keys)

    def _moments(self, positions: Sequence[Any] | None, count: int) -> list[float] | float:
        """Return the time at each item, or one for all."""
        if self._ttl is None:
            return 0.0
        if not self._by_event_time:
            return self._now()
        moments, highest = [], self._highest
        for position in positions or ():
            if isinstance(position, Stamp) and position.watermark > highest:
                highest = position.watermark
            moments.append(highest)
        self._highest = highest
        return moments

    def _now(self) -> float:
        return self._highest if self._by_event_time else self._run_time() + self._ahead

    async def _keys_of(self, batch: KeyedBatch) -> list[Any]:
        """Return the key of each item; what has none has failed."""
        keys: list[Any] = []
        call, proven = self.operator.key, False
        for index, item in enumerate(batch.items):
            if not index % LOOK_EVERY:
                await self._next_turn()
            self._at = index
            try:
                key = call(item)
                if not proven:
                    refuse_awaitable(key, self.operator.label)
                    proven = True
                hash(key)
                keys.append(known(key))
            except FlowError:
                raise
            except FAILURES as error:
                batch.fail(index, error)
                keys.append(_NOTHING)
                if not self.operator.errors.drops:
                    batch.end_before(index)
                    break
        self._at = None
        return keys

    async def _next_turn(self) -> None:
        if self.turn.spent():
            await self.turn.next()

    # -- the step, here -------------------------------------------------------------------------------------------

    async def _fold_here(self, batch: KeyedBatch, keys: list[Any]) -> None:
        """Take one item after the other, in the order of the input."""
        self._held.begin()
        began = perf_counter()
        for index, key in enumerate(keys):
            if key is _NOTHING:
                continue
            if self.turn.spent():
                self._note_busy(perf_counter() - began)
                await self._next_turn()
                self._held.begin()
                began = perf_counter()
            self._at = index
            moment = batch.moments[index] if isinstance(batch.moments, list) else batch.moments
            entry = self._entry(key)
            after, since, (result,) = self.fold.fold(entry, [batch.items[index]], moment)
            batch.results[index] = result
            if isinstance(result, Failed):
                if not self.operator.errors.drops:
                    break
            else:
                self._put(key, after, moved=since is not None)
        self._at = None
        self._note_busy(perf_counter() - began)

    def _note_busy(self, seconds: float) -> None:
        self.ledger.busy += seconds
        self._held.end(seconds)

    def _entry(self, key: Any) -> Any:
        found = self.state.store.get(key, _NOTHING)
        if found is _NOTHING:
            return None
        return found if self._ttl is not None else (found,)

    def _put(self, key: Any, entry: Any, *, moved: bool) -> None:
        store = self.state.store
        if entry is None:
            store.delete(key)
        elif self._ttl is not None:
            store.put(key, entry)
        else:
            if moved:
                store.delete(key)  # it had gone in between, and is a new one
            store.put(key, entry[0])

    # -- the step, elsewhere --------------------------------------------------------------------------------------

    async def _fold_elsewhere(self, batch: KeyedBatch, keys: list[Any]) -> None:
        """Have the items of each key taken by a worker, in shares, and put what they have made of the state."""
        for index, key in enumerate(keys):
            if not index % LOOK_EVERY:
                await self._next_turn()
            if key is not _NOTHING:
                batch.add(index, key)
        for key, work in batch.works.items():
            work.entry = self._entry(key)
        batch.begin()
        await self._hand_out(batch)
        for number, work in enumerate(batch.in_order()):
            if not number % LOOK_EVERY:
                await self._next_turn()
            self._put(work.key, work.entry, moved=work.since is not None)

    async def _hand_out(self, batch: KeyedBatch) -> None:
        assert self.pool is not None
        try:
            while not batch.over:
                if self._error is not None:
                    raise self._error
                if not batch.ready:
                    await self._something()
                    continue
                await self._next_turn()
                await self.pool.room()
                if not batch.ready:
                    self.pool.decline()
                    continue
                size = share_size(batch.left, self.workers, self._cost, self._crossing, self._value_bytes)
                share = batch.next_share(size)
                given = batch.given(share)
                if self.operator.timeout is not None:
                    given = copied(given)  # a thread that is given up may go on, and change its own only
                self.pool.submit(self._chain, [given], None, partial(self._answered, batch, share))
        finally:
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()

    async def _something(self) -> None:
        """Wait until a share is back, or a retry due."""
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _answered(self, batch: KeyedBatch, share: KeyShare, outcome: Outcome) -> None:
        """Take what came of a share."""
        if self.over:
            return  # the books are closed
        self.ledger.busy += outcome.seconds / self.workers
        error = outcome.fatal or next((failure.error for failure in outcome.failures), None)
        if outcome.fatal is not None or isinstance(error, FlowError):
            self._error = error
        elif error is None and outcome.values:
            self._note_cost(outcome, share.count)
            for work, failed in batch.answered(share, outcome.values[0]):
                self._item_failed(batch, work, failed)
        elif error is None or share.count > 1:
            batch.again(share, alone=share.count > 1 and (error is not None or outcome.apart))
        else:
            self._item_failed(batch, share.parts[0][0], Failed(error, self.operator.label))
        self._wake()

    def _note_cost(self, outcome: Outcome, count: int) -> None:
        # The largest recent cost: one slow item makes the shares short at once, cheap ones lengthen them gradually.
        self._cost = max(outcome.seconds / count, self._cost * 0.8, 1e-8)
        self._crossing = max(outcome.crossing / count, self._crossing * 0.8)

    def _item_failed(self, batch: KeyedBatch, work: KeyWork, failed: Failed) -> None:
        """Have an item tried again, or go on after it."""
        work.attempts += 1
        failed.attempts = work.attempts
        retry = self.operator.retry
        if retry is not None and retry.again(work.attempts, failed.error):
            self.ledger.retried += 1
            self._try_later(batch, work, retry.delay(work.attempts))
            return
        if not self.operator.errors.drops:
            batch.end_before(work.indexes[work.done])
        batch.failed(work, failed)

    def _try_later(self, batch: KeyedBatch, work: KeyWork, delay: float) -> None:
        def now() -> None:
            self._timers.discard(timer)
            batch.try_again(work)
            self._wake()

        timer = asyncio.get_running_loop().call_later(delay, now)
        self._timers.add(timer)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # -- what leaves ----------------------------------------------------------------------------------------------

    async def _hand_on(self, batch: KeyedBatch, keys: Sequence[Any], positions: Sequence[Any] | None) -> None:
        """Hand on results and failed items in their order, up to one that ends the run."""
        out: list[Any] = []
        named, gives = self.step.names_keys, self.step.gives
        for index, result in enumerate(batch.results):
            if not index % LOOK_EVERY and self.turn.spent():
                await self._next_turn()
            if isinstance(result, Failed):
                place = positions[index] if positions is not None else None
                if plain(place) is None:
                    place = self._origins.span_of(self._left + index)
                try:
                    self.failures.take(
                        result.error,
                        self.operator,
                        batch.items[index],
                        self._left + index,
                        place,
                        attempts=result.attempts,
                    )
                except BaseException:
                    await self._send(out)
                    raise
            elif result is not Missing:
                self.ledger.passed += 1
                if len(out) == MAX_OUT:
                    await self._send(out)
                    out = []
                if gives:
                    value = Keyed(keys[index], result) if named else result
                    out.append(value if positions is None else (value, positions[index]))
        await self._send(out)

    async def _send(self, out: list[Any]) -> None:
        if self.failures.letters:
            await self.send_letters(self.failures.letters)
        if out:
            self.ledger.emitted += len(out)
            await self.send(Batch(out, self._origins.latest))

    async def _tell(self) -> None:
        """Hand on what every key has come to, the first that came first."""
        async for some in self.state.items():
            await self._next_turn()
            results: Iterable[Any] = (Keyed(key, self.step.value(value)) for key, value in some)
            await self._send([(result, None) for result in results] if self._pairs else list(results))
        self._told = True

    # -- checkpoints ----------------------------------------------------------------------------------------------

    async def answer(self, marker: Barrier | Commit) -> dict[str, list[Any]]:
        """Return the state in pieces; nothing of it once all has been told."""
        key = self.planned.keys[0]
        parts = [await self.written_down(key, (CLOCK, self._now(), self._told))]
        if not self._told:
            async for piece in self.state.pieces():
                parts.append(piece if isinstance(piece, bytes) else await self.written_down(key, piece))
        return {key: parts}

    async def restore_parts(self, parts: Mapping[str, Sequence[Any]]) -> None:
        """Begin with what was remembered in an earlier run: here, or within a fused stage."""
        pieces = parts.get(self.planned.keys[0], ())
        if not pieces:
            return
        first = self.writing.decode(pieces[0])
        if first and first[0] == CLOCK:
            _, now, self._told = first
            pieces = pieces[1:]
        else:
            now, pieces = from_within([self.writing.decode(piece) for piece in pieces], self._now())
        if self._by_event_time:
            self._highest = now
        else:
            self._ahead = now - self._run_time()
        await self.state.load(pieces)
        self._measure(())

    # -- telling --------------------------------------------------------------------------------------------------

    def position(self) -> Any:
        """Return where the item under way on the loop came from."""
        return None if self._at is None else resolved(self._origins.span_of(self._left + self._at))

    def _measure(self, keys: Sequence[Any]) -> None:
        """Estimate how large the state is, by one value a batch."""
        store, ledger = self.state.store, self.ledger
        key = keys[-1] if keys else _NOTHING
        if key is not _NOTHING and (value := store.get(key, _NOTHING)) is not _NOTHING:
            size = sample_size((key, value)) + ENTRY_BYTES
            self._value_bytes += (size - self._value_bytes) * (0.25 if self._value_bytes else 1.0)
        ledger.keys, ledger.disk_bytes, ledger.disk_seconds = len(store), store.disk_bytes, self.state.waited
        ledger.state_bytes = int(store.in_memory * self._value_bytes) + store.disk_bytes

    def settle_counts(self) -> None:
        """Count as in flight what was received and has neither left nor been lost."""
        ledger = self.ledger
        ledger.in_flight = ledger.received - ledger.passed - ledger.failed - ledger.abandoned

    def close(self) -> None:
        """Send the dead letters that are still here, and give up the rest."""
        self.force_letters(self.failures.letters)
        super().close()
        self._origins.clear()


def _over_by(now: float, ttl: float) -> float:
    """Return the last moment that is `ttl` before `now`, to the last bit."""
    moment = now - ttl
    while moment + ttl > now:
        moment = math.nextafter(moment, -math.inf)
    return moment
