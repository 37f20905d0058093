"""Gather the parts of one checkpoint. Pure: told what stages acknowledge and which ended, it says when it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streamflow.model.checkpoint import Checkpoint


class Gathering:
    """Wait for the part of each stage; a stage that ended before its barrier came adds what it said at its end."""

    def __init__(self, epoch: int, stages: Iterable[str]) -> None:
        self.epoch = epoch
        self._missing = set(stages)
        self._parts: dict[str, Any] = {}

    def acknowledge(self, stage: str, parts: Mapping[str, Any]) -> Checkpoint | None:
        """Take the parts of `stage`; return the checkpoint if it is whole now."""
        self._parts |= parts
        self._missing.discard(stage)
        return self._whole()

    def ended(self, stage: str) -> Checkpoint | None:
        """Take note that `stage` has ended; return the checkpoint if it is whole now."""
        self._missing.discard(stage)
        return self._whole()

    def _whole(self) -> Checkpoint | None:
        return None if self._missing else Checkpoint(self.epoch, dict(self._parts))
