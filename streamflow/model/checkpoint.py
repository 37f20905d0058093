"""A consistent cut through a run: what each stage remembered when one barrier passed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Hold the parts of one checkpoint: source positions, operator states, what sinks prepared.

    They are addressed by the names of sources, operators and sinks, so that they hold however stages are fused.
    """

    epoch: int
    parts: Mapping[str, Any]
