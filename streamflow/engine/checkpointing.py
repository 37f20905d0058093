"""Take checkpoints of a live run: every stage gives its part, then every sink commits what it prepared."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamflow.engine.stage import Stage
from streamflow.engine.stages.source import SourceStage
from streamflow.model.checkpoint import Checkpoint
from streamflow.model.markers import Barrier, Commit


class Gathering:
    """Wait for an answer of each stage. Pure."""

    def __init__(self, stages: Iterable[str]) -> None:
        self.missing = set(stages)
        self.parts: dict[str, Any] = {}

    def acknowledge(self, stage: str, parts: Mapping[str, Any]) -> bool:
        """Take the parts of `stage`; tell whether all are there now."""
        self.parts |= parts
        self.missing.discard(stage)
        return not self.missing


class Checkpointing:
    """Ask the stages of a run, and answer whoever waits for a checkpoint.

    A living stage is asked by a marker, so that it answers between two batches and nobody else touches its writer
    meanwhile. One that has ended is asked directly: what it stands at is what it ended with.
    """

    def __init__(self) -> None:
        self._epochs = itertools.count(1)
        self._asked: dict[Barrier | Commit, tuple[Gathering, asyncio.Future[None]]] = {}
        self._ended = asyncio.Lock()

    async def take(self, stages: Sequence[Stage]) -> Checkpoint:
        """Send a barrier through `stages`, let their sinks commit, and return the checkpoint."""
        epoch = next(self._epochs)
        parts = await self._ask(Barrier(epoch), stages)
        await self._ask(Commit(epoch), [stage for stage in stages if stage.writer is not None])
        return Checkpoint(epoch, parts)

    async def _ask(self, marker: Barrier | Commit, stages: Sequence[Stage]) -> dict[str, Any]:
        gathering = Gathering(stage.name for stage in stages)
        whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked[marker] = gathering, whole
        for stage in stages:
            if stage.over:
                await self._ask_ended(stage, marker)
            elif isinstance(stage, SourceStage) or isinstance(marker, Commit):
                stage.inject(marker)
        await whole
        return gathering.parts

    async def _ask_ended(self, stage: Stage, marker: Barrier | Commit) -> None:
        async with self._ended:
            if marker in self._asked and stage.name in self._asked[marker][0].missing:
                self.acknowledge(stage, marker, await stage.answer(marker))

    async def stage_ended(self, stage: Stage) -> None:
        """Ask a stage that has ended well for what it can no longer be asked by a marker."""
        for marker in list(self._asked):
            await self._ask_ended(stage, marker)

    def acknowledge(self, stage: Stage, marker: Barrier | Commit, parts: Mapping[str, Any]) -> None:
        """Take the answer of a stage."""
        if marker in self._asked:
            gathering, whole = self._asked[marker]
            if gathering.acknowledge(stage.name, parts):
                del self._asked[marker]
                if not whole.done():
                    whole.set_result(None)

    def give_up(self, error: Exception) -> None:
        """Answer everybody who still waits with `error`."""
        for _, whole in self._asked.values():
            if not whole.done():
                whole.set_exception(error)
        self._asked.clear()
