"""Decide how a written graph is run: what is fused, where edges stand, and what is refused. Pure."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from streamflow.channels.memory import DEFAULT_BYTES, DEFAULT_ITEMS
from streamflow.engine.diamonds import refuse_diamonds
from streamflow.engine.fuse import clock_before
from streamflow.engine.plan import Kind, Plan, PlannedEdge, PlannedStage, Spilling
from streamflow.engine.shares import ROOM_TO_BEGIN
from streamflow.engine.times import takes_late, why_untimed
from streamflow.model.errors import FlowError
from streamflow.model.failures import Recordable
from streamflow.model.graph import Graph, Part
from streamflow.model.interfaces import Operator, Sink, Source
from streamflow.model.policies import DeadLetters
from streamflow.operators.batch import BatchBySize, BatchWithin
from streamflow.operators.edge import Buffer
from streamflow.operators.element import ElementOperator
from streamflow.operators.fan import Concat, Merge, Output, Route, Zip
from streamflow.operators.flat_map import FlatMap
from streamflow.operators.joining.operator import Join
from streamflow.operators.keyed_apart import KeyedApart
from streamflow.operators.map import Apply, ConcurrentApply
from streamflow.operators.placed import PlacedApply
from streamflow.operators.process import Process
from streamflow.operators.timing import Debounce, Throttle, Timeout

#: Operators in one generated function; it stays short enough to be read in a traceback.
MAX_FUSED = 40

_KINDS: dict[type[Operator], Kind] = {
    FlatMap: "expand",
    ConcurrentApply: "concurrent",
    Merge: "merge",
    Zip: "zip",
    Concat: "concat",
    Join: "join",
    BatchWithin: "batch",
    BatchBySize: "batch",
    Throttle: "throttle",
    Debounce: "debounce",
    Timeout: "timeout",
    Process: "process",
    KeyedApart: "keyed",
}
_WHY: dict[Kind, str] = {
    "expand": "it makes many items of one, which are counted afresh",
    "concurrent": "it waits, so that its neighbours must not",
    "merge": "several inputs come together",
    "zip": "several inputs come together",
    "concat": "several inputs come together",
    "join": "several inputs come together",
    "batch": "it gathers several items into one",
    "throttle": "it keeps time",
    "debounce": "it keeps time",
    "timeout": "it keeps time",
    "process": "its coroutine takes items when it likes",
    "sink": "its sink is awaited",
}


@dataclass(slots=True)
class _Draft:
    """Be a stage that is still being filled."""

    kind: Kind
    why: str
    name: str | None = None
    source: Source[Any] | None = None
    operator: Operator | None = None
    fused: list[ElementOperator] = field(default_factory=list)
    placed: list[PlacedApply] = field(default_factory=list)
    sink: Sink[Any] | None = None
    letters: bool = False
    open: bool = True


@dataclass(frozen=True, slots=True)
class _Exit:
    """Say where a part's items come out: a stage, perhaps one of its outputs, perhaps through a described edge."""

    stage: int
    output: Any = None
    buffer: Buffer | None = None


def plan(graph: Graph) -> Plan:
    """Check `graph` and decide its stages and edges; raise FlowError for what cannot work."""
    parts = graph.parts()
    _check_ends(graph)
    refuse_diamonds(parts)
    uses = Counter(one for part in parts for one in part.inputs)
    late = frozenset(part.inputs[0] for part in parts if takes_late(part))
    decided = _place_all(_Planner(uses, late), parts)
    # Where positions travel with the items, a batch keeps those of all its items, which takes a stage of its own.
    return _place_all(_Planner(uses, late, tracked=True), parts) if decided.tracked else decided


def _place_all(planner: _Planner, parts: tuple[Part, ...]) -> Plan:
    for part in parts:
        planner.place(part)
    planner.place_dead_letters()
    return planner.finish(parts)


