"""Joins: two inputs, and between them what still waits for its partners."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import isawaitable, iscoroutine
from itertools import islice
from time import perf_counter
from typing import Any

from streamflow.engine.current import set_locator
from streamflow.engine.failures import Failures
from streamflow.engine.plan import PlannedStage
from streamflow.engine.stage import Listener
from streamflow.engine.stages.fan_in import FanInStage
from streamflow.engine.stepper import FAILURES, MAX_LETTERS, MAX_OUT, SLICE
from streamflow.engine.turn import Turn
from streamflow.model.batches import Batch, Origin
from streamflow.model.errors import FlowError
from streamflow.model.joined import Joined
from streamflow.model.markers import EndOfStream, Idle, Marker, Watermark
from streamflow.model.positions import Known, Stamp, Where, resolved
from streamflow.operators.callables import name_of
from streamflow.operators.element import LATE, RESULTS
from streamflow.operators.firing import before, known
from streamflow.operators.joining.operator import Join
from streamflow.operators.joining.state import LEFT

#: Items held from which an input that is further than the other waits for it.
AHEAD = 10_000
#: Results that are made between two looks at the clock.
DUE_AT_ONCE = 64


class JoinStage(FanInStage):
    """Give each item to the state with its own input's watermark, and hand on what comes of that and of time.

    `waits` says of each input whether it may be left unread while it is ahead of the other.
    """

    def __init__(self, planned: PlannedStage, turn: Turn, listener: Listener, *, waits: tuple[bool, ...]) -> None:
        super().__init__(planned, turn, listener)
        assert isinstance(planned.operator, Join)
        self.operator = planned.operator
        self.state = planned.operator.start()
        self.failures = Failures(planned.name, self.ledger)
        self._waits = waits
        self._out: list[Any] = []
        self._left = 0
        self._seen = [0, 0]
        self._unproven = {0, 1}
        self._cost = SLICE
        self._where: Where = None
        self._origin: Origin | None = None

    async def work(self) -> None:
        """Take from both inputs, and after a regular end hand on what is left."""
        set_locator(self.position)
        await super().work()
        if not self.stopping_early:
            await self._advance(math.inf)

    # -- which input ----------------------------------------------------------------------------------------------

    def wanted(self, port: int) -> bool:
        """Tell whether `port` may be read: one that is ahead lets the other go first, so that little is held.

        Not while a checkpoint holds the other, as for `zip`.
        """
        if not super().wanted(port):
            return False
        return bool(self.alignment.held) or not self._ahead(port) or self.inputs[port].marker_first()

    def _ahead(self, port: int) -> bool:
        other = 1 - port
        if other in self.alignment.ended or not self.watermarks.behind(other, port):
            return False
        return self.inputs[other].waiting or (self._waits[port] and self.state.retained >= AHEAD)

    async def _heed(self, port: int, marker: Marker) -> None:
        await super()._heed(port, marker)
        if isinstance(marker, (Watermark, Idle, EndOfStream)):
            self.release()

    async def go_on(self, time: Marker) -> None:
        """Hand on what is due by now, then say how far time has come."""
        if isinstance(time, Watermark):
            await self._advance(time.time)
        await super().go_on(time)

    # -- items ----------------------------------------------------------------------------------------------------

    async def take(self, port: int, batch: Batch) -> None:
        """Give the items to the state, and hand on what comes of it."""
        items = iter(batch.items)
        self._left, self._origin = len(batch.items), batch.origin
        del batch
        while self._left:
            await self._next_turn()
            began = perf_counter()
            size = max(1, min(int(SLICE / self._cost), MAX_OUT))
            before_it = self._left
            try:
                self._add(port, islice(items, size))
            except BaseException:
                await self._hand_on()  # what came before the item that failed
                raise
            finally:
                seconds = perf_counter() - began
                self.ledger.busy += seconds
            self._cost = max(seconds / max(before_it - self._left, 1), self._cost * 0.7, 1e-8)
            await self._hand_on()
        self._where = self._origin = None
        await self._advance(self.watermarks.least)
        self.release()

    def _add(self, port: int, pairs: Iterable[Any]) -> None:
        """Take some items, as far as what comes of them is not too much to be handed on at once."""
        state, out, key_of, shaped = self.state, self._out, self.operator.keys[port], self._shaped
        add, own = state.add, -math.inf
        for item, where in pairs:
            self._left -= 1
            self._seen[port] += 1
            self._where = where
            try:
                key = key_of(item)
                if port in self._unproven:
                    self._prove(port, key)
                found = add(port, known(key), where.time, item, where.watermark)
            except BaseException as error:
                self._failed(error, port, item)
                continue
            finally:
                own = where.watermark
            if found is None:
                self._late(port, key, item, where)
            elif found:
                out += map(shaped, found)
                if len(out) >= MAX_OUT:
                    break
        self.watermarks.note(port, own)

    def _prove(self, port: int, key: Any) -> None:
        if isawaitable(key):
            if iscoroutine(key):
                key.close()
            function = name_of(self.operator.keys[port])
            raise FlowError(f"{self.operator.label}: {function} must be plain: it returned an awaitable")
        self._unproven.discard(port)

    def _failed(self, error: BaseException, port: int, item: Any) -> None:
        if not isinstance(error, FAILURES):
            self.ledger.failed += 1
            raise error
        self.failures.take(error, self.operator, item, self._seen[port] - 1, self.position())

    def _late(self, port: int, key: Any, item: Any, where: Where) -> None:
        """Drop an item that has come too late, or hand it on by the output for those."""
        if self.operator.parts_late:
            late = Joined(key, item, None) if port == LEFT else Joined(key, None, item)
            self._out.append(((LATE, late), where))
        else:
            self.ledger.dropped += 1

    # -- results --------------------------------------------------------------------------------------------------

    def _shaped(self, result: Any) -> tuple[Any, Where]:
        """Return a result as it is handed on, with its time if it has one: the last one in its window."""
        stamp = None
        if self.operator.timed_results:
            moment = before(result.end)
            stamp = Stamp(moment, moment, None)
        return ((RESULTS, result) if self.operator.parts_late else result, stamp)

    async def _advance(self, watermark: float) -> None:
        """Let time go on; all that comes of it leaves before anything else is done."""
        if watermark <= self.state.watermark or self.failed_above:
            return  # where an input has failed, what seems to have no partner may have one
        results = self.state.advance(watermark)
        while True:
            await self._next_turn()
            began = perf_counter()
            found = True
            while found and len(self._out) < MAX_OUT and perf_counter() < self.turn.deadline:
                piece = [*map(self._shaped, islice(results, DUE_AT_ONCE))]
                self._out += piece
                found = bool(piece)
            self.ledger.busy += perf_counter() - began
            await self._hand_on()
            if not found:
                return

    async def _next_turn(self) -> None:
        if self.turn.spent():
            await self.turn.next()

    async def _hand_on(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self.ledger.emitted += len(out)
            await self.send(Batch(out))
        if len(self.failures.letters) >= MAX_LETTERS or not self._left:
            await self.send_letters(self.failures.letters)

    # -- the books ------------------------------------------------------------------------------------------------

    def settle_counts(self) -> None:
        """Work out how many items have left: those of the others that are neither held nor under way."""
        ledger = self.ledger
        ledger.retained, ledger.in_flight = self.state.retained, self._left
        gone = ledger.dropped + ledger.failed + ledger.retained + ledger.in_flight + ledger.abandoned
        ledger.passed = ledger.received + ledger.restored - gone
        ledger.drops = {self.operator.label: ledger.dropped} if ledger.dropped else {}

    def close(self) -> None:
        """Send the dead letters that are still here, and give up what was not begun."""
        self.force_letters(self.failures.letters)
        super().close()
        self._left = 0
        self._where = self._origin = None

    def position(self) -> Known:
        """Return where the item under way came from: its own place if that travels with it, else its batch's."""
        where = resolved(self._where)
        return self._origin.span() if where is None and self._origin is not None else where

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def remembered(self) -> Iterator[tuple[str, Iterable[Any]]]:
        """Yield what waits for partners."""
        yield self.planned.keys[0], self.state.chunks()

    async def restore_parts(self, parts: Mapping[str, Sequence[Any]]) -> None:
        """Set what waits for partners."""
        for chunk in parts.get(self.planned.keys[0], ()):
            await self._next_turn()
            self.state.restore_chunk(self.writing.decode(chunk))
        self.ledger.restored = self.state.retained
