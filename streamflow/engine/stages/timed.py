"""Operators that keep time: `batch(n, within=…)`, `throttle`, `debounce` and `timeout`.

Their clock is the run's, which stands still while the run is paused. Only `throttle` goes by the loop's: what it holds
back is on its way, and settles.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from time import perf_counter
from typing import Any

from streamflow.channels.memory import Channel
from streamflow.engine.failures import explain_failure
from streamflow.engine.plan import PlannedStage
from streamflow.engine.run_clock import RunClock
from streamflow.engine.stage import Listener, Stage
from streamflow.engine.turn import Turn
from streamflow.model.batches import Batch, Origin
from streamflow.model.errors import ItemTimeout
from streamflow.model.markers import EndOfStream, Marker
from streamflow.model.positions import Gathered, plain, settled
from streamflow.operators.batch import BatchBySize, BatchWithin
from streamflow.operators.timing import Debounce, Throttle, Timeout


class TimedStage(Stage):
    """Receive until a deadline that the operator sets, and act when it passes."""

    deadline: float | None = None

    def __init__(self, planned: PlannedStage, turn: Turn, listener: Listener, clock: RunClock) -> None:
        super().__init__(planned, turn, listener)
        self.clock = clock
        self.origin: Origin | None = None

    async def work(self) -> None:
        """Take messages and deadlines as they come, until the input ends."""
        while True:
            message = await self._receive_in_time()
            if message is None:
                await self.expired()
            elif isinstance(message, Batch):
                self.ledger.received += len(message.items)
                await self.take(message)
            elif isinstance(message, EndOfStream):
                self.failed_above = message.failed
                break
            else:
                await self.pass_on(message)
            del message
        if not self.failed_above:
            await self.finish()

    async def _receive_in_time(self) -> Batch | Marker | None:
        if self.deadline is None:
            return await self.receive(self.inputs[0])
        began = perf_counter()
        self.ledger.state = "starved"
        try:
            while True:
                message = await self.inputs[0].receive_until(self.clock.due(self.deadline))
                if message is not None or self.clock.passed(self.deadline):
                    return message
        finally:
            self.ledger.state = "busy"
            self.ledger.starved += perf_counter() - began

    def waits_for(self) -> list[Channel]:
        """Return no edge while a deadline is set: it will pass without anybody's help."""
        return [] if self.deadline is not None else super().waits_for()

    def look_up(self) -> None:
        """Note that the clock goes on."""
        self.inputs[0].nudge()

    @abstractmethod
    async def take(self, batch: Batch) -> None:
        """Process what has arrived."""

    async def expired(self) -> None:
        """Act on a deadline that has passed."""

    async def finish(self) -> None:
        """Hand on what is left at a regular end."""

    def close(self) -> None:
        """Let go of where the last items came from: somebody may wait for the end of what was dropped."""
        super().close()
        self.origin = None

    async def hand_on(self, items: list[Any], origin: Origin | None, passed: int) -> None:
        """Send results which stand for `passed` received items."""
        self.ledger.passed += passed
        self.ledger.emitted += len(items)
        await self.send(Batch(items, origin))


class BatchStage(TimedStage):
    """Gather items; a full batch leaves at once, a partial one when its first item has waited long enough."""

    def __init__(self, *arguments: Any, pairs: bool) -> None:
        super().__init__(*arguments)
        operator = self.planned.operator
        assert isinstance(operator, (BatchWithin, BatchBySize))
        self._size = operator.size
        self._within = operator.within if isinstance(operator, BatchWithin) else None
        self._pairs = pairs
        self._items: list[Any] = []

    async def take(self, batch: Batch) -> None:
        """Gather, handing on what is full."""
        size, items = self._size, self._items
        self.origin = batch.origin
        items.extend(batch.items)
        full = [items[at : at + size] for at in range(0, len(items) - len(items) % size, size)]
        if full:
            self._items = items[len(full) * size :]
            self.deadline = None
            await self.hand_on([self._gathered(one) for one in full], batch.origin, len(full) * size)
        if self._items and self.deadline is None and self._within is not None:
            self.deadline = self.clock.now() + self._within

    async def expired(self) -> None:
        """Hand the partial batch on."""
        items, self._items, self.deadline = self._items, [], None
        await self.hand_on([self._gathered(items)], self.origin, len(items))

    async def finish(self) -> None:
        """Hand the last batch on."""
        if self._items:
            await self.expired()

    def _gathered(self, items: list[Any]) -> Any:
        if not self._pairs:
            return items
        return [item for item, _ in items], Gathered(tuple(plain(position) for _, position in items))

    def settle_counts(self) -> None:
        """Count what waits."""
        self.ledger.retained = len(self._items)

    def snapshot(self) -> Any:
        """Return what waits: a barrier does not flush it."""
        return settled(self._items) if self._pairs else tuple(self._items)

    def restore(self, snapshot: Any) -> None:
        """Set what waits; its time begins anew."""
        self._items = list(snapshot)
        self.ledger.restored = len(self._items)
        if self._items and self._within is not None:
            self.deadline = self.clock.now() + self._within


