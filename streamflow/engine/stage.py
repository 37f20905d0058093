"""What all stages of a live run share: their edges, their books, and how they end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from streamflow.channels.memory import Channel
from streamflow.engine.outlet import Outlet
from streamflow.engine.plan import PlannedStage
from streamflow.engine.turn import Turn
from streamflow.files.file_system import FULL, SyncFailed
from streamflow.metrics.ledger import Ledger
from streamflow.model.batches import Batch
from streamflow.model.errors import NotSerialisable
from streamflow.model.events import Event
from streamflow.model.failures import DeadLetter
from streamflow.model.markers import Barrier, Commit, EndOfStream, LatencyProbe, Marker
from streamflow.model.policies import DeadLetters
from streamflow.operators.firing import copied, kept_by_key

if TYPE_CHECKING:
    from streamflow.model.interfaces import Writer


@dataclass(frozen=True, slots=True)
class Writing:
    """Say how what a checkpoint holds is written down, and read again."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def _apart(value: Any) -> Any:
    """Return a copy, so that what goes on changing does not change it; of what cannot be copied, itself."""
    try:
        return copied(value)
    except NotSerialisable:
        return value


#: Not at all: a checkpoint that stays in memory.
IN_MEMORY = Writing(_apart, _apart)

#: States of a stage that cannot go on by itself.
WAITING = ("starved", "blocked", "paused")


@dataclass(frozen=True, slots=True)
class Pending:
    """Be a piece of a checkpoint for which a disk is waited: what the writer of `stage` prepares."""

    stage: Stage
    key: str
    prepared: Awaitable[Any]

    async def written_down(self) -> Any:
        """Wait for it, and write it down."""
        return await self.stage.written_down(self.key, await self.prepared)


class Listener(Protocol):
    """Be told by stages what their run must know."""

    def acknowledge(self, stage: Stage, marker: Barrier | Commit, parts: Mapping[str, Sequence[Any]]) -> None:
        """Take note that `stage` has done what `marker` asked of it."""

    def checkpoint_failed(self, barrier: Barrier, error: OSError) -> None:
        """Take note that this checkpoint cannot be whole: a disk is full, which may pass."""

    def probe_arrived(self, probe: LatencyProbe) -> None:
        """Take note that a latency probe has reached a sink."""

    def loop_held(self, stage: str, seconds: float, advice: str) -> None:
        """Take note that a user's function held the loop for too long."""

    def source_tells(self, event: Event) -> None:
        """Take note of what a source says has happened to it."""


