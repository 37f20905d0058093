"""Take checkpoints of a live run: every stage gives its part, they are kept, then each sink commits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from streamflow.engine.stage import Pending, Stage
from streamflow.engine.stages.source import SourceStage
from streamflow.model.checkpoint import Checkpoint
from streamflow.model.markers import Barrier, Commit

#: What keeps a checkpoint before the sinks commit: its epoch, its parts, and how many items the sources had given.
Save = Callable[[int, Mapping[str, Sequence[Any]], int], Awaitable[None]]


class Gathering:
    """Wait for an answer of each stage. Pure."""

    def __init__(self, stages: Iterable[str]) -> None:
        self.missing = set(stages)
        self.parts: dict[str, Sequence[Any]] = {}
        #: How many items the sources had given when the barrier left them.
        self.items = 0

    def acknowledge(self, stage: str, parts: Mapping[str, Sequence[Any]], items: int = 0) -> bool:
        """Take the parts of `stage`; tell whether all are there now."""
        self.parts |= parts
        self.items += items
        self.missing.discard(stage)
        return not self.missing

    async def whole(self) -> dict[str, Sequence[Any]]:
        """Return the parts when what writers prepare is on the disk, for which their stages need not wait."""
        for key, pieces in self.parts.items():
            if any(isinstance(piece, Pending) for piece in pieces):
                self.parts[key] = [
                    await piece.written_down() if isinstance(piece, Pending) else piece for piece in pieces
                ]
        return self.parts


class Checkpointing:
    """Ask the stages of a run, and answer whoever waits for a checkpoint.

    A living stage is asked by a marker, so that it answers between two batches and nobody else touches its writer
    meanwhile. One that has ended is asked directly: what it stands at is what it ended with.
    """

    def __init__(self) -> None:
        #: The number of the next checkpoint.
        self.next = 1
        self._asked: dict[Barrier | Commit, tuple[Gathering, asyncio.Future[None]]] = {}
        self._ended = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._refused: Exception | None = None

    @property
    def missing(self) -> set[str]:
        """Return the stages for whose answer a checkpoint waits."""
        return {name for gathering, _ in self._asked.values() for name in gathering.missing}

    async def take(self, stages: Sequence[Stage], save: Save | None = None) -> Checkpoint:
        """Send a barrier through `stages`, `save` what they answer, let their sinks commit; return the checkpoint."""
        if save is None:
            return await self._take(stages)
        async with self._saving:  # one after the other: what is saved last is what is gone back to
            return await self._take(stages, save)

    async def take_of_ended(self, stages: Sequence[Stage], save: Save) -> int:
        """Take a checkpoint of stages that have not begun, or are over; return how many items sources have given."""
        epoch = self._number()
        gathering = Gathering(stage.name for stage in stages)
        for stage in stages:
            gathering.acknowledge(stage.name, await stage.answer(Barrier(epoch)), _given(stage))
        await save(epoch, await gathering.whole(), gathering.items)
        for stage in stages:
            if stage.writer is not None:
                await stage.answer(Commit(epoch))
        return gathering.items

    async def _take(self, stages: Sequence[Stage], save: Save | None = None) -> Checkpoint:
        epoch = self._number()
        found = await self._ask(Barrier(epoch), stages)
        parts = await found.whole()
        if save is not None:
            await save(epoch, parts, found.items)
        await self._ask(Commit(epoch), [stage for stage in stages if stage.writer is not None])
        return Checkpoint(epoch, parts)

    def _number(self) -> int:
        self.next += 1
        return self.next - 1

    async def _ask(self, marker: Barrier | Commit, stages: Sequence[Stage]) -> Gathering:
        if self._refused is not None:
            raise self._refused
        gathering = Gathering(stage.name for stage in stages)
        whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if stages:
            self._asked[marker] = gathering, whole
        else:
            whole.set_result(None)
        try:
            for stage in stages:
                if stage.over:
                    await self._ask_ended(stage, marker)
                elif isinstance(stage, SourceStage) or isinstance(marker, Commit):
                    stage.inject(marker)
            await whole
        finally:
            self._asked.pop(marker, None)
            whole.cancel()  # nobody waits for it any more, whatever has come of it
        return gathering

    async def _ask_ended(self, stage: Stage, marker: Barrier | Commit) -> None:
        async with self._ended:
            if marker in self._asked and stage.name in self._asked[marker][0].missing:
                self.acknowledge(stage, marker, await stage.answer(marker))
                if isinstance(marker, Barrier):
                    stage.outlet.mark_for_ended(marker)

    async def stage_ended(self, stage: Stage) -> None:
        """Ask a stage that has ended well for what it can no longer be asked by a marker."""
        for marker in list(self._asked):
            await self._ask_ended(stage, marker)

    def acknowledge(self, stage: Stage, marker: Barrier | Commit, parts: Mapping[str, Sequence[Any]]) -> None:
        """Take the answer of a stage."""
        if marker in self._asked:
            gathering, whole = self._asked[marker]
            if gathering.acknowledge(stage.name, parts, _given(stage)):
                del self._asked[marker]
                if not whole.done():
                    whole.set_result(None)

    def fail(self, marker: Barrier, error: Exception) -> None:
        """Give one checkpoint up: a stage cannot give its part of it now."""
        if marker in self._asked:
            _, whole = self._asked.pop(marker)
            if not whole.done():
                whole.set_exception(error)

    def give_up(self, error: Exception) -> None:
        """Answer everybody who still waits, and who will ask, with `error`.

        Once a stage has given up what was in its hands, what the others stand at is no longer one moment of the run.
        """
        self._refused = error
        for _, whole in self._asked.values():
            if not whole.done():
                whole.set_exception(error)
        self._asked.clear()


def _given(stage: Stage) -> int:
    return stage.ledger.received if isinstance(stage, SourceStage) else 0