def _check_ends(graph: Graph) -> None:
    if not graph.ends:
        raise FlowError("there is nothing to run: give at least one flow with an end, as in flow.to(sink)")
    for end in graph.ends:
        if not isinstance(end.what, Sink):
            raise FlowError(
                f"the flow ends in {getattr(end.what, 'label', end.what)!r} and its items go nowhere: "
                f"end it with .to(sink), or ask for .collect(), .count() or `async for`"
            )
    if len(set(graph.ends)) < len(graph.ends):
        raise FlowError("the same end was given twice: each .to(...) can be run once in a run")


class _Planner:
    """Place one part after another, each after those that feed it."""

    def __init__(self, uses: Counter[Part], late: frozenset[Part], *, tracked: bool = False) -> None:
        self.uses = uses
        #: Parts with a second output that somebody reads.
        self.late = late
        self.tracked = tracked
        self.timed = False
        self.stages: list[_Draft] = []
        self.edges: list[PlannedEdge] = []
        self.exits: dict[Part, _Exit] = {}

    def place(self, part: Part) -> None:
        """Give `part` its place in a stage."""
        what = part.what
        name = getattr(what, "name", None)
        if name is not None and not isinstance(name, str):
            raise FlowError(f"{type(what).__name__.lower()}(name={name!r}): a name is a string")
        if isinstance(what, Source):
            self.exits[part] = self._place_source(what)
        elif isinstance(what, Output):
            parted = isinstance(part.inputs[0].what, Route) or part.inputs[0] in self.late
            self.exits[part] = replace(self.exits[part.inputs[0]], output=what.which if parted else None)
        elif isinstance(what, Buffer):
            self.exits[part] = self._place_buffer(part, what)
        elif isinstance(what, ElementOperator) and not (self.tracked and isinstance(what, BatchBySize)):
            self.exits[part] = self._place_element(part, what)
        elif isinstance(what, PlacedApply):
            self.exits[part] = self._place_elsewhere(part, what)
        elif isinstance(what, KeyedApart):
            self.exits[part] = self._place_keyed(part, what)
        elif isinstance(what, Sink):
            self.exits[part] = self._place_sink(part, what)
        else:
            if isinstance(what, Process) and not why_untimed(part.inputs[0]):
                what = what.where_timed()
                self.timed = True
            if isinstance(what, Join):
                what = self._timed_join(part, what)
            kind = _KINDS[type(what)]
            draft = _Draft(kind, _WHY[kind], operator=what, open=False)
            self.exits[part] = self._begin(draft, part.inputs)

    def _place_source(self, source: Source[Any]) -> _Exit:
        draft = _Draft("source", "it is where items come from", source=source)
        if source.decode is not None:
            draft.fused.append(Apply("map", source.decode, "decode", source.errors, ours=True))
        return self._begin(draft, ())

    def _place_buffer(self, part: Part, buffer: Buffer) -> _Exit:
        before = self.exits[part.inputs[0]]
        if before.buffer is not None:
            before = self._begin(_Draft("fused", "it stands between two edges", open=False), part.inputs)
        return replace(before, buffer=buffer)

    def _place_element(self, part: Part, operator: ElementOperator) -> _Exit:
        draft, why = self._fusible_with(part)
        if draft is None:
            at = self._begin(_Draft("fused", why), part.inputs)
            draft = self.stages[at.stage]
        else:
            at = self.exits[part.inputs[0]]
        untimed = why_untimed(part.inputs[0]) if operator.timed or operator.may_be_timed else ""
        if operator.may_be_timed and not untimed:
            operator = operator.where_timed()
        if operator.timed:
            if untimed:
                raise FlowError(f"{operator.label}: it goes by event time, and {untimed}")
            self.timed = self.timed or clock_before(draft.fused, len(draft.fused)) is None
        if part in self.late:
            operator = operator.parting_late()
        draft.fused.append(operator)
        draft.open = not (operator.folds or isinstance(operator, (BatchBySize, Route)))
        return at

    def _timed_join(self, part: Part, join: Join) -> Join:
        """Have event time travel to a join; FlowError names the side on which there is none."""
        for side, one in zip(("left", "right"), part.inputs, strict=True):
            if untimed := why_untimed(one):
                raise FlowError(f"{join.label}: it goes by event time, and on the {side} {untimed}")
        self.timed = True
        return join.parting_late() if part in self.late else join

    def _place_elsewhere(self, part: Part, operator: PlacedApply) -> _Exit:
        before = self.exits[part.inputs[0]]
        draft = self.stages[before.stage]
        apart = self._parted(part, before) if draft.placed else ""
        if draft.placed and not apart:
            full = f"{MAX_FUSED} operators at most cross together" if len(draft.placed) == MAX_FUSED else ""
            apart = operator.apart_from(draft.placed[-1]) or full
            if not apart:
                draft.placed.append(operator)
                return before
        why = f"it runs on {operator.on.label}" + (f", and {apart}" if apart else "")
        return self._begin(_Draft("placed", why, placed=[operator], open=False), part.inputs)

    def _place_keyed(self, part: Part, operator: KeyedApart) -> _Exit:
        if operator.inner.may_be_timed and not why_untimed(part.inputs[0]):
            operator = operator.where_timed()
            self.timed = True
        return self._begin(_Draft("keyed", operator.why, operator=operator, open=False), part.inputs)

    def _place_sink(self, part: Part, sink: Sink[Any]) -> _Exit:
        single = sink.retry is not None
        if not sink.inline or single:
            return self._begin(_Draft("sink", _WHY["sink"], sink=sink, open=False), part.inputs)
        draft, why = self._fusible_with(part)
        if draft is None:
            at = self._begin(_Draft("fused", why), part.inputs)
            draft = self.stages[at.stage]
        else:
            at = self.exits[part.inputs[0]]
        self._fuse_sink(draft, sink)
        return at

    @staticmethod
    def _fuse_sink(draft: _Draft, sink: Sink[Any]) -> None:
        if sink.encode is not None:
            draft.fused.append(Apply("map", sink.encode, "encode", sink.errors, ours=True))
        draft.sink = sink
        draft.open = False

    def _fusible_with(self, part: Part) -> tuple[_Draft | None, str]:
        """Return the stage before `part` if it can take it in, else why it cannot."""
        before = self.exits[part.inputs[0]]
        draft = self.stages[before.stage]
        if apart := self._parted(part, before):
            return None, apart
        if draft.placed:
            return None, f"what comes before it runs on {draft.placed[0].on.label}"
        if draft.fused and draft.fused[-1].folds:
            return None, f"it takes the results of {draft.fused[-1].label}"
        if not draft.open:
            return None, f"the stage before it stands alone: {draft.why}"
        if len(draft.fused) >= MAX_FUSED:
            return None, f"a fused function holds {MAX_FUSED} operators at most"
        return draft, ""

    def _parted(self, part: Part, before: _Exit) -> str:
        """Return why an edge stands before `part`, whatever it is; nothing if none need."""
        if before.buffer is not None:
            return "a buffer was asked for before it"
        if self.uses[part.inputs[0]] > 1:
            return "what comes before it has other consumers"
        return "it reads one output of a route" if before.output is not None else ""

    def _begin(self, draft: _Draft, inputs: Iterable[Part]) -> _Exit:
        index = len(self.stages)
        self.stages.append(draft)
        for port, part in enumerate(inputs):
            before = self.exits[part]
            self.edges.append(_edge(before, index, port, _room_for(draft)))
        return _Exit(index)

    def place_dead_letters(self) -> None:
        """Add one stage for each distinct sink of dead letters, and an edge to it from each stage that fills it."""
        placed: list[tuple[DeadLetters, int]] = []
        for index in range(len(self.stages)):
            by_sink: dict[int, list[DeadLetters]] = {}
            for letters in _letters_of(self.stages[index]):
                at = next((at for one, at in placed if one.sink is letters.sink or one == letters), None)
                if at is None:
                    at = self._place_letter_sink(letters.sink)
                    placed.append((letters, at))
                by_sink.setdefault(at, []).append(letters)
            for at, policies in by_sink.items():
                port = sum(edge.consumer == at for edge in self.edges)
                edge = PlannedEdge(producer=index, consumer=at, port=port, output=tuple(policies), letters=True)
                self.edges.append(edge)

    def _place_letter_sink(self, sink: Sink[Any]) -> int:
        if sink.errors.drops:
            raise FlowError(
                f"dead_letter({sink.label}): the sink of dead letters cannot skip failures of its own; "
                f"use on_error='fail'"
            )
        draft = _Draft(
            "merge", "it gathers dead letters", operator=Merge(name="dead letters"), open=False, letters=True
        )
        at = self._begin(draft, ())
        kind: Kind = "fused" if sink.inline and sink.retry is None else "sink"
        end = _Draft(kind, "it keeps dead letters", open=False, letters=True)
        if sink.encode is not None:
            end.fused.append(Apply("map", Recordable(sink.encode), "dead letter", ours=True))
        if kind == "fused":
            self._fuse_sink(end, sink)
        else:
            end.sink = sink
        self.stages.append(end)
        self.edges.append(PlannedEdge(producer=at.stage, consumer=len(self.stages) - 1))
        return at.stage

    def finish(self, parts: tuple[Part, ...]) -> Plan:
        """Freeze what was drafted."""
        _check_files(self.stages)
        names = _names(self.stages)
        taken: Counter[str] = Counter()
        stages = tuple(
            PlannedStage(
                index=index,
                kind=draft.kind,
                name=name,
                why=draft.why,
                source=draft.source,
                operator=draft.operator,
                fused=tuple(draft.fused),
                placed=tuple(draft.placed),
                sink=draft.sink,
                letters=draft.letters,
                keys=tuple(_key(label, taken) for label in _labels(draft)),
            )
            for index, (draft, name) in enumerate(zip(self.stages, names, strict=True))
        )
        unrepeatable = [
            part.what.label for part in parts if isinstance(part.what, Operator) and not part.what.repeatable
        ]
        unrepeatable += [one.label for draft in self.stages for one in draft.fused if one.runs_by_clock]
        processors = [draft.operator for draft in self.stages if isinstance(draft.operator, Process)]
        unrepeatable += [one.label for one in processors if not one.by_event_time]  # its timers go by the run's clock
        drafted = [draft.operator for draft in self.stages]
        unrepeatable += [one.label for one in drafted if isinstance(one, KeyedApart) and one.inner.runs_by_clock]
        exact = any(_wants_positions(stage) for stage in stages if stage.source is None)
        return Plan(
            stages=stages,
            edges=tuple(_with_key(edge, taken) for edge in self.edges),
            timed=self.timed,
            exact=exact,
            tracked=self.tracked or self.timed or exact,
            repeatable=not unrepeatable,
            because=tuple(dict.fromkeys(unrepeatable)),
            bounded=all(stage.source.bounded for stage in stages if stage.source is not None),
            ending=_ending(stages, self.edges),
        )