class Stage(ABC):
    """Move batches from the input edges to the outlet, until the inputs end or nobody reads the outlet any more."""

    def __init__(self, planned: PlannedStage, turn: Turn, listener: Listener) -> None:
        self.planned = planned
        self.name = planned.name
        self.ledger = Ledger(planned.name, planned.kind, planned.labels)
        self.turn = turn
        self.listener = listener
        self.inputs: list[Channel] = []
        self.outlet = Outlet(())
        self.letters: dict[int, Channel] = {}
        self.writer: Writer[Any] | None = None
        self.task: asyncio.Task[None] | None = None
        self.stopping_early = self.cancelled = False
        self.failed_above = False
        self.over = False
        self.eager_flush = False
        self.writing = IN_MEMORY
        #: Items that went to an output of a route which nobody reads.
        self.unread = 0

    def connect(self, outlet: Outlet) -> None:
        """Take the outlet; when everybody has stopped reading it, this stage stops too."""
        self.outlet = outlet
        for channel in outlet.channels:
            channel.on_close = self._reader_gone

    @property
    def letter_edges(self) -> tuple[Channel, ...]:
        """Return the edges to the sinks of dead letters, each once: several policies may share one."""
        return tuple(dict.fromkeys(self.letters.values()))

    # -- living ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work to the end and close both sides; what is raised here is the stage's failure."""
        failed = True
        self.ledger.state = "busy"
        try:
            await self.work()
            failed = self.failed_above
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self.stopping_early or task is None or task.uncancel():
                raise
            failed = False
        finally:
            self.close()
            self._end(failed)

    @abstractmethod
    async def work(self) -> None:
        """Do what this kind of stage does, up to the end of its inputs."""

    def _end(self, failed: bool) -> None:
        self.over = True
        self.ledger.state = "failed" if failed else "done"
        for channel in self.inputs:
            channel.close()
        self.outlet.mark(EndOfStream(failed))
        for channel in self.letter_edges:
            channel.mark(EndOfStream(failed))

    def end_unbegun(self, _: object) -> None:
        """End a stage whose task was cancelled before it had begun: whoever reads from it waits for its end."""
        if not self.over:
            self.close()
            self._end(failed=True)

    def _reader_gone(self) -> None:
        if self.outlet.closed:
            self.stop_early()

    def stop_early(self) -> None:
        """End this stage as if its input had: nobody wants more of it, or it is to read no more. That is success."""
        if self.over or self.stopping_early or self.cancelled:
            return  # asking again would cut its clean-up short
        self.stopping_early = True
        task = self.task
        if task is not None and not task.done() and task is not asyncio.current_task():
            task.cancel()

    def cancel(self, *, again: bool = False) -> None:
        """Cancel this stage, once; asked `again` by the user, also those of its tasks that went on in spite of it."""
        if self.task is None or self.task.done() or (self.cancelled and not again):
            return
        for task in self.tasks() if self.cancelled else [self.task]:
            task.cancel()
        self.cancelled = True

    def settle_counts(self) -> None:
        """Bring the ledger up to date, for those that count elsewhere."""
        return None

    def force_letters(self, letters: list[tuple[DeadLetters, DeadLetter]]) -> None:
        """Send failed items on whatever the bounds say, because this stage is ending."""
        for policy, letter in letters:
            self.letters[id(policy)].force(Batch([letter]))
        letters.clear()

    def close(self) -> None:
        """Give up what is still in this stage's hands, and settle the counts for good."""
        self.settle_counts()
        self.ledger.abandoned += self.ledger.in_flight
        self.ledger.in_flight = 0

    def remembered(self) -> Iterator[tuple[str, Iterable[Any]]]:
        """Yield what this stage remembers, in pieces, by the keys of its operators; nothing is in its hands then."""
        snapshot = self.snapshot()
        if snapshot is not None:
            yield self.planned.keys[0], (snapshot,)

    async def restore_parts(self, parts: Mapping[str, Sequence[Any]]) -> None:
        """Begin with what was remembered in an earlier run; an operator that `parts` does not name begins afresh."""
        for key in self.planned.keys[:1]:
            for snapshot in parts.get(key, ()):
                self.restore(self.writing.decode(snapshot))

    def snapshot(self) -> Any:
        """Return the state of this stage's one operator."""
        return None

    def restore(self, snapshot: Any) -> None:
        """Set the state of this stage's one operator."""
        return None

    # -- moving ---------------------------------------------------------------------------------------------------

    async def receive(self, channel: Channel) -> Batch | Marker:
        """Return the next message of `channel`; the wait counts as starved."""
        head = channel.take_nowait()
        if head is not None:
            return head
        if self.eager_flush and self.writer is not None:
            await self.writer.flush()
        began = perf_counter()
        self.ledger.state = "starved"
        try:
            return await channel.receive()
        finally:
            self.ledger.state = "busy"
            self.ledger.starved += perf_counter() - began

    async def send(self, batch: Batch) -> None:
        """Send `batch` on; the wait counts as blocked."""
        began = perf_counter()
        self.ledger.state = "blocked"
        try:
            unread = await self.outlet.send(batch)
        finally:
            self.ledger.state = "busy"
            self.ledger.blocked += perf_counter() - began
        if unread:
            self.unread += unread
            self.ledger.passed -= unread
            self.ledger.emitted -= unread

    async def send_letters(self, letters: list[tuple[DeadLetters, DeadLetter]]) -> None:
        """Send failed items to the sinks that their policies name, and empty the list; cancelling loses none."""
        while letters:
            policy, letter = letters[0]
            await self.letters[id(policy)].room()
            letters.pop(0)
            self.letters[id(policy)].force(Batch([letter]))

    async def pass_on(self, marker: Marker) -> None:
        """Do with a marker what is due when it has passed everything before it."""
        if isinstance(marker, LatencyProbe) and not self.outlet.channels:
            self.listener.probe_arrived(marker)
        elif isinstance(marker, Barrier):
            await self.checkpoint(marker)
        elif isinstance(marker, Commit):
            self.listener.acknowledge(self, marker, await self.answer(marker))
        else:
            self.outlet.mark(marker)

    async def checkpoint(self, barrier: Barrier) -> None:
        """Take this stage's part of a checkpoint, and let the barrier on."""
        try:
            self.listener.acknowledge(self, barrier, await self.answer(barrier))
        except OSError as error:
            if error.errno not in FULL or isinstance(error, SyncFailed):
                raise
            self.listener.checkpoint_failed(barrier, error)
        self.outlet.mark(barrier)
        for channel in self.letter_edges:
            channel.mark(barrier)

    async def answer(self, marker: Barrier | Commit) -> dict[str, list[Any]]:
        """Do what a checkpoint asks of this stage: return its part, the writer's prepared; or let the writer commit."""
        if isinstance(marker, Commit):
            assert self.writer is not None
            await self.writer.commit(marker.epoch)
            return {}
        parts: dict[str, list[Any]] = {}
        for key, pieces in self.remembered():
            parts[key] = [await self.written_down(key, piece) for piece in pieces]
        if self.writer is not None:
            key = self.planned.keys[-1]
            parts[key] = [Pending(self, key, await self.writer.begin_prepare(marker.epoch))]
        return parts

    async def written_down(self, key: str, piece: Any) -> Any:
        """Write a piece down as a checkpoint keeps it; of many, each takes a small part of a turn."""
        if self.turn.spent():
            await self.turn.next()
        try:
            return self.writing.encode(piece)
        except NotSerialisable as error:
            from streamflow.state.encoding import REMEDY, blame_key  # late: most runs keep no checkpoints

            whose = blame_key(kept_by_key(piece)) if self._has_keys(key) else ""
            raise NotSerialisable(f"{key}: {whose or error}; {REMEDY}") from error.__cause__

    def _has_keys(self, key: str) -> bool:
        """Tell whether what is kept under this name is kept by keys of the user's."""
        return any(name == key and hasattr(part, "key") for name, part in self.planned.by_key())

    def inject(self, marker: Marker) -> None:
        """Hand a marker to this stage alone, behind what already waits for it."""
        self.inputs[0].mark(marker)

    # -- telling --------------------------------------------------------------------------------------------------

    def position(self) -> Any:
        """Return where the item under way came from, as far as this stage knows."""
        return None

    @property
    def calls_under_way(self) -> int:
        """Return how many calls of the user's functions may be under way."""
        return 1

    def at_rest(self) -> bool:
        """Tell whether nothing is under way here: this stage waits for what comes, or for room.

        Where several tasks share the stage, its state is what one of them has said last; such a stage asks them all.
        """
        self.settle_counts()
        return self.ledger.state in WAITING and not self.ledger.in_flight

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks in which this stage's functions run."""
        return [self.task] if self.task is not None else []

    def waits_for(self) -> list[Channel]:
        """Return the edges that must move before this stage can."""
        if self.ledger.state == "blocked":
            return self.full_edges()
        return self.hungry_edges() if self.ledger.state == "starved" else []

    def full_edges(self) -> list[Channel]:
        """Return the edges on which this stage waits for room."""
        return [channel for channel in (*self.outlet.channels, *self.letter_edges) if channel.sending]

    def hungry_edges(self) -> list[Channel]:
        """Return the edges on which this stage waits for what comes."""
        return [channel for channel in self.inputs if channel.receiving]

    def idle(self) -> bool:
        """Tell whether a stage of several tasks, with no call under way, waits for room, or holds nothing."""
        if self.full_edges():
            return True
        self.settle_counts()
        return not self.ledger.in_flight and bool(self.hungry_edges())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.ledger.state}, {self.ledger.received:,} received>"
