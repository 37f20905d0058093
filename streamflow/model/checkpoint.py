"""A consistent cut through a run: what each stage remembered when one barrier passed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

#: How often an item has its effect in a sink, if the source of it can be read again.
Delivery = Literal["exactly once", "at least once"]
#: Where a run stood: at work; all through, but the output not under its final name everywhere; or all through.
Stand = Literal["running", "finishing", "done"]

#: What a piece of a state store begins with: pairs of a key and its value follow, in their order.
AS_THEY_ARE: Final = "as they are"
#: The same: tuples of number, form of the key, key and value written down, and moment follow.
WRITTEN: Final = "written"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Hold the parts of one checkpoint: source positions, operator states, what sinks prepared.

    They are addressed by the names of sources, operators and sinks, so that they hold however stages are fused.
    """

    epoch: int
    parts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCheckpoint:
    """Hold what is written to the disk of one checkpoint.

    `parts` are encoded, each in one or more pieces; `keeps` says of each of them what it must fit (`Operator.keeps`,
    and the like of sources and sinks). `taken_at` is in seconds since the epoch; `items` were read from all sources by
    then, from the first run on.
    """

    epoch: int
    stand: Stand = "running"
    taken_at: float = 0.0
    items: int = 0
    keeps: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