def _ending(stages: tuple[PlannedStage, ...], edges: list[PlannedEdge]) -> tuple[bool, ...]:
    ending = [stage.source is None or stage.source.bounded for stage in stages]
    for edge in sorted(edges, key=lambda edge: edge.consumer):  # a stage comes after those that feed it
        ending[edge.consumer] &= ending[edge.producer]
    return tuple(ending)


def _check_files(stages: list[_Draft]) -> None:
    """Refuse two sinks that write one file, and a file that is read and written."""
    sources = [draft.source for draft in stages if draft.source is not None]
    sinks = [draft.sink for draft in stages if draft.sink is not None]
    for _, reason in shared_files(sources, sinks):
        raise FlowError(reason)


def shared_files(sources: Sequence[Source[Any]], sinks: Sequence[Sink[Any]]) -> Iterator[tuple[Sink[Any], str]]:
    """Yield each sink whose file another one before it writes, or a source reads, with what is wrong and its fix."""
    writing: list[Sink[Any]] = []
    for sink in sinks:
        path = sink.file
        if path is None or path.startswith("/dev/"):
            continue
        if any(other.writes(path) for other in writing):
            yield sink, f"two sinks write {path!r}, and one would replace what the other wrote: give each its own"
        elif any(source.reads(path) for source in sources):
            yield sink, f"{path!r} is read and written by the same run: write to another file, and rename it then"
        writing.append(sink)


