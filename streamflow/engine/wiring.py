"""Make the live parts of a plan: the one file that creates channels, steppers, stages, and opens sources and sinks."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from streamflow.channels.memory import Channel
from streamflow.engine.ahead import may_wait
from streamflow.engine.durable import LEAST_EVERY, RESUME, Durable, Resume, check_resumable
from streamflow.engine.ends import Ends
from streamflow.engine.expander import Expander
from streamflow.engine.fuse import Program
from streamflow.engine.kept_state import KeptState
from streamflow.engine.outlet import Outlet, RoutingOutlet
from streamflow.engine.plan import Plan, PlannedEdge, PlannedStage, Spilling
from streamflow.engine.run_clock import RunClock
from streamflow.engine.stage import IN_MEMORY, Listener, Stage, Writing
from streamflow.engine.stages.concurrent import ConcurrentStage
from streamflow.engine.stages.expand import AsyncExpandStage
from streamflow.engine.stages.fan_in import ConcatStage, FanInStage, MergeStage, ZipStage
from streamflow.engine.stages.fused import FusedStage
from streamflow.engine.stages.placed import PlacedStage
from streamflow.engine.stages.sink import SinkStage
from streamflow.engine.stages.source import SourceStage
from streamflow.engine.stages.timed import BatchStage, DebounceStage, ThrottleStage, TimedStage, TimeoutStage
from streamflow.engine.stepper import Stepper
from streamflow.engine.tables import Tables
from streamflow.engine.turn import Turn
from streamflow.metrics.ledger import Ledger
from streamflow.model.arguments import duration_of
from streamflow.model.checkpoint import Checkpoint
from streamflow.model.errors import FlowError
from streamflow.model.events import Event
from streamflow.model.interfaces import CheckpointStore, Executor, InlineWriter, Pool
from streamflow.model.positions import Where, settled
from streamflow.operators.callables import gives_async_items, is_async
from streamflow.operators.element import ElementOperator
from streamflow.operators.event_time import EventTime
from streamflow.operators.fan import Route
from streamflow.operators.flat_map import FlatMap
from streamflow.operators.keyed_apart import KeyedApart
from streamflow.operators.map import Apply
from streamflow.operators.placed import PlacedApply

if TYPE_CHECKING:
    from streamflow.channels.spilling import SpillChannel

#: Where checkpoints are kept.
CheckpointPlace = str | os.PathLike[str] | CheckpointStore

_TIMED: dict[str, type[TimedStage]] = {"throttle": ThrottleStage, "timeout": TimeoutStage}


class Wiring:
    """Hold the live parts of one run of `plan`; what was opened is in `ends`, for the run to close."""

    def __init__(
        self,
        plan: Plan,
        turn: Turn,
        clock: RunClock,
        ends: Ends,
        listener: Listener,
        *,
        fuse: bool,
        writing: Writing = IN_MEMORY,
        beside: str | None = None,
        mark: str | None = None,
    ) -> None:
        self.plan = plan
        self.turn = turn
        self.clock = clock
        self.ends = ends
        self.listener = listener
        self.fuse = fuse
        self.writing = writing
        #: How folders beside the checkpoints begin, for what edges keep that spill.
        self.beside = beside
        #: What runs on these checkpoints have in the names of temporary files.
        self.mark = mark
        self.stages: list[Stage] = []
        self.channels: list[Channel] = []
        self.pools: dict[Executor, Pool] = {}
        self.states: dict[int, KeptState] = {}
        self.tables = Tables((), clock, listener.source_tells)

    async def open(self, resume: Checkpoint | None = None) -> None:
        """Open sinks, then sources, then build the stages between; what was opened stays listed if one fails."""
        await self.open_sinks(resume)
        for planned in self.plan.stages:
            if planned.source is not None:
                self.ends.readers[planned.index] = await planned.source.open()
        await self._open_pools()
        await self._open_states()
        self.stages = [self._stage(planned) for planned in self.plan.stages]
        for stage in self.stages:
            stage.writing = self.writing
            watched = stage.writer is not None and stage.writer.watched
            stage.eager_flush = watched or not self.plan.bounded_at(stage.planned.index)
        self._connect()
        for _, channel in self._spilling_edges():
            await self._open_edge(channel)
        await self._restore_edges(resume)
        if resume is not None:
            for stage in self.stages:
                await stage.restore_parts(resume.parts)
        self.tables = Tables(self.stages, self.clock, self.listener.source_tells)
        await self.tables.read()

    async def open_to_finish(self, resume: Checkpoint | None) -> None:
        """Open what is left to be completed: sinks, and edges that may still have on the disk what has been read."""
        await self.open_sinks(resume)
        for edge in self.plan.edges:
            if edge.spilling is not None:
                await self._open_edge(self._spilling(edge.spilling.key, edge, edge.spilling, ("", "")))

    # -- what edges keep that spill --------------------------------------------------------------------------------

    async def _open_edge(self, channel: SpillChannel) -> None:
        self.ends.edges.append(channel)
        await channel.open()

    def _spilling_edges(self) -> Iterator[tuple[str, SpillChannel]]:
        for edge, channel in zip(self.plan.edges, self.channels, strict=True):
            if edge.spilling is not None:
                yield edge.spilling.key, cast("SpillChannel", channel)

    def _durable_edges(self) -> Iterator[tuple[str, SpillChannel]]:
        return self._spilling_edges() if self.beside is not None else iter(())

    async def _restore_edges(self, resume: Checkpoint | None) -> None:
        for key, channel in self._durable_edges():
            kept = [self.writing.decode(piece) for piece in (resume.parts.get(key, ()) if resume is not None else ())]
            await channel.restore(kept[0] if kept else None, resume.epoch if resume is not None else 0)

    async def parts_of_edges(self, epoch: int) -> dict[str, list[Any]]:
        """Return what barrier `epoch` has overtaken in edges that spill, by their keys; it is on the disk by then."""
        found = {key: await channel.snapshot(epoch) for key, channel in self._durable_edges()}
        return {key: [self.writing.encode(kept)] for key, kept in found.items() if kept is not None}

    def forget(self, before: int, saved: int) -> None:
        """Let edges remove what only checkpoints before epoch `before` could need; `saved` is the last."""
        for _, channel in self._durable_edges():
            channel.forget(before, saved)

    # -- ends ------------------------------------------------------------------------------------------------------

    async def open_sinks(self, resume: Checkpoint | None) -> None:
        """Open every sink, and have those that were prepared go on from there."""
        # A checkpoint in memory belongs to a run of this process, whose output was never taken back.
        goes_on = resume if self.writing is not IN_MEMORY else None
        for planned in self.plan.stages:
            if planned.sink is None:
                continue
            bounded = self.plan.bounded_at(planned.index)
            if self.mark is None:
                writer = await planned.sink.open(bounded)
            else:
                # What goes on lies under the other name.
                writer = await planned.sink.open_marked(bounded, f"{self.mark}{'-next' if goes_on else ''}")
            self.ends.writers[planned.index] = writer
            if goes_on is not None:
                for prepared in goes_on.parts.get(planned.keys[-1], ()):
                    await writer.resume(self.writing.decode(prepared))
                await writer.commit(goes_on.epoch)

    async def _open_pools(self) -> None:
        for planned in self.plan.stages:
            for operator in (*planned.placed[:1], planned.operator):
                on = operator.on if isinstance(operator, (PlacedApply, KeyedApart)) else None
                if on is not None and on not in self.pools:
                    pool = self.pools[on] = await on.open()
                    self.ends.pools.append(pool)

    async def _open_states(self) -> None:
        for planned in self.plan.stages:
            if isinstance(planned.operator, KeyedApart):
                store = planned.operator.store.make(timed=planned.operator.step().ttl is not None)
                state = self.states[planned.index] = KeptState(store, self.turn, planned.name)
                self.ends.states.append(state)
                await state.open()

    def dismantle(self) -> None:
        """Let go of everything: who keeps the handle of a run that is over keeps none of its items."""
        self.stages = []
        self.channels = []
        self.pools = {}
        self.states = {}

    # -- stages ---------------------------------------------------------------------------------------------------

    def _stage(self, planned: PlannedStage) -> Stage:
        pairs = self.plan.tracked and not planned.letters
        common = (planned, self.turn, self.listener)
        timed = (*common, self.clock)
        if planned.kind in ("source", "fused"):
            return self._fused(planned)
        if planned.kind == "expand":
            return self._expanding(planned, pairs)
        if planned.kind == "concurrent":
            return ConcurrentStage(*common, pairs=pairs)
        if planned.kind == "placed":
            return PlacedStage(*common, self.pools[planned.placed[0].on], pairs=pairs)
        if planned.kind == "keyed":
            return self._keyed(planned, pairs)
        if planned.kind == "merge":
            merging = MergeStage(*common)
            merging.stamped = self.plan.timed and not planned.letters
            return merging
        if planned.kind == "concat":
            return ConcatStage(*common)
        if planned.kind == "zip":
            return ZipStage(*common, pairs=pairs)
        if planned.kind == "join":
            from streamflow.engine.stages.join import JoinStage  # late, as are others: few flows have one

            return JoinStage(*common, waits=may_wait(self.plan, planned.index))
        if planned.kind == "batch":
            return BatchStage(*timed, pairs=pairs)
        if planned.kind == "process":
            from streamflow.engine.stages.process import ProcessStage

            return ProcessStage(*timed, pairs=pairs, stamped=self.plan.timed)
        if planned.kind == "sink":
            return SinkStage(*common, self.ends.writers[planned.index], pairs=pairs)
        if planned.kind == "debounce":
            return DebounceStage(*timed, pairs=pairs)
        return _TIMED[planned.kind](*timed)

    def _fused(self, planned: PlannedStage) -> Stage:
        writer = self.ends.writers.get(planned.index)
        assert writer is None or isinstance(writer, InlineWriter), (
            f"{planned.name}: an inline sink opens an InlineWriter"
        )
        kind = SourceStage if planned.kind == "source" else FusedStage
        stage = kind(planned, self.turn, self.listener, writer)
        stage.stepper = self.stepper(planned, writer, stage.ledger)
        stage.tells_time = self.plan.timed
        setting = [operator for operator in planned.fused if operator.sets_time]
        if setting:
            idle_after = setting[-1].idle_after if isinstance(setting[-1], EventTime) and self.plan.timed else None
            if idle_after is not None or setting[-1].runs_by_clock:
                stage.alarm.run_time, stage.alarm.idle_after = self.clock.now, idle_after
        if isinstance(stage, SourceStage):
            stage.prepare_to_read(self.ends.readers[planned.index])
        return stage

    def stepper(self, planned: PlannedStage, writer: InlineWriter[Any] | None, ledger: Ledger) -> Stepper:
        """Return the synchronous heart of a fused stage, with the sink's `put` as its last operator if it has one."""
        return make_stepper(
            planned, writer.put if writer is not None else None, ledger, self.plan, self.fuse, self.clock.now
        )

    def _keyed(self, planned: PlannedStage, pairs: bool) -> Stage:
        from streamflow.engine.stages.keyed import KeyedStage

        assert isinstance(planned.operator, KeyedApart)
        on = planned.operator.on
        return KeyedStage(
            planned,
            self.turn,
            self.listener,
            self.states[planned.index],
            None if on is None else self.pools[on],
            self.clock.now,
            pairs=pairs,
        )

    def _expanding(self, planned: PlannedStage, pairs: bool) -> Stage:
        assert isinstance(planned.operator, FlatMap)
        if awaits(planned.operator):
            return AsyncExpandStage(planned, self.turn, self.listener, pairs=pairs)
        stage = FusedStage(planned, self.turn, self.listener)
        stage.stepper = Expander(planned.name, planned.operator, stage.ledger, pairs=pairs)
        return stage

    # -- edges ----------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        outgoing: dict[int, list[tuple[PlannedEdge, Channel]]] = {stage.planned.index: [] for stage in self.stages}
        incoming: dict[int, dict[int, Channel]] = {stage.planned.index: {} for stage in self.stages}
        for edge in self.plan.edges:
            channel = self._channel(edge)
            outgoing[edge.producer].append((edge, channel))
            incoming[edge.consumer][edge.port] = channel
        for stage in self.stages:
            index = stage.planned.index
            stage.inputs = [incoming[index][port] for port in sorted(incoming[index])]
            letters = [(edge, channel) for edge, channel in outgoing[index] if edge.letters]
            stage.letters = {id(policy): channel for edge, channel in letters for policy in edge.output}
            data = [(edge, channel) for edge, channel in outgoing[index] if not edge.letters]
            stage.connect(self._outlet(stage.planned, data))
        for stage in self.stages:
            if isinstance(stage, FanInStage):
                stage.listen()
            if isinstance(stage, PlacedStage):
                stage.elastic = not any(edge.asked for edge in self.plan.edges if edge.consumer == stage.planned.index)
            if isinstance(stage, ConcatStage):
                stage.prepare(self._sources_behind(stage.planned.index))

    def _channel(self, edge: PlannedEdge) -> Channel:
        between = self.plan.stages[edge.producer].name, self.plan.stages[edge.consumer].name
        name = " ⇒ ".join(between)
        if edge.output is not None and not edge.letters:
            name += f" [{edge.output}]"
        taken = sum(channel.name == name or channel.name.startswith(f"{name} #") for channel in self.channels)
        name = f"{name} #{taken + 1}" if taken else name
        channel: Channel
        if edge.spilling is not None:
            channel = self._spilling(name, edge, edge.spilling, between)
        else:
            channel = Channel(name, items=edge.items, bytes=edge.bytes, overflow=edge.overflow, between=between)
        self.channels.append(channel)
        return channel

    def _spilling(self, name: str, edge: PlannedEdge, spilling: Spilling, between: tuple[str, str]) -> SpillChannel:
        import tempfile  # late, as is what follows: most runs write none

        from streamflow.channels.spill_disk import SpillDisk
        from streamflow.channels.spilling import SpillChannel
        from streamflow.state.encoding import decode, encode

        if self.beside is None:
            parent = spilling.path if spilling.path is not None else tempfile.gettempdir()
            folder = os.path.join(parent, f"streamflow-spill-{secrets.token_hex(8)}")
        else:  # where a later run finds it
            mark = blake2b(f"{self.beside}\0{spilling.key}".encode(), digest_size=8).hexdigest()
            given = spilling.path
            folder = f"{self.beside}-{mark}" if given is None else os.path.join(given, f"streamflow-spill-{mark}")
        return SpillChannel(
            name,
            SpillDisk(name, spilling.files, folder, spilling.bytes, durable=self.beside is not None),
            encode=_encode_located if self.plan.tracked and not edge.letters else encode,
            decode=decode,
            items=edge.items,
            bytes=edge.bytes,
            between=between,
            on_event=self.listener.source_tells,
        )

    def _outlet(self, planned: PlannedStage, data: list[tuple[PlannedEdge, Channel]]) -> Outlet:
        last = planned.fused[-1] if planned.fused else planned.operator
        if not isinstance(last, Route) and not getattr(last, "parts_late", False):
            return Outlet([channel for _, channel in data])
        outputs: dict[Any, list[Channel]] = {}
        for edge, channel in data:
            outputs.setdefault(edge.output, []).append(channel)
        return RoutingOutlet(outputs, self.plan.tracked)

    def _sources_behind(self, index: int) -> list[list[SourceStage]]:
        """Return for each input of a stage the sources that feed this input and nothing else but it."""
        ports = sorted((edge for edge in self.plan.edges if edge.consumer == index), key=lambda edge: edge.port)
        behind: list[set[int]] = []
        for edge in ports:
            feeding = {
                one.index
                for one in self.plan.stages
                if one.index == edge.producer or edge.producer in self.plan.downstream(one.index)
            }
            behind.append(feeding)
        return [
            [
                stage
                for stage in self.stages
                if isinstance(stage, SourceStage)
                and stage.planned.index in here
                and not any(stage.planned.index in other for other in behind[:port])
            ]
            for port, here in enumerate(behind)
        ]


