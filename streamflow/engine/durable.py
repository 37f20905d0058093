"""What a run has reached, kept on a disk: where it begins, each checkpoint, and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, Literal, get_args

from streamflow.engine.checkpointing import Checkpointing, Waiting
from streamflow.engine.ends import Ends
from streamflow.engine.fingerprint import compare, fingerprint
from streamflow.engine.plan import Plan
from streamflow.engine.stage import Stage
from streamflow.engine.stages.timed import sleep_until
from streamflow.files.file_system import SyncFailed
from streamflow.files.threads import FileThread
from streamflow.model import events
from streamflow.model.checkpoint import Checkpoint, SavedCheckpoint, Stand
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import CheckpointStore, Sink
from streamflow.model.statistics import CheckpointStatistics

#: Whether a run goes on from what is there: not at all; if there is something; or only if there is something.
Resume = Literal["never", "auto", "require"]
RESUME = get_args(Resume)
#: The least seconds between two checkpoints; below that they would be all that a run does.
LEAST_EVERY = 0.01
_log = logging.getLogger("streamflow.checkpoints")


def begins_from(
    saved: SavedCheckpoint | None, keeps: Mapping[str, str], resume: Resume, label: str
) -> SavedCheckpoint | None:
    """Return the checkpoint that a run goes on from, None for the start; raise FlowError where it may not. Pure."""
    if resume == "never":
        return None
    if saved is None:
        if resume == "require":
            raise FlowError(
                f"{label}: there is no checkpoint to go on from, and resume='require'; begin with resume='auto'"
            )
        return None
    compare(saved.keeps, keeps, label)
    return saved


def check_resumable(plan: Plan, path: str | None) -> None:
    """Raise FlowError if a later run could not go on with what a sink wrote, or checkpoints would overwrite it.

    `path` is where they are kept, if that is a file.
    """
    if path is not None and plan.uses(os.path.abspath(path)):
        raise FlowError(
            f"checkpoint={path!r}: the flow reads or writes this very file: give the checkpoints another name"
        )
    for stage in plan.stages:
        if stage.sink is not None and stage.sink.unresumable:
            raise FlowError(f"{stage.sink.label}, with checkpoint=: {stage.sink.unresumable}")


def check_finished(sinks: Sequence[Sink[Any]], label: str) -> None:
    """Raise FlowError if a run that had finished, as the checkpoints at `label` say, has no output any more."""
    for sink in sinks:
        missing = sink.missing()
        if missing is not None:
            raise FlowError(
                f"{label}: an earlier run had finished, but {missing} is gone: put it back, or begin anew with "
                f"resume='never'"
            )


class Durable:
    """Keep the checkpoints of one run in `store`, each `every` seconds."""

    def __init__(
        self,
        store: CheckpointStore,
        plan: Plan,
        *,
        every: float,
        resume: Resume,
        tell: Callable[[events.Event], None],
    ) -> None:
        self._store = store
        self._keeps = fingerprint(plan)
        self._sinks = [stage.sink for stage in plan.stages if stage.sink is not None]
        self._every = every
        self._resume = resume
        self._tell = tell
        self._thread: FileThread | None = None
        self._from: SavedCheckpoint | None = None
        self._failing = False
        #: Why the store did not take the last checkpoint that it refused.
        self._fault: Exception | None = None
        self._kept: deque[int] = deque(maxlen=store.kept)
        self._before = 0
        self._saved = self._failed = self._epoch = self._bytes = 0
        self._took = self._longest = 0.0
        self._kept_at: float | None = None
        #: Whether a checkpoint of this run, or one that it goes on from, is there to go back to.
        self.begun = False

    # -- the beginning --------------------------------------------------------------------------------------------

    async def open(self) -> Stand:
        """Open the store and see where the run before this one stood."""
        self._thread = FileThread(self._store.label)
        anew = self._resume == "never"
        await self._thread.run(self._store.open, anew)
        saved = None if anew else await self._thread.run(self._store.latest)
        self._from = begins_from(saved, self._keeps, self._resume, self._store.label)
        if self._from is None:
            return "running"
        self.begun = True
        if self._from.stand == "done":
            await self._thread.run(check_finished, self._sinks, self._store.label)
        self._before, self._epoch = self._from.items, self._from.epoch
        self._tell(events.RunGoesOn(epoch=self._from.epoch, items=self._from.items, stand=self._from.stand))
        return self._from.stand

    @property
    def resumed(self) -> Checkpoint | None:
        """Return the checkpoint that this run goes on from, its parts written down; None for the very start."""
        return Checkpoint(self._from.epoch, self._from.parts) if self._from is not None else None

    async def begin(self, checkpoints: Checkpointing, stages: Sequence[Stage]) -> None:
        """Keep where the run begins, before it moves: from then on there is something to go back to."""
        checkpoints.next = self._epoch + 1
        if self._from is None:
            await checkpoints.take_of_ended(stages, self.save)

    # -- while the run lasts --------------------------------------------------------------------------------------

    async def repeat(self, take: Callable[[], Awaitable[object]]) -> None:
        """Have checkpoints taken, one after the other, until the run ends; one that finds no room is no harm."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._every, loop.time())
            await sleep_until(due)
            try:
                await take()
            except Exception as error:
                if isinstance(error, SyncFailed) or (isinstance(error, FlowError) and error is not self._fault):
                    return  # the run is over
                self._note_failure(error)

    @property
    def folder(self) -> str | None:
        """Return how folders beside the checkpoints begin."""
        return self._store.folder

    @property
    def mark(self) -> str:
        """Return a few letters that are the same in all runs on these checkpoints, and no others."""
        return blake2b((self._store.folder or self._store.label).encode(), digest_size=4).hexdigest()

    @property
    def oldest(self) -> int:
        """Return the number of the oldest checkpoint that may be gone back to."""
        return self._kept[0] if self._kept else 0

    async def save(self, epoch: int, parts: Mapping[str, Sequence[Any]], items: int) -> None:
        """Keep a checkpoint of a run at work."""
        await self._save("running", epoch, parts, items)

    async def _save(self, stand: Stand, epoch: int, parts: Mapping[str, Sequence[Any]], items: int) -> None:
        assert self._thread is not None
        began = time.perf_counter()
        checkpoint = SavedCheckpoint(
            epoch=epoch,
            stand=stand,
            taken_at=time.time(),
            items=self._before + items,
            keeps=self._keeps,
            parts=parts,
        )
        begun, self.begun = self.begun, True  # whoever is cancelled here does not learn whether it is kept
        try:
            await self._thread.run(self._store.save, checkpoint)
        except Exception as error:
            self._fault = error
            self.begun = begun or await self._may_be_kept()
            raise
        self._took = time.perf_counter() - began
        self._longest = max(self._longest, self._took)
        if stand != "done":
            self._bytes = sum(len(piece) for pieces in parts.values() for piece in pieces)
        self._saved += 1
        self._epoch = epoch
        self._kept.append(epoch)
        self._kept_at = time.monotonic()
        if self._failing:
            self._failing = False
            _log.warning("%s: checkpoints are taken again, the last is checkpoint %d", self._store.label, epoch)

    async def _may_be_kept(self) -> bool:
        """Tell whether the first checkpoint may be there, though the disk has said that it could not keep it."""
        assert self._thread is not None
        try:
            return await self._thread.run(self._store.latest) is not None
        except Exception:
            return True  # then what it knows of must stay

    def _note_failure(self, error: Exception) -> None:
        self._failed += 1
        if not self._failing:  # once; it would be told again each second
            self._failing = True
            _log.warning(
                "%s: no checkpoint could be taken (%s); the run goes on, with number %d to go back to, and tries again",
                self._store.label,
                error,
                self._epoch,
            )
        self._tell(events.CheckpointFailed(error=error, epoch=self._epoch))

    # -- the end --------------------------------------------------------------------------------------------------

    async def complete(self, checkpoints: Checkpointing, stages: Sequence[Stage], ends: Ends) -> None:
        """Make all output visible: first it is kept that this has begun, then done, then kept that it is done."""
        given = 0
        if stages:
            given = await checkpoints.take_of_ended(stages, partial(self._save, "finishing"))
        await ends.complete()
        await self._save("done", self._epoch + 1, {}, given)

    async def close(self) -> None:
        """Let go of the store."""
        if self._thread is not None:
            thread, self._thread = self._thread, None
            await thread.close_after(self._store.close)

    def statistics(self, waiting: Waiting | None) -> CheckpointStatistics:
        """Return the figures as they are now; `waiting` says what the one under way waits for."""
        found = self._from
        return CheckpointStatistics(
            path=self._store.label,
            resumed_from=found.epoch if found is not None else None,
            resumed_at=found.items if found is not None else 0,
            already_done=found is not None and found.stand == "done",
            saved=self._saved,
            failed=self._failed,
            epoch=self._epoch,
            bytes=self._bytes,
            seconds=self._took,
            longest=self._longest,
            age=time.monotonic() - self._kept_at if self._kept_at is not None else None,
            waiting_for=waiting.stages if waiting is not None else (),
            waiting=asyncio.get_running_loop().time() - waiting.since if waiting is not None else 0.0,
        )
