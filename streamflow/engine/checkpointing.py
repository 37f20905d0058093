"""Gather checkpoints: told what stages acknowledge and which ended, say when one is whole."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from streamflow.model.checkpoint import Checkpoint


class Gathering:
    """Wait for the part of each stage; one that ends before its barrier comes has none to give. Pure."""

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


class Checkpointing:
    """Number the checkpoints of a run, and answer whoever waits for one."""

    def __init__(self) -> None:
        self._epochs = itertools.count(1)
        self._under_way: dict[int, tuple[Gathering, asyncio.Future[Checkpoint]]] = {}

    def begin(self, stages: Iterable[str]) -> tuple[int, asyncio.Future[Checkpoint]]:
        """Begin a checkpoint of `stages`; return its number, and what will hold it when it is whole."""
        epoch = next(self._epochs)
        future: asyncio.Future[Checkpoint] = asyncio.get_running_loop().create_future()
        self._under_way[epoch] = Gathering(epoch, stages), future
        return epoch, future

    def acknowledge(self, stage: str, epoch: int, parts: Mapping[str, Any]) -> None:
        """Take a stage's part of a checkpoint."""
        if epoch in self._under_way:
            gathering, _ = self._under_way[epoch]
            self._answer(epoch, gathering.acknowledge(stage, parts))

    def stage_ended(self, stage: str) -> None:
        """Wait no more for a stage that has ended well."""
        for epoch, (gathering, _) in list(self._under_way.items()):
            self._answer(epoch, gathering.ended(stage))

    def _answer(self, epoch: int, checkpoint: Checkpoint | None) -> None:
        if checkpoint is not None:
            _, future = self._under_way.pop(epoch)
            if not future.done():
                future.set_result(checkpoint)

    def give_up(self, error: Exception) -> None:
        """Answer everybody who still waits with `error`."""
        for _, future in self._under_way.values():
            if not future.done():
                future.set_exception(error)
        self._under_way.clear()
