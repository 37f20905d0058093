"""Where several flows come together: `merge`, `zip` and `concat`."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from time import perf_counter
from typing import Any

from streamflow.channels.memory import Channel
from streamflow.engine.alignment import Alignment
from streamflow.engine.plan import PlannedStage
from streamflow.engine.stage import Listener, Stage
from streamflow.engine.stages.source import SourceStage
from streamflow.engine.turn import Turn
from streamflow.engine.watermarks import Watermarks
from streamflow.model.batches import Batch
from streamflow.model.errors import FlowError
from streamflow.model.markers import Barrier, EndOfStream, Idle, Marker, Watermark
from streamflow.model.positions import Stamp, plain, settled
from streamflow.operators.fan import Zip


class FanInStage(Stage):
    """Take from several edges in the order of arrival, as far as they may be read."""

    def __init__(self, planned: PlannedStage, turn: Turn, listener: Listener) -> None:
        super().__init__(planned, turn, listener)
        self._arrivals: deque[int] = deque()
        self._held: deque[int] = deque()
        self._arrived: asyncio.Future[None] | None = None
        self._probes: deque[Marker] = deque(maxlen=64)

    def listen(self) -> None:
        """Begin to note which edge something arrives on."""
        self.alignment = Alignment(len(self.inputs))
        self.watermarks = Watermarks(len(self.inputs))
        for port, channel in enumerate(self.inputs):
            channel.on_arrival = self._noting(port)

    def _noting(self, port: int) -> Any:
        def arrived(channel: Channel) -> None:
            self._arrivals.append(port)
            if self._arrived is not None and not self._arrived.done():
                self._arrived.set_result(None)

        return arrived

    async def work(self) -> None:
        """Take message after message, until every input has ended."""
        while not self.alignment.complete and not self.stopping_early:
            if self.turn.spent():
                await self.turn.next()
            port = await self._next_port()
            message = self.inputs[port].take_nowait()
            if isinstance(message, Batch):
                self.ledger.received += len(message.items)
                await self.take(port, message)
            elif message is not None:
                await self._heed(port, message)
            del message

    async def _next_port(self) -> int:
        while True:
            while self._arrivals:
                port = self._arrivals.popleft()
                if self.wanted(port):
                    return port
                if port not in self.alignment.ended:
                    self._held.append(port)
            began = perf_counter()
            self.ledger.state = "starved"
            self._arrived = asyncio.get_running_loop().create_future()
            try:
                await self._arrived
            finally:
                self._arrived = None
                self.ledger.state = "busy"
                self.ledger.starved += perf_counter() - began

    def wanted(self, port: int) -> bool:
        """Tell whether `port` may be read now."""
        return self.alignment.readable(port)

    def release(self) -> None:
        """Let the edges be read that had to wait, in the order in which things arrived on them."""
        self._arrivals.extendleft(reversed(self._held))
        self._held.clear()

    async def _heed(self, port: int, marker: Marker) -> None:
        barrier: Barrier | None = None
        time: Marker | None = None
        if isinstance(marker, EndOfStream):
            self.failed_above = self.failed_above or marker.failed
            barrier = self.alignment.end(port)
            time = self.watermarks.end(port)
            await self.ended(port)
        elif isinstance(marker, Barrier):
            barrier = self.alignment.deliver(port, marker)
            self.release()
        elif isinstance(marker, (Watermark, Idle)):
            time = self.time_after(port, marker)
        elif not any(marker is one for one in self._probes):
            # What was sent down several paths arrives as often: it goes on once, or it would double at each diamond.
            self._probes.append(marker)
            await self.pass_on(marker)
        if time is not None:
            await self.go_on(time)
        if barrier is not None:
            await self.checkpoint(barrier)
            self.release()

    def time_after(self, port: int, marker: Watermark | Idle) -> Marker | None:
        """Take what `port` says of event time; return what is to be handed on, if anything."""
        if isinstance(marker, Watermark):
            return self.watermarks.advance(port, marker.time)
        return self.watermarks.idle(port)

    async def go_on(self, time: Marker) -> None:
        """Tell what all inputs together say of event time."""
        self.outlet.mark(time)

    @abstractmethod
    async def take(self, port: int, batch: Batch) -> None:
        """Process a batch of one input."""

    async def ended(self, port: int) -> None:
        """Take note that an input has ended."""

    def waits_for(self) -> list[Channel]:
        """Return the edges that must move before this stage can."""
        if self.ledger.state == "starved":
            wanted = [channel for port, channel in enumerate(self.inputs) if self.wanted(port)]
            # What has come on one of them will be taken: the stage has been woken, or is about to be.
            return [] if any(channel.waiting for channel in wanted) else wanted
        return super().waits_for()

    async def forward(self, batch: Batch) -> None:
        """Hand a batch on as it is."""
        self.ledger.passed += len(batch.items)
        self.ledger.emitted += len(batch.items)
        await self.send(batch)


class MergeStage(FanInStage):
    """Hand on whatever arrives; the watermark that travels with an item becomes that of all inputs."""

    #: Whether items carry event time.
    stamped = False

    async def take(self, port: int, batch: Batch) -> None:
        """Hand it on."""
        await self.forward(Batch(self._stamped(port, batch.items), batch.origin) if self.stamped else batch)

    def _stamped(self, port: int, pairs: list[Any]) -> list[Any]:
        """Return `pairs` with the least of the watermarks in their stamps; where there is no stamp, as they are."""
        watermarks, stamped = self.watermarks, []
        for item, where in pairs:
            if isinstance(where, Stamp):
                watermarks.note(port, where.watermark)
                stamped.append((item, where._replace(watermark=watermarks.least)))
            else:
                stamped.append((item, where))
        return stamped


class ConcatStage(FanInStage):
    """Hand on the first input whole, then the next; the sources behind the later ones are shut until it is their turn.

    That is what lets a barrier through: it finds those inputs empty.
    """

    shut: list[list[SourceStage]]

    def prepare(self, sources: list[list[SourceStage]]) -> None:
        """Shut, for each input after the first, the sources that feed only it."""
        self.shut = sources
        self.turn_of = 0
        self._said: dict[int, Marker] = {}
        for behind in sources[1:]:
            for stage in behind:
                stage.shut()

    def shut_sources(self) -> list[SourceStage]:
        """Return the sources whose turn is still to come."""
        return [stage for behind in self.shut[max(self.turn_of + 1, 1) :] for stage in behind]

    def wanted(self, port: int) -> bool:
        """Tell whether it is this input's turn; markers that stand at the head of a later one pass."""
        return super().wanted(port) and (port == self.turn_of or self.inputs[port].marker_first())

    async def take(self, port: int, batch: Batch) -> None:
        """Hand it on."""
        await self.forward(batch)

    def time_after(self, port: int, marker: Watermark | Idle) -> Marker | None:
        """Take event time from the input whose turn it is, as if it were set behind all of them."""
        if port == self.turn_of:
            return marker
        self._said[port] = marker
        return None

    async def ended(self, port: int) -> None:
        """Go on with the next input that has not ended."""
        while self.turn_of in self.alignment.ended:
            self.turn_of += 1
            if self.turn_of in self._said:
                self.outlet.mark(self._said.pop(self.turn_of))
            if self.turn_of < len(self.shut):
                for stage in self.shut[self.turn_of]:
                    stage.unshut()
        self.release()