def _room_for(draft: _Draft) -> int:
    """Return how many items may wait for a stage: few where each takes long, so that a drain is short."""
    if isinstance(draft.operator, ConcurrentApply):
        at_once = 64 if draft.operator.concurrency == "auto" else draft.operator.concurrency
        return max(64, min(4 * at_once, DEFAULT_ITEMS))
    if draft.placed:
        return ROOM_TO_BEGIN
    return 1024 if draft.kind == "sink" else DEFAULT_ITEMS


def _edge(before: _Exit, consumer: int, port: int, items: int) -> PlannedEdge:
    buffer = before.buffer
    edge = PlannedEdge(producer=before.stage, consumer=consumer, port=port, output=before.output, items=items)
    if buffer is None:
        return edge
    edge = replace(
        edge, items=buffer.items if buffer.items is not None else items, overflow=buffer.overflow, asked=True
    )
    size = buffer.bytes if buffer.bytes is not None else DEFAULT_BYTES
    if buffer.overflow != "spill":
        return replace(edge, bytes=size)
    path = os.fspath(buffer.path) if buffer.path is not None else None
    spilling = Spilling(bytes=size, path=path, files=buffer.files, key=buffer.label)
    return replace(edge, bytes=min(size, DEFAULT_BYTES), spilling=spilling)


