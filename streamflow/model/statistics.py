"""Frozen figures of a run: what each stage and edge has seen, and what the whole has used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeStatistics:
    """Count what went over one edge: `sent + restored = received + overflowed + queued + abandoned`.

    `producer` and `consumer` are the names of the stages that it joins; `blocked` is in seconds. Of an edge that
    spills, `spilled` of the items that are queued lie on the disk, which holds `spilled_bytes`, had
    `spilled_high_water`, and may have `max_spilled_bytes`; `restored` are items that an earlier run's checkpoint held.
    """

    name: str
    producer: str = ""
    consumer: str = ""
    sent: int = 0
    received: int = 0
    overflowed: int = 0
    abandoned: int = 0
    queued: int = 0
    queued_bytes: int = 0
    max_items: int = 0
    max_bytes: int = 0
    high_water: int = 0
    blocked: float = 0.0
    restored: int = 0
    spilled: int = 0
    spilled_bytes: int = 0
    spilled_high_water: int = 0
    max_spilled_bytes: int = 0

    @property
    def conserved(self) -> bool:
        """Tell whether every item that was sent is accounted for."""
        return self.sent + self.restored == self.received + self.overflowed + self.queued + self.abandoned


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Tell how far a source is: what it has given, in its own unit, and how much there is, or None if nobody knows.

    Of a compressed file, the bytes are those on the disk.
    """

    done: int
    total: int | None = None
    unit: Literal["bytes", "items"] = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStatistics:
    """Count what one stage did.

    `received + restored = passed + dropped + failed + retained + in_flight + abandoned`, where `restored` are items
    that a checkpoint of an earlier run held. `emitted` is counted apart, since
    `flat_map` multiplies and `batch` gathers. Times are in seconds: `busy` computing or awaiting the user's
    functions (of a stage elsewhere: what its workers computed, divided by their number, which is `concurrency`),
    `starved` waiting for input, `blocked` waiting for room downstream.
    """

    name: str
    kind: str
    received: int = 0
    restored: int = 0
    passed: int = 0
    dropped: int = 0
    failed: int = 0
    retained: int = 0
    in_flight: int = 0
    abandoned: int = 0
    emitted: int = 0
    retried: int = 0
    busy: float = 0.0
    starved: float = 0.0
    blocked: float = 0.0
    concurrency: int = 1
    state: str = "new"
    operators: tuple[str, ...] = ()
    #: Where its functions run, if that is not the event loop: `processes(2)`.
    place: str = ""
    drops: Mapping[str, int] = field(default_factory=dict)
    #: What it remembers: how many keys (of windows: cells), about how many bytes, and how many of these on the disk.
    keys: int = 0
    state_bytes: int = 0
    disk_bytes: int = 0
    #: Seconds for which it waited for these.
    disk_seconds: float = 0.0
    #: Of a source that can tell.
    progress: Progress | None = None

    @property
    def conserved(self) -> bool:
        """Tell whether every item that was received is accounted for."""
        known = self.passed + self.dropped + self.failed + self.retained + self.in_flight + self.abandoned
        return self.received + self.restored == known