class ZipStage(FanInStage):
    """Join the n-th items of all inputs."""

    def __init__(self, planned: PlannedStage, turn: Turn, listener: Listener, *, pairs: bool) -> None:
        super().__init__(planned, turn, listener)
        assert isinstance(planned.operator, Zip)
        self._strict = planned.operator.strict
        self._pairs = pairs
        self._waiting: list[deque[Any]] = []

    def listen(self) -> None:
        """Begin with nothing waiting."""
        super().listen()
        self._waiting = [deque() for _ in self.inputs]

    def wanted(self, port: int) -> bool:
        """Tell whether `port` may be read: one that is ahead of another waits, so that nothing piles up.

        Not while a checkpoint holds another: then everything up to this one's barrier must come, to be part of it.
        """
        ahead = self._waiting[port] and not self.alignment.held
        return super().wanted(port) and (not ahead or self.inputs[port].marker_first())

    async def take(self, port: int, batch: Batch) -> None:
        """Join as many as there are on every input."""
        self._waiting[port].extend(batch.items)
        count = min(map(len, self._waiting))
        if count:
            joined = [self._join([one.popleft() for one in self._waiting]) for _ in range(count)]
            self.ledger.passed += count * len(self.inputs)
            self.ledger.emitted += count
            await self.send(Batch(joined, batch.origin))
        self._check_ends()
        self.release()

    def _join(self, row: list[Any]) -> Any:
        return (tuple(item for item, _ in row), plain(row[0][1])) if self._pairs else tuple(row)

    async def ended(self, port: int) -> None:
        """End with the shortest input; what the others had is counted as abandoned."""
        self._check_ends()
        self.release()

    def _check_ends(self) -> None:
        over = [port for port in self.alignment.ended if not self._waiting[port]]
        if not over:
            return
        if self._strict and not self.failed_above:
            longer = [port for port, waiting in enumerate(self._waiting) if waiting]
            if longer:
                raise FlowError(
                    f"{self.name}: strict=True, and input {over[0]} ended while input {longer[0]} still had items"
                )
        else:
            self.stopping_early = True

    def settle_counts(self) -> None:
        """Count what waits for its counterpart."""
        self.ledger.retained = sum(map(len, self._waiting))

    def close(self) -> None:
        """Give up what has no counterpart."""
        self.ledger.abandoned += sum(map(len, self._waiting))
        for waiting in self._waiting:
            waiting.clear()
        super().close()

    def snapshot(self) -> Any:
        """Return what waits for its counterpart."""
        return tuple(settled(waiting) if self._pairs else tuple(waiting) for waiting in self._waiting)

    def restore(self, snapshot: Any) -> None:
        """Set what waits for its counterpart."""
        self._waiting = [deque(waiting) for waiting in snapshot]
        self.ledger.restored = sum(map(len, self._waiting))
