"""What travels between batches: never counted against a capacity, never dropped, never overtaken."""

from __future__ import annotations

from dataclasses import dataclass


class Marker:
    """Be something other than data that flows down an edge in its place among the batches."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class EndOfStream(Marker):
    """Close an edge; `failed` says that a stage above failed, so windows and partial batches must not fire."""

    failed: bool = False


@dataclass(frozen=True, slots=True)
class Barrier(Marker):
    """Separate what belongs to checkpoint `epoch` from what comes after it."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Commit(Marker):
    """Tell a sink that checkpoint `epoch` is whole; it goes to the sink alone, and no further."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Watermark(Marker):
    """Promise that no item with an event time (seconds) below `time` is still to come on this edge."""

    time: float


@dataclass(frozen=True, slots=True)
class Idle(Marker):
    """Say that an input waits for the outside world, and takes no part in the minimum of watermarks."""


@dataclass(frozen=True, slots=True)
class Wake(Marker):
    """Have a stage look at the clock; it goes to this stage alone, and no further."""


@dataclass(frozen=True, slots=True)
class LatencyProbe(Marker):
    """Carry the time (seconds of the run's clock) at which it left its source, to be read at a sink."""

    born: float
