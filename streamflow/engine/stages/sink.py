"""A sink that is awaited: batch by batch, or item by item where failures have a policy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from streamflow.engine.current import set_locator
from streamflow.engine.failures import Failures, as_failure, explain_failure, explain_letter, is_cancellation
from streamflow.engine.plan import PlannedStage
from streamflow.engine.stage import Listener, Stage
from streamflow.engine.turn import Turn
from streamflow.model.batches import Batch, Origin
from streamflow.model.interfaces import Writer
from streamflow.model.markers import EndOfStream
from streamflow.model.positions import plain


class SinkStage(Stage):
    """Await a writer for each batch."""

    def __init__(
        self, planned: PlannedStage, turn: Turn, listener: Listener, writer: Writer[Any], *, pairs: bool
    ) -> None:
        super().__init__(planned, turn, listener)
        assert planned.sink is not None
        self.sink = planned.sink
        self.writer: Writer[Any] = writer
        self.failures = Failures(planned.name, self.ledger)
        self._encode = self.sink.encode
        self._singly = self.sink.errors.drops or self.sink.retry is not None or self._encode is not None
        self._pairs = pairs
        self._where: Any = None

    async def work(self) -> None:
        """Write batch after batch."""
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
            if self.turn.spent():
                await self.turn.next()

    async def _take(self, batch: Batch) -> None:
        base = self.ledger.received
        self.ledger.received += len(batch.items)
        began = perf_counter()
        try:
            if self._singly:
                await self._write_singly(batch, base)
            else:
                await self._write(batch, base)
        finally:
            self.ledger.busy += perf_counter() - began
        self._where = None

    async def _write(self, batch: Batch, base: int) -> None:
        bare = self._pairs and not self.sink.wants_positions
        items: Sequence[Any] = batch.items
        if self._pairs:
            items = [item for item, _ in items] if bare else [(item, plain(where)) for item, where in items]
        self._where = batch.items[0][1] if self._pairs else batch.origin
        try:
            await self.writer.write(items)
        except (Exception, asyncio.CancelledError) as error:
            if is_cancellation(error):
                raise
            failure = as_failure(error, self.sink.label)
            done = getattr(self.writer, "written", 0)
            self._wrote(done)
            self.ledger.failed += 1
            explain_failure(failure, self.name, self.sink.label, base + done, self.position())
            explain_letter(failure, items[min(done, len(items) - 1)])
            raise failure  # noqa: B904 - it is the error itself, or has it as its cause
        self._wrote(len(items))

    async def _write_singly(self, batch: Batch, base: int) -> None:
        for offset, element in enumerate(batch.items):
            item, self._where = element if self._pairs else (element, batch.origin)
            attempt = 1
            while True:
                try:
                    await self.writer.write([item if self._encode is None else self._encode(item)])
                    self._wrote(1)
                    break
                except (Exception, asyncio.CancelledError) as error:
                    if is_cancellation(error):
                        raise
                    retry = self.sink.retry
                    if retry is None or not retry.again(attempt, error):
                        self.failures.take(error, self.sink, item, base + offset, self.position(), attempts=attempt)
                        break
                    delay = retry.delay(attempt)
                self.ledger.retried += 1
                await asyncio.sleep(delay)
                attempt += 1
            if self.failures.letters:
                await self.send_letters(self.failures.letters)

    def _wrote(self, count: int) -> None:
        self.ledger.passed += count
        self.ledger.emitted += count

    def position(self) -> Any:
        """Return where the item under way came from."""
        return self._where.span() if isinstance(self._where, Origin) else plain(self._where)

    def settle_counts(self) -> None:
        """Count as in flight what was received and is neither written nor lost."""
        ledger = self.ledger
        ledger.in_flight = ledger.received - ledger.passed - ledger.failed - ledger.abandoned

    def close(self) -> None:
        """Send the dead letters that are still here, and give up the rest."""
        self.force_letters(self.failures.letters)
        super().close()
        self._where = None