def on_disk() -> Writing:
    """Return how checkpoints are written to a disk: by pickle, and read only as far as that can do no harm."""
    from streamflow.state.encoding import decode, encode  # late: most runs keep none

    return Writing(encode, decode)


def _encode_located(pairs: list[tuple[Any, Where]]) -> bytes:
    """Encode items with their positions."""
    from streamflow.state.encoding import encode  # late, as above

    return encode(list(settled(pairs)))


def durable_for(
    checkpoint: CheckpointPlace | None,
    plan: Plan,
    *,
    every: object,
    resume: Resume | Checkpoint,
    tell: Callable[[Event], None],
) -> Durable | None:
    """Return what keeps the checkpoints of a run; None for a run without. FlowError says what cannot be meant."""
    if not isinstance(resume, Checkpoint) and resume not in RESUME:
        raise FlowError(
            f"resume={resume!r}: expected {', '.join(map(repr, RESUME))}, or what run.checkpoint() returned"
        )
    if checkpoint is None:
        if resume == "require":
            raise FlowError("resume='require': say where the checkpoints are, as in run(checkpoint='events.ckpt')")
        return None
    if isinstance(resume, Checkpoint):
        raise FlowError(
            "run(checkpoint=..., resume=...): go on from what is on the disk, or from memory, not from both"
        )
    seconds = duration_of("run(every=...)", every)
    if seconds < LEAST_EVERY:
        raise FlowError(f"run(every={every!r}): give at least {LEAST_EVERY:g} seconds between two checkpoints")
    path: str | None = None
    store: CheckpointStore
    if isinstance(checkpoint, CheckpointStore):
        store = checkpoint
    elif isinstance(checkpoint, (str, os.PathLike)):
        from streamflow.state.checkpoint_file import CheckpointFile  # late, as above: it brings SQLite

        path = os.fspath(checkpoint)
        store = CheckpointFile(path)
    else:
        raise FlowError(f"run(checkpoint={checkpoint!r}): expected the path of a file, as in checkpoint='events.ckpt'")
    check_resumable(plan, path)
    return Durable(store, plan, every=seconds, resume=resume, tell=tell)


def awaits(operator: FlatMap) -> bool:
    """Tell whether a `flat_map` must be awaited."""
    call = operator.call
    return call is not None and (is_async(call) or gives_async_items(call))


def make_stepper(
    planned: PlannedStage,
    put: Callable[[Any], object] | None,
    ledger: Ledger,
    plan: Plan,
    fuse: bool,
    run_time: Callable[[], float] = monotonic,
) -> Stepper:
    """Build the stepper of a fused stage."""
    operators: tuple[ElementOperator, ...] = planned.fused
    if put is not None:
        assert planned.sink is not None
        operators = (*operators, Apply("tap", put, planned.sink.label, planned.sink.errors))
    made: list[Stepper] = []
    pairs = plan.tracked and not planned.letters
    program = Program(
        operators,
        lambda: made[0].position(),
        lambda count: made[0].place(count),
        emits=put is None,
        takes="pair" if pairs and planned.source is None else "item",
        gives="pair" if pairs else "item",
        raw=planned.source is not None and planned.source.decode is not None,
        stamps=plan.timed and pairs,
        exact=plan.exact,
        run_time=run_time,
        fuse=fuse,
    )
    stepper = Stepper(planned.name, program, ledger, exact=planned.source is not None)
    made.append(stepper)
    return stepper
