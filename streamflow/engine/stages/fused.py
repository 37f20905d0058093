"""Synchronous operators: receive a batch, step through it under the turn's budget, send on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from streamflow.channels.sizes import sample_size
from streamflow.engine.alarm import Alarm
from streamflow.engine.current import set_locator
from streamflow.engine.expander import Expander
from streamflow.engine.failures import explain_failure
from streamflow.engine.held_loop import HeldLoop, advice_for
from streamflow.engine.plan import PlannedStage
from streamflow.engine.stage import Listener, Stage
from streamflow.engine.stepper import Stepper
from streamflow.engine.turn import Turn
from streamflow.model.batches import Batch, Origin
from streamflow.model.interfaces import Block, InlineWriter
from streamflow.model.markers import EndOfStream, Idle, Marker, Wake, Watermark
from streamflow.operators.event_time import Clock
from streamflow.operators.processing_time import WallClock

#: Bytes that a dict takes for one key, about.
ENTRY_BYTES = 100


class FusedStage(Stage):
    """Pump a stepper; if its last operator is a sink's `put`, see to the writer between steps."""

    stepper: Stepper | Expander

    def __init__(
        self, planned: PlannedStage, turn: Turn, listener: Listener, writer: InlineWriter[Any] | None = None
    ) -> None:
        super().__init__(planned, turn, listener)
        self.writer = self.inline = writer
        self._held = HeldLoop(advice_for(planned.operators(), writer), partial(listener.loop_held, self.name))
        #: Whether event time that is set here is needed behind an edge; and what was told of it last.
        self.tells_time = False
        self._told = -math.inf
        self.alarm = Alarm(self)

    async def work(self) -> None:
        """Process batch after batch; flush what is held back at a regular end."""
        channel = self.inputs[0]
        set_locator(self.stepper.position)
        while not self.stepper.finished:
            message = channel.take_nowait()
            if message is None:
                self.alarm.set()
                message = await self.receive(channel)
            if isinstance(message, Batch):
                await self.process(message.items, message.origin)
            elif isinstance(message, EndOfStream):
                self.failed_above = message.failed
                break
            else:
                await self.heed(message)
            del message
        await self.finish()

    async def heed(self, marker: Marker) -> None:
        """Pass a marker on; what it says of event time is first heeded here, and ends where time is set anew."""
        if isinstance(marker, Wake):
            await self._look_at_the_clock()
        elif not isinstance(marker, (Watermark, Idle)):
            await self.pass_on(marker)
        elif self.own_clock is None:
            if isinstance(marker, Watermark) and isinstance(self.stepper, Stepper):
                self.stepper.advance(marker.time)
                await self._pump()
            self.outlet.mark(marker)

    async def _look_at_the_clock(self) -> None:
        """Do what is due by the clock of the run: it was this stage's alarm, and nothing has come before it."""
        self.alarm.rang()
        if isinstance(self.stepper, Stepper) and isinstance(self.own_clock, WallClock):
            self.own_clock.tick()
            self.stepper.fire()
            await self._pump()
            self.tell_time()
        if self.alarm.quiet_for_long():
            self.outlet.mark(Idle())

    @property
    def own_clock(self) -> Clock | None:
        """Return the clock of what is handed on, if an operator here sets it."""
        return self.stepper.program.own_clock if isinstance(self.stepper, Stepper) else None

    @property
    def due(self) -> float:
        """Return the event time from which results are due."""
        firing = self.stepper.firing
        return math.inf if firing is None else firing.due

    def tell_time(self) -> None:
        """Tell who goes by the time that is set here how far it has come, if that is news."""
        clock = self.own_clock
        if self.tells_time and clock is not None and clock.watermark > self._told:
            self._told = clock.watermark
            self.outlet.mark(Watermark(self._told))

    async def process(self, items: Sequence[Any] | Block, origin: Origin | None) -> None:
        """Step through one batch, handing on what each step gives."""
        self.stepper.feed(items, origin)
        del items, origin  # an error that somebody keeps has this frame behind it
        await self._pump()
        self.tell_time()
        self.alarm.note_items()

    async def _pump(self) -> None:
        """Step until the stepper is hungry."""
        stepper, turn = self.stepper, self.turn
        worked = False
        while not stepper.hungry:
            while turn.spent():
                await turn.wait(worked)
                worked = False
            self._held.begin()
            began = perf_counter()
            try:
                stepper.step(turn.deadline)
            except BaseException:
                await self._hand_on()  # what came before the item that failed
                raise
            finally:
                seconds = perf_counter() - began
                self.ledger.busy += seconds
                self._held.end(seconds)
            worked = True
            await self._hand_on()

    async def _hand_on(self) -> None:
        stepper, writer = self.stepper, self.inline
        if stepper.out:
            await self.send(stepper.take())
        if stepper.letters:
            await self.send_letters(stepper.letters)
        if writer is not None and writer.pending >= writer.high_water:
            await self._settle(writer)

    async def _settle(self, writer: InlineWriter[Any]) -> None:
        began = perf_counter()
        self.ledger.state = "writing"
        try:
            await writer.settle()
        except Exception as error:
            explain_failure(error, self.name, self.planned.labels[-1], self.ledger.received, None)
            raise
        finally:
            self.ledger.state = "busy"
            self.ledger.blocked += perf_counter() - began

    async def finish(self) -> None:
        """Flush after a regular end."""
        if not self.failed_above and not self.stopping_early:
            self.stepper.flush()
            await self._pump()
        if self.stepper.out:
            await self.send(self.stepper.take())

    def settle_counts(self) -> None:
        """Ask the stepper."""
        self.stepper.settle_counts()
        keys = size = 0
        for state in self.stepper.states():
            if state is not None and (count := state.key_count):
                keys += count
                size += count * (sample_size(state.sample()) + ENTRY_BYTES)
        self.ledger.keys, self.ledger.state_bytes = keys, size
        if self.stepper.firing is None:  # else they are results, of which none was received
            self.ledger.dropped += self.unread

    def close(self) -> None:
        """Close the stepper."""
        self.alarm.clear()
        self.force_letters(self.stepper.letters)
        self.stepper.close()
        self.settle_counts()

    def remembered(self) -> Iterator[tuple[str, Iterable[Any]]]:
        """Yield the states of the operators."""
        for key, state in zip(self._operator_keys(), self.stepper.states(), strict=False):
            if state is not None:
                yield key, state.chunks()

    async def restore_parts(self, parts: Mapping[str, Sequence[Any]]) -> None:
        """Set the states of the operators."""
        for key, state in zip(self._operator_keys(), self.stepper.states(), strict=False):
            if state is not None and key in parts:
                for chunk in parts[key]:
                    if self.turn.spent():
                        await self.turn.next()
                    state.restore_chunk(self.writing.decode(chunk))
                self.ledger.restored += state.retained

    def _operator_keys(self) -> tuple[str, ...]:
        return self.planned.keys[self.planned.source is not None :]

    def position(self) -> Any:
        """Ask the stepper."""
        return self.stepper.position()