_Named = TypeVar("_Named", EdgeStatistics, StageStatistics)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Give quantiles, in seconds, of the time that probes took from a source to a sink."""

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointStatistics:
    """Say where a run began, and count the checkpoints it has kept; times in seconds.

    `epoch` is the number of the latest that was kept, `bytes` its size before what had not changed was left out,
    `seconds` the time its writing took and `longest` the longest; `age` is how long ago this run kept it, None before.
    `resumed_at` is how many items earlier runs had read. One under way waits for the stages `waiting_for`, of which the
    first has what the others wait for, since `waiting` seconds.
    """

    path: str
    resumed_from: int | None = None
    resumed_at: int = 0
    already_done: bool = False
    saved: int = 0
    failed: int = 0
    epoch: int = 0
    bytes: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    age: float | None = None
    waiting_for: tuple[str, ...] = ()
    waiting: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Hold what the sampling task saw at one moment; bytes, per cent of one core, seconds since the run's start.

    `received` and `bytes_read` are counted from the start, by all sources together; `latency` is the longest that
    arrived since the sample before, or None.
    """

    at: float
    rss: int
    cpu_percent: float
    threads: int
    descriptors: int
    loop_lag: float
    in_flight: int
    queued: int
    received: int
    bytes_read: int = 0
    latency: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatistics:
    """Count what a pool lent: `hits` lay idle, `misses` were made; `trims` were let go to make room or when asked to.

    `refused` came back and could not be kept: too large, spoilt, or still looked into.
    """

    name: str
    hits: int = 0
    misses: int = 0
    trims: int = 0
    refused: int = 0
    idle: int = 0
    idle_bytes: int = 0
    limit_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStatistics:
    """Tell how a run kept to its memory limit: bytes of the whole process tree, and what was done about them.

    While the sources are `held` they read nothing, but for the batches that were `let_through` alone, each when nothing
    else could move. `reclaimed` are the bytes by which memory fell while pools, garbage and the C library were trimmed.
    """

    limit: int
    now: int = 0
    peak: int = 0
    held: bool = False
    times_held: int = 0
    seconds_held: float = 0.0
    trims: int = 0
    reclaimed: int = 0
    let_through: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceStatistics:
    """Count what befell the workers of one place, `name`: those beside the first `workers` were started in their stead.

    `abandoned` are threads whose call did not come back in time. Arrays and other large buffers cross to worker
    processes through arenas: `crossed_bytes` went that way, `arena_peak` were in use in one of them, and `waits` is how
    often one was exhausted.
    """

    name: str
    workers: int
    started: int = 0
    died: int = 0
    timed_out: int = 0
    recycled: int = 0
    abandoned: int = 0
    crossed_bytes: int = 0
    arena_peak: int = 0
    waits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatistics:
    """Hold the figures of a run at one moment; `elapsed` in seconds, `rss` and `peak_rss` in bytes.

    `memory` is there if the run has a memory limit. `pools` are those that were used while it lasted; they belong to
    the process, and so do their figures. `allocator` says what came of tuning it, if that was asked for. `places` are
    those other than the event loop where functions ran.
    """

    state: str
    elapsed: float
    stages: tuple[StageStatistics, ...]
    edges: tuple[EdgeStatistics, ...]
    latency: Latency = Latency()
    rss: int = 0
    peak_rss: int = 0
    loop_lag: float = 0.0
    history: tuple[Sample, ...] = ()
    memory: MemoryStatistics | None = None
    pools: tuple[PoolStatistics, ...] = ()
    allocator: str | None = None
    places: tuple[PlaceStatistics, ...] = ()
    checkpoints: CheckpointStatistics | None = None
    #: What the run promises for its weakest pair of source and sink when it is broken off; of one with checkpoints.
    promise: str = ""
    #: The same of each pair, in words.
    promises: tuple[str, ...] = ()
    #: How many cores the process may use; 0 if nobody has asked.
    cores: int = 0

    @property
    def items_in(self) -> int:
        """Return how many items all sources have given."""
        return sum(stage.received for stage in self.stages if stage.kind == "source")

    @property
    def bytes_in(self) -> int:
        """Return how many bytes all sources that count them have given."""
        found = (stage.progress for stage in self.stages)
        return sum(one.done for one in found if one is not None and one.unit == "bytes")

    @property
    def failed(self) -> int:
        """Return how many items failed, whatever was done about them."""
        return sum(stage.failed for stage in self.stages)

    def stage(self, name: str) -> StageStatistics:
        """Return the figures of the stage `name`; KeyError names those there are."""
        return _named(self.stages, name)

    def edge(self, name: str) -> EdgeStatistics:
        """Return the figures of the edge `name`; KeyError names those there are."""
        return _named(self.edges, name)


def _named(found: tuple[_Named, ...], name: str) -> _Named:
    for one in found:
        if one.name == name:
            return one
    raise KeyError(f"{name!r}: there is only {', '.join(repr(one.name) for one in found)}")