def _with_key(edge: PlannedEdge, taken: Counter[str]) -> PlannedEdge:
    """Give an edge that a checkpoint may hold something of a name of its own there."""
    if edge.spilling is None:
        return edge
    return replace(edge, spilling=replace(edge.spilling, key=_key(edge.spilling.key, taken)))


def _letters_of(draft: _Draft) -> list[DeadLetters]:
    policies = [operator.errors for operator in (*draft.placed, *draft.fused)]
    policies += [draft.operator.errors] if draft.operator is not None else []
    policies += [draft.sink.errors] if draft.sink is not None else []
    found = [policy.on_error for policy in policies if isinstance(policy.on_error, DeadLetters)]
    return list({id(one): one for one in found}.values())


def _wants_positions(stage: PlannedStage) -> bool:
    wants = any(
        getattr(operator, "with_position", False) or isinstance(operator.errors.on_error, DeadLetters)
        for operator in stage.operators()
    )
    sink = stage.sink
    return wants or (sink is not None and (sink.wants_positions or isinstance(sink.errors.on_error, DeadLetters)))


def _labels(draft: _Draft) -> list[str]:
    parts = (draft.source, draft.operator, *draft.placed, *draft.fused, draft.sink)
    return [one.label for one in parts if one is not None]


def _key(label: str, taken: Counter[str]) -> str:
    taken[label] += 1
    return label if taken[label] == 1 else f"{label} #{taken[label]}"


def _names(stages: list[_Draft]) -> list[str]:
    """Name each stage after what it holds, and number those that would share a name."""
    names: list[str] = []
    for draft in stages:
        labels = _labels(draft)
        labels = [label for label in labels if label not in ("decode", "encode")] or labels
        name = " → ".join(labels if len(labels) <= 4 else [labels[0], "…", *labels[-2:]]) or "pass"
        if draft.letters and draft.sink is not None:
            name = f"dead letters → {draft.sink.label}"
        taken = sum(other == name or other.startswith(f"{name} #") for other in names)
        names.append(name if not taken else f"{name} #{taken + 1}")
    return names