class ThrottleStage(TimedStage):
    """Let items pass while fewer than `count` have in the last `per` seconds."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        assert isinstance(self.planned.operator, Throttle)
        self.operator = self.planned.operator
        self._passed: deque[float] = deque(maxlen=self.operator.count)

    async def take(self, batch: Batch) -> None:
        """Hand on as many as may pass now, and wait for the others' turn."""
        loop = asyncio.get_running_loop()
        items = batch.items
        while items:
            self.ledger.in_flight = len(items)
            now = loop.time()
            while self._passed and self._passed[0] + self.operator.per <= now:
                self._passed.popleft()
            free = self.operator.count - len(self._passed)
            if free:
                allowed, items = items[:free], items[free:]
                self._passed.extend([now] * len(allowed))
                self.ledger.in_flight = len(items)
                await self.hand_on(allowed, batch.origin, len(allowed))
            else:
                self.ledger.state = "throttling"
                await sleep_until(self._passed[0] + self.operator.per)
                self.ledger.state = "busy"


async def sleep_until(when: float) -> None:
    """Sleep until the loop's clock shows `when`.

    What sleeps for a difference instead may wake a rounding error too early, and then for ever sleep for nothing.
    """
    woken = asyncio.Event()
    timer = asyncio.get_running_loop().call_at(when, woken.set)
    try:
        await woken.wait()
    finally:
        timer.cancel()


class DebounceStage(TimedStage):
    """Keep the last item until nothing has come for a while."""

    def __init__(self, *arguments: Any, pairs: bool) -> None:
        super().__init__(*arguments)
        assert isinstance(self.planned.operator, Debounce)
        self.operator = self.planned.operator
        self._pairs = pairs
        self._last: list[Any] = []

    async def take(self, batch: Batch) -> None:
        """Keep the newest; those it displaces are dropped."""
        self.ledger.dropped += len(self._last) + len(batch.items) - 1
        self._last = batch.items[-1:]
        self.origin = batch.origin
        self.deadline = self.clock.now() + self.operator.quiet

    async def expired(self) -> None:
        """Hand on what has stood its time."""
        last, self._last, self.deadline = self._last, [], None
        await self.hand_on(last, self.origin, 1)

    async def finish(self) -> None:
        """Hand on the last: nothing comes after it."""
        if self._last:
            await self.expired()

    def settle_counts(self) -> None:
        """Count what waits."""
        self.ledger.retained = len(self._last)

    def snapshot(self) -> Any:
        """Return what waits."""
        return settled(self._last) if self._pairs else tuple(self._last)

    def restore(self, snapshot: Any) -> None:
        """Set what waits; its time begins anew."""
        self._last = list(snapshot)
        self.ledger.restored = len(self._last)
        self.deadline = self.clock.now() + self.operator.quiet if self._last else None


class TimeoutStage(TimedStage):
    """Hand everything on, and fail when nothing comes for too long."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        assert isinstance(self.planned.operator, Timeout)
        self.operator = self.planned.operator

    async def work(self) -> None:
        """Begin to count at the start."""
        self.deadline = self.clock.now() + self.operator.seconds
        await super().work()

    async def take(self, batch: Batch) -> None:
        """Hand on; the time that downstream takes does not count."""
        await self.hand_on(batch.items, batch.origin, len(batch.items))
        self.deadline = self.clock.now() + self.operator.seconds

    async def expired(self) -> None:
        """Fail."""
        error = ItemTimeout(f"{self.operator.label}: no item arrived for {self.operator.seconds:g} s")
        explain_failure(error, self.name, self.operator.label, self.ledger.received, None)
        raise error
