"""Where items come from: read a batch, process it in the same stage, hand it on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any

from streamflow.engine.current import set_locator
from streamflow.engine.failures import explain_failure
from streamflow.engine.stage import IN_MEMORY
from streamflow.engine.stages.fused import FusedStage
from streamflow.model.batches import Located, Origin
from streamflow.model.interfaces import Block, PullReader, Reader
from streamflow.model.markers import LatencyProbe, Marker
from streamflow.model.positions import Position

READ_LIMIT = 2048
#: Seconds between two latency probes of one source.
PROBE_EVERY = 0.1


class SourceStage(FusedStage):
    """Read, until the source ends, the run drains, or nobody wants more.

    Nothing is in its hands between two reads: that is when it can be paused, drained or asked for a checkpoint, and
    whoever asks then is served at once, even while a read is waiting.
    """

    reader: Reader[Any]

    def prepare_to_read(self, reader: Reader[Any]) -> None:
        """Take the opened source."""
        self.reader = reader
        reader.tell = self.listener.source_tells
        self.gates = 0
        self.held = self._lone = False
        self.draining = self.suspending = False
        #: Set when nothing more comes from here, whatever the source still has.
        self.still = asyncio.Event()
        self._opened = asyncio.Event()
        self._has_rest: bool | None = None
        self._waiting = False
        self._interrupted = False
        self._injected: deque[Marker] = deque()
        self._ended_at: Position | None = None
        self._probed = 0.0

    async def work(self) -> None:
        """Read and process batch after batch."""
        set_locator(self.stepper.position)
        # Nothing is taken out of a source that the next edge has no room for.
        self._most = min([READ_LIMIT, *(channel.max_items for channel in self.outlet.channels)])
        pull = self.reader.pull if isinstance(self.reader, PullReader) else None
        while not self.stepper.finished:
            await self._before_read()
            if self.stopping_early or (self.draining and not self._rest()):
                break
            if self.gates or (self.suspending and not self._rest()):
                if self.suspending:
                    self.still.set()
                await self._interruptible(self._opened.wait(), "paused")
                continue
            if pull is None:
                self.alarm.set()
            start = self.reader.position()
            batch = self._pull(pull) if pull is not None else await self._read()
            if batch is None:
                break
            if isinstance(batch, Block) or batch:
                if self._lone:
                    self.hold()
                began = perf_counter()
                await self.process(batch, origin_of(batch, start))
                self._probe(began)
                if self.eager_flush and self.writer is not None:
                    await self.writer.flush()
            del batch  # what has been dropped must be gone, also while the next read waits: somebody may ask for it
        await self.finish()

    async def _before_read(self) -> None:
        while self._injected:
            await self.heed(self._injected.popleft())
        # A source that never waits must not hold the loop: pulling counts as work like any other.
        worked = True
        while self.turn.spent():
            await self.turn.wait(worked)
            worked = False

    def _rest(self) -> bool:
        """Tell whether a draining source has items that it received already."""
        if self._has_rest is None:
            self._has_rest = self.reader.drain()
        return self._has_rest

    def _limit(self) -> int:
        countdown = getattr(self.stepper, "countdown", None)
        return self._most if countdown is None else max(1, min(self._most, countdown.left))

    def _pull(self, pull: Callable[[int], Any]) -> Any:
        began = perf_counter()
        try:
            return pull(self._limit())
        except Exception as error:
            self._explain(error)
            raise
        finally:
            self.ledger.busy += perf_counter() - began

    async def _read(self) -> Any:
        began = perf_counter()
        try:
            return await self._interruptible(self.reader.read(self._limit()), "starved")
        except Exception as error:
            self._explain(error)
            raise
        finally:
            self.ledger.starved += perf_counter() - began

    def _explain(self, error: BaseException) -> None:
        explain_failure(error, self.name, self.planned.labels[0], None, self.reader.position())

    async def _interruptible(self, waiting: Coroutine[Any, Any, Any], state: str) -> Any:
        """Wait for the outside world; return an empty batch if `interrupt` came first."""
        self._waiting = True
        self.ledger.state = state
        try:
            return await waiting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._interrupted or task is None or task.uncancel():
                raise
            return ()
        finally:
            self._waiting = self._interrupted = False
            self.ledger.state = "busy"

    def interrupt(self) -> None:
        """Make the stage look up, if it waits for its source or for a gate; reading is safe to be cut off."""
        if self._waiting and not self._interrupted and self.task is not None:
            self._interrupted = True
            self.task.cancel()

    def drain(self) -> None:
        """Read no more: end as if the source had."""
        self.draining = True
        self.interrupt()

    def suspend(self) -> None:
        """Read no more, but what has been received already; be `still` then, without an end."""
        self.suspending = True
        self._opened.clear()
        self.interrupt()

    def shut(self) -> None:
        """Read no more until `unshut` has been called as often as this."""
        self.gates += 1
        self._opened.clear()
        self.interrupt()

    def unshut(self) -> None:
        """Take back one `shut`."""
        self.gates -= 1
        if not self.gates and not self.suspending:
            self._opened.set()

    def hold(self) -> None:
        """Shut the gate of the memory limit, which is one of its own: it opens by `let_go`, whoever has shut others."""
        self._lone = False
        if not self.held:
            self.held = True
            self.shut()

    def let_go(self) -> None:
        """Open the gate of the memory limit."""
        self._lone = False
        if self.held:
            self.held = False
            self.unshut()

    def let_one_pass(self) -> bool:
        """Open that gate for one batch; tell whether anything comes of it: other gates may be shut, or the end near."""
        if not self.held or self.gates > 1 or self.over or self.stopping_early:
            return False
        self.let_go()
        self._lone = True
        return True

    def inject(self, marker: Marker) -> None:
        """Send a marker from here at the next moment between two reads, which may be now."""
        self._injected.append(marker)
        self.interrupt()

    def _probe(self, began: float) -> None:
        """Send a probe after a batch that was read at `began`, if one is due."""
        if began - self._probed < PROBE_EVERY:
            return
        self._probed = began
        probe = LatencyProbe(began)
        if self.outlet.channels:
            self.outlet.mark(probe)
        else:
            self.listener.probe_arrived(probe)

    def settle_counts(self) -> None:
        """Ask the reader how far it is, too; one that cannot even tell that is read on."""
        with suppress(Exception):
            self.ledger.progress = self.reader.progress()
        super().settle_counts()

    def close(self) -> None:
        """Remember where the reader stands, which will be closed: a checkpoint may still ask."""
        self._ended_at = self.reader.position()
        self.still.set()
        super().close()

    def remembered(self) -> Iterator[tuple[str, Iterable[Any]]]:
        """Yield the source's position and the states of the operators."""
        position = self.reader.position() if self._ended_at is None else self._ended_at
        yield self.planned.keys[0], (position,)
        yield from super().remembered()

    async def restore_parts(self, parts: Mapping[str, Sequence[Any]]) -> None:
        """Seek the position, and set the states of the operators."""
        source = self.planned.source
        assert source is not None
        if self.writing is IN_MEMORY or source.replayable:  # on a disk, others are at least told apart
            for position in parts.get(self.planned.keys[0], ()):
                await self.reader.seek(self.writing.decode(position))
        await super().restore_parts(parts)


def origin_of(batch: Any, start: Position) -> Origin:
    """Return where the items of `batch` came from, read when the source stood at `start`."""
    if isinstance(batch, Block):
        return Origin(batch.position, 0, -1)
    if isinstance(batch, Located):
        return Origin(batch.position, 0, len(batch) - 1)
    first = start.index
    if first is None:
        return Origin(lambda _: start, 0, 0)
    return Origin(partial(_nth, start), first, first + len(batch) - 1)


def _nth(start: Position, index: int) -> Position:
    # Spelled out: `replace` takes ten times as long, and this is done for each item where positions travel with them.
    return Position(start.source, index, start.line, start.offset, start.file, start.group)
