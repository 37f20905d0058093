"""`flat_map` with a function that must be awaited: an async generator, or a coroutine that returns an iterable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from inspect import isawaitable
from time import perf_counter
from typing import Any

from streamflow.engine.current import set_locator
from streamflow.engine.expander import iterate
from streamflow.engine.failures import Failures, is_cancellation
from streamflow.engine.plan import PlannedStage
from streamflow.engine.stage import Listener, Stage
from streamflow.engine.turn import Turn
from streamflow.model.batches import Batch, Origin
from streamflow.model.markers import EndOfStream
from streamflow.operators.flat_map import FlatMap

#: Children gathered before they are handed on, if none of them is waited for.
MAX_OUT = 256


class AsyncExpandStage(Stage):
    """Hand on the children of one item after another, those that are there together."""

    def __init__(self, planned: PlannedStage, turn: Turn, listener: Listener, *, pairs: bool) -> None:
        super().__init__(planned, turn, listener)
        assert isinstance(planned.operator, FlatMap)
        self.operator = planned.operator
        self.failures = Failures(planned.name, self.ledger)
        self.ledger.kind = "async expand"
        self._pairs = pairs
        self._where: Any = None
        self._out: list[Any] = []

    async def work(self) -> None:
        """Expand batch after batch."""
        channel = self.inputs[0]
        set_locator(self.position)
        while True:
            message = await self.receive(channel)
            if isinstance(message, Batch):
                await self._take(message)
            elif isinstance(message, EndOfStream):
                self.failed_above = message.failed
                return
            else:
                await self.pass_on(message)
            del message
            self._where = None

    async def _take(self, batch: Batch) -> None:
        base = self.ledger.received
        self.ledger.received += len(batch.items)
        for offset, element in enumerate(batch.items):
            item, self._where = element if self._pairs else (element, batch.origin)
            before = self.ledger.emitted
            began, blocked = perf_counter(), self.ledger.blocked
            try:
                try:
                    await self._expand(item, batch.origin)
                finally:
                    self.ledger.busy += perf_counter() - began - (self.ledger.blocked - blocked)
            except (Exception, asyncio.CancelledError) as error:
                if is_cancellation(error):
                    raise
                await self._hand_on(batch.origin)
                emitted = self.ledger.emitted - before
                self.failures.take(error, self.operator, item, base + offset, self.position(), emitted=emitted)
                await self.send_letters(self.failures.letters)
            else:
                await self._hand_on(batch.origin)
                self.ledger.passed += 1

    async def _expand(self, item: Any, origin: Origin | None) -> None:
        assert self.operator.call is not None
        children = self.operator.call(item)
        if isawaitable(children):
            children = await children
        if not hasattr(children, "__aiter__"):
            for child in iterate(children, self.operator.label):
                await self._add(child, origin)
            return
        generator: AsyncIterator[Any] = children.__aiter__()
        try:
            async for child in generator:
                await self._add(child, origin)
                await self._hand_on(origin)  # the next one may be long in coming: nothing waits to fill a batch
        finally:
            close = getattr(generator, "aclose", None)
            if close is not None:
                await close()

    async def _add(self, child: Any, origin: Origin | None) -> None:
        self._out.append((child, self._where) if self._pairs else child)
        if len(self._out) >= MAX_OUT or self.turn.spent():
            await self._hand_on(origin)
            if self.turn.spent():
                await self.turn.next()

    async def _hand_on(self, origin: Origin | None) -> None:
        out, self._out = self._out, []
        if out:
            self.ledger.emitted += len(out)
            await self.send(Batch(out, origin))

    def position(self) -> Any:
        """Return where the item under way came from."""
        return self._where.span() if isinstance(self._where, Origin) else self._where

    def settle_counts(self) -> None:
        """Count as in flight what was received and is neither expanded nor lost."""
        ledger = self.ledger
        ledger.in_flight = ledger.received - ledger.passed - ledger.failed - ledger.abandoned

    def close(self) -> None:
        """Send the dead letters that are still here, and give up the rest."""
        self.force_letters(self.failures.letters)
        super().close()
        self._where = None
