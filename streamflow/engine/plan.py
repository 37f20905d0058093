"""What has been decided about a flow: the stages that run together, and the edges between them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from streamflow.channels.memory import DEFAULT_BYTES, DEFAULT_ITEMS
from streamflow.files.file_system import FileSystem
from streamflow.model.interfaces import Operator, Sink, Source
from streamflow.model.policies import Overflow
from streamflow.operators.element import ElementOperator
from streamflow.operators.placed import PlacedApply

Kind = Literal[
    "source",
    "fused",
    "expand",
    "concurrent",
    "placed",
    "keyed",
    "merge",
    "zip",
    "concat",
    "join",
    "batch",
    "throttle",
    "debounce",
    "timeout",
    "process",
    "sink",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """Hold what runs together: a source, or an operator that stands alone, or fused operators, perhaps into a sink."""

    index: int
    kind: Kind
    name: str
    why: str
    source: Source[Any] | None = None
    operator: Operator | None = None
    fused: tuple[ElementOperator, ...] = ()
    #: Operators that run in one place, one after the other, and cross to it once.
    placed: tuple[PlacedApply, ...] = ()
    sink: Sink[Any] | None = None
    letters: bool = False
    #: What each of `labels` is called in a checkpoint: unique in the plan, and the same however stages are fused.
    keys: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the names of everything in this stage, in order."""
        parts: list[str] = [self.source.label] if self.source is not None else []
        parts += [self.operator.label] if self.operator is not None else []
        parts += [operator.label for operator in (*self.placed, *self.fused)]
        return (*parts, self.sink.label) if self.sink is not None else tuple(parts)

    def by_key(self) -> tuple[tuple[str, Source[Any] | Operator | Sink[Any]], ...]:
        """Return everything in this stage, in order, each with its key."""
        parts = (self.source, self.operator, *self.placed, *self.fused, self.sink)
        return tuple(zip(self.keys, [part for part in parts if part is not None], strict=True))

    def operators(self) -> tuple[Operator, ...]:
        """Return the operators of this stage."""
        return (*((self.operator,) if self.operator is not None else ()), *self.placed, *self.fused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spilling:
    """Say where an edge spills to: a folder below `path` (None: that for temporary files), `bytes` at most.

    `key` is what the edge is called in a checkpoint.
    """

    bytes: int
    path: str | None
    files: FileSystem
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEdge:
    """Join two stages; `port` is the consumer's input, `output` the producer's if it routes."""

    producer: int
    consumer: int
    port: int = 0
    output: Any = None
    letters: bool = False
    items: int = DEFAULT_ITEMS
    bytes: int = DEFAULT_BYTES
    overflow: Overflow = "block"
    asked: bool = False
    spilling: Spilling | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Hold the stages and edges of one flow, ready to be wired as often as it is run."""

    stages: tuple[PlannedStage, ...]
    edges: tuple[PlannedEdge, ...]
    tracked: bool
    #: Whether event time is needed behind an edge, so that it travels with the items.
    timed: bool
    #: Whether somebody wants to know where each item came from; else what travels with them are times alone.
    exact: bool
    repeatable: bool
    because: tuple[str, ...] = field(default=())
    bounded: bool = True
    #: Of each stage, whether every source that feeds it ends by itself.
    ending: tuple[bool, ...] = ()

    def downstream(self, stage: int) -> frozenset[int]:
        """Return the stages that data of `stage` can reach, itself left out."""
        consumers: dict[int, list[int]] = {}
        for edge in self.edges:
            consumers.setdefault(edge.producer, []).append(edge.consumer)
        found: set[int] = set()
        waiting = [stage]
        while waiting:
            new = set(consumers.get(waiting.pop(), ())) - found
            found |= new
            waiting.extend(new)
        return frozenset(found - {stage})

    def uses(self, path: str) -> bool:
        """Tell whether the file at `path`, which is absolute, is one that a source reads or a sink writes."""
        return any(
            (stage.source is not None and stage.source.reads(path))
            or (stage.sink is not None and stage.sink.writes(path))
            for stage in self.stages
        )

    def bounded_at(self, stage: int) -> bool:
        """Tell whether every source that feeds `stage` ends by itself."""
        return self.ending[stage]
