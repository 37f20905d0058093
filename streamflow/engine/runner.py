"""One live run: opens everything, supervises the stages, stops in gears, and leaves nothing behind.

The run's own task is separate from whoever waits for it, so that cancelling the caller (once, twice, or by a scope that
cancels at every await) never interrupts the cleaning up: the caller's cancellation is turned into the run's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from types import TracebackType
from typing import Any, Literal

import anyio

from streamflow.engine.checkpointing import Checkpointing
from streamflow.engine.durable import Durable, Resume
from streamflow.engine.ends import Ends
from streamflow.engine.failures import in_words
from streamflow.engine.guarantees import guarantees, weakest
from streamflow.engine.plan import Plan
from streamflow.engine.run_clock import RunClock
from streamflow.engine.run_memory import RunMemory
from streamflow.engine.sampling import Sampler
from streamflow.engine.stage import IN_MEMORY, Stage
from streamflow.engine.stages.source import SourceStage
from streamflow.engine.stages.timed import TimedStage
from streamflow.engine.turn import Turn
from streamflow.engine.watchdog import Watchdog
from streamflow.engine.wiring import CheckpointPlace, Wiring, durable_for, on_disk
from streamflow.executors.cores import usable_cores
from streamflow.files.file_system import SyncFailed
from streamflow.metrics.quantiles import Durations
from streamflow.metrics.report import RunReport
from streamflow.model import events
from streamflow.model.arguments import seconds_of
from streamflow.model.checkpoint import Checkpoint, Stand
from streamflow.model.errors import FlowError, FlowHung, ItemCancelled, NotSerialisable, RunCancelled
from streamflow.model.markers import Barrier, Commit, LatencyProbe
from streamflow.model.notes import add_note
from streamflow.model.statistics import RunStatistics
from streamflow.operators.callables import require_plain

State = Literal[
    "opening",
    "running",
    "paused",
    "draining",
    "cancelling",
    "finished",
    "drained",
    "suspended",
    "cancelled",
    "failed",
]
OnEvent = Callable[[events.Event], object]
_log = logging.getLogger("streamflow.run")

#: Seconds that cancelled stages have to end before they are reported as hung.
CANCEL_WITHIN = 10.0
SAMPLE_EVERY = 0.25
#: Seconds that sources have to be still before a run is suspended; then a barrier is sent that lets them on.
STILL_WITHIN = 0.25


class Run:
    """Be the handle of one run of a flow: wait for it, look at it, pause it, and stop it in gears."""

    def __init__(
        self,
        plan: Plan,
        *,
        on_event: OnEvent | None = None,
        stall_after: float = 60.0,
        max_stall: float = 0.001,
        fuse: bool = True,
        resume: Checkpoint | Resume = "auto",
        checkpoint: CheckpointPlace | None = None,
        every: object = 1.0,
        memory: str | int | None = None,
        tune_allocator: bool = False,
        gc_threshold: int | None = None,
    ) -> None:
        check_options(on_event, stall_after, max_stall)
        self._memory = RunMemory(memory, tune_allocator=tune_allocator, gc_threshold=gc_threshold)
        self.plan = plan
        self.state: State = "opening"
        self._opening = False
        self._on_event = on_event
        loop = running_loop()
        self._clock = RunClock(loop)
        self._ends = Ends(self._note_error)
        self._durable = durable_for(checkpoint, plan, every=every, resume=resume, tell=self._tell)
        self._promises = guarantees(plan) if self._durable is not None else ()
        writing = IN_MEMORY if self._durable is None else on_disk()
        self._wiring = Wiring(
            plan,
            Turn(loop, max_stall),
            self._clock,
            self._ends,
            self,
            fuse=fuse,
            writing=writing,
            beside=self._durable.folder if self._durable is not None else None,
            mark=self._durable.mark if self._durable is not None else None,
        )
        self._resume = resume if isinstance(resume, Checkpoint) else None
        self._stand: Stand = "running"
        self._completed = False
        self._stall_after = stall_after
        self._durations = Durations()
        self._sampler = Sampler()
        self._began = perf_counter()
        self._error: BaseException | None = None
        self._more_errors = 0
        self._failed_at: int | None = None
        self._asked: State | None = None
        self._checkpoints = Checkpointing()
        self._suspending: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] = asyncio.create_task(self._live(), name="streamflow run")
        self.report: RunReport | None = None

    # -- the handle -----------------------------------------------------------------------------------------------

    async def wait(self) -> RunReport:
        """Wait for the end and return the report; raise the user's own error if the run failed.

        Cancelling this cancels the run, and returns only when it has been cleaned up. Raises RunCancelled if the run
        was cancelled through `cancel`.
        """
        self._refuse_own("wait")
        await self._wait_cancelling()
        if self._error is not None:
            raise self._error
        if self.state == "cancelled":
            raise RunCancelled("the run was cancelled through its handle before it had finished")
        assert self.report is not None
        return self.report

    def _refuse_own(self, what: str) -> None:
        """Raise FlowError in a function of the flow itself: it would wait for its own end."""
        here = asyncio.current_task()
        if any(here in stage.tasks() for stage in self._wiring.stages):
            raise FlowError(
                f"{what}() was called by a function of the flow itself, which the run would wait for: "
                f"have a task of your own do it, as in asyncio.create_task(run.{what}())"
            )

    async def _wait_cancelling(self) -> None:
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            self._cancel_stages("cancelled")
            await self._until_gone(CANCEL_WITHIN)
            raise

    async def pause(self) -> None:
        """Let the sources read no more; what is under way settles, timers stand still, and nothing is lost."""
        await self._until_open()
        if self.state == "running":
            self.state = "paused"
            self._clock.stop()
            for source in self._sources():
                source.shut()
            self._tell(events.RunPaused())

    async def resume(self) -> None:
        """Let the sources read on after a pause."""
        if self.state == "paused":
            self.state = "running"
            self._clock.go_on()
            for stage in self._wiring.stages:
                if isinstance(stage, SourceStage):
                    stage.unshut()
                elif isinstance(stage, TimedStage):
                    stage.look_up()
            self._tell(events.RunResumed())

    async def drain(self, timeout: float | None = None, *, finish: bool = False) -> RunReport:
        """End the sources, let what is under way flow out and be committed, and return the report.

        A run with checkpoints is suspended: a last one is taken, nothing is flushed, and the next run goes on as if
        there had been no end; with `finish` it ends as one without them does. After `timeout` seconds the run is
        cancelled instead. Raises the user's error if the run failed.
        """
        if timeout is not None:
            seconds_of("drain(timeout=...)", timeout, zero=True)
        self._refuse_own("drain")
        if not self._task.done() and self._asked != "cancelled":
            await self.resume()
            self.state = "draining"
            self._asked = "drained"
            self._tell(events.RunDraining())
            if self._opening:
                self._task.cancel()  # nothing was read yet, and opening may take for ever
            await self._until_open()
            if self._durable is not None and not finish and self.report is None:
                self._suspending = asyncio.create_task(self._suspend(), name="streamflow suspend")
            else:
                for source in self._sources():
                    source.drain()
            await asyncio.wait([self._task], timeout=timeout)
            if not self._task.done():
                return await self.cancel()
        return await self.wait()

    async def cancel(self, timeout: float = CANCEL_WITHIN) -> RunReport:
        """Stop at once: what is under way is given up, uncommitted output is removed. Return the report.

        Raises FlowHung, naming what would not end, if something is still alive after `timeout` seconds.
        """
        seconds_of("cancel(timeout=...)", timeout, zero=True)
        self._refuse_own("cancel")
        self._cancel_stages("cancelled")
        await self._until_gone(timeout)
        if self._error is not None:
            raise self._error
        assert self.report is not None
        return self.report

    async def checkpoint(self) -> Checkpoint:
        """Send a barrier through the flow; return what every stage remembered when it passed, once all have committed.

        Raises FlowError if the run ends before.
        """
        await self._until_open()
        if self.report is not None or self.state in ("cancelling", "draining"):
            raise FlowError(f"checkpoint(): the run is {self.state}; there is nothing to take one of")
        return await self._take_checkpoint()

    async def _save(self, epoch: int, parts: Mapping[str, Sequence[Any]], items: int) -> None:
        assert self._durable is not None
        await self._durable.save(epoch, {**parts, **await self._wiring.parts_of_edges(epoch)}, items)
        self._wiring.forget(self._durable.oldest, epoch)

    async def _take_checkpoint(self) -> Checkpoint:
        save = self._save if self._durable is not None else None
        try:
            checkpoint = await self._checkpoints.take(self._wiring.stages, save)
        except SyncFailed as error:  # of what an edge has spilled: no later checkpoint could have it either
            self._note_error(error)
            for stage in self._wiring.stages:
                stage.cancel()
            raise
        self._tell(events.CheckpointCommitted(epoch=checkpoint.epoch))
        return checkpoint

    async def _keep_checkpoint(self) -> None:
        """Take one; what can never be written down fails the run now, not at its end."""
        try:
            await self._take_checkpoint()
        except NotSerialisable as error:  # of a stage that has ended: others fail by themselves
            self._note_error(error)
            for stage in self._wiring.stages:
                stage.cancel()

    def statistics(self) -> RunStatistics:
        """Return the figures as they are now, or as they were at the end."""
        if self.report is not None:
            return self.report.statistics
        self._settle_counts()
        return RunStatistics(
            state=self.state,
            elapsed=perf_counter() - self._began,
            stages=tuple(stage.ledger.statistics() for stage in self._wiring.stages),
            edges=tuple(channel.statistics() for channel in self._wiring.channels),
            latency=self._durations.latency(),
            rss=self._sampler.rss,
            peak_rss=self._sampler.peak_rss,
            loop_lag=self._sampler.loop_lag,
            history=self._sampler.history.points(),
            places=tuple(pool.statistics() for pool in self._wiring.pools.values()),
            **self._memory.figures(),
            cores=usable_cores(),
            checkpoints=self._durable.statistics(self._checkpoints.waiting) if self._durable is not None else None,
            promise=weakest(self._promises) if self._durable is not None else "",
            promises=tuple(map(str, self._promises)),
        )

    async def __aenter__(self) -> Run:
        try:
            await self._until_open()
        except asyncio.CancelledError:
            self._cancel_stages("cancelled")
            await self._until_gone(CANCEL_WITHIN)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._cancel_stages("cancelled")
            await self._until_gone(CANCEL_WITHIN)
        elif not self._task.done() or self._error is not None:
            await self.wait()

    def __repr__(self) -> str:
        moved = sum(stage.received for stage in self.statistics().stages if stage.kind == "source")
        return f"<Run {self.state}: {len(self.plan.stages)} stages, {moved:,} items in>"

    # -- living ---------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Open, run, complete or undo, close: the whole life, in a task that nobody else cancels."""
        self._memory.begin()
        try:
            if self._asked is None:  # a run may be stopped before it has begun
                await self._open()
            if self._asked is None and self._stand == "running":
                self.state = "running"
                self._tell(events.RunStarted(stages=tuple(stage.name for stage in self._wiring.stages)))
                await self._run_stages()
            if self._error is None and self._asked not in ("cancelled", "suspended"):
                await self._complete()
        except asyncio.CancelledError as error:
            if self._asked is None:
                self._note_error(error)
        except BaseException as error:
            self._note_error(error)
            if not isinstance(error, Exception):
                raise  # it is for whoever runs the loop
        finally:
            suspend = self._durable is not None and self._durable.begun and not self._completed
            await self._ends.close(keep=self._set_aside() if self._error is not None else (), suspend=suspend)
            if self._durable is not None:
                await self._durable.close()
            self._measure(0.0)
            self.state = self._final_state()
            self.report = RunReport(self.state, self.statistics(), in_words(self._error))
            self._memory.end()
            self._wiring.dismantle()
            self._let_go()
            self._tell(events.RunEnded(state=self.state, report=self.report))

    async def _open(self) -> None:
        self._opening = True
        try:
            if self._durable is not None:
                await self._open_durable(self._durable)
            else:
                await self._wiring.open(self._resume)
        finally:
            self._opening = False

    async def _open_durable(self, durable: Durable) -> None:
        """Begin where the run before this one stood, which may have been its end."""
        self._stand = await durable.open()
        if self._stand == "running":
            await self._wiring.open(durable.resumed)
            await durable.begin(self._checkpoints, self._wiring.stages)
        elif self._stand == "finishing":
            await self._wiring.open_to_finish(durable.resumed)

    async def _complete(self) -> None:
        """Make all output visible; of what has been finished, no checkpoint can be taken."""
        self._checkpoints.give_up(FlowError("checkpoint(): the run ended (finished) before it was whole"))
        if self._durable is None:
            await self._ends.complete()
        elif self._durable.begun and self._stand != "done":
            await self._durable.complete(self._checkpoints, self._wiring.stages, self._ends)
        self._completed = True

    async def _run_stages(self) -> None:
        self._measure(0.0)
        watching = [asyncio.create_task(self._watch(), name="streamflow watch")]
        if self._memory.limited:
            governing = self._memory.govern(self._wiring.stages, self._wiring.channels, self._tell)
            watching.append(asyncio.create_task(governing, name="streamflow memory"))
        if self._durable is not None:
            repeating = self._durable.repeat(self._keep_checkpoint)
            watching.append(asyncio.create_task(repeating, name="streamflow checkpoints"))
        if self._wiring.tables.change:
            watching.append(asyncio.create_task(self._wiring.tables.keep_up(), name="streamflow tables"))
        try:
            async with asyncio.TaskGroup() as group:
                for stage in self._wiring.stages:
                    stage.task = group.create_task(self._guard(stage), name=f"streamflow stage {stage.name}")
                    stage.task.add_done_callback(stage.end_unbegun)
                if not self._opened.done():
                    self._opened.set_result(None)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    async def _guard(self, stage: Stage) -> None:
        """Run one stage; whatever it ends with is the supervisor's to judge, and never another stage's cancellation."""
        try:
            await stage.run()
        except asyncio.CancelledError as error:
            if not self._stage_was_cancelled(stage):
                failure = ItemCancelled(stage.name)
                failure.__cause__ = error
                self._stage_failed(stage, failure)
        except (KeyboardInterrupt, SystemExit):
            raise  # these are for whoever runs the loop
        except BaseException as error:
            self._stage_failed(stage, error)
        finally:
            await self._ends.close_reader(stage.planned.index)
            await self._tell_checkpoints(stage)

    async def _tell_checkpoints(self, stage: Stage) -> None:
        if self._error is not None or self._asked in ("cancelled", "suspended"):
            return
        try:
            await self._checkpoints.stage_ended(stage)
        except Exception as error:
            self._stage_failed(stage, error)

    @staticmethod
    def _stage_was_cancelled(stage: Stage) -> bool:
        return stage.task is not None and stage.task.cancelling() > 0

    def _stage_failed(self, stage: Stage, error: BaseException) -> None:
        self._note_error(error)
        _log.debug("stage %s failed", stage.name, exc_info=error)
        self._tell(events.StageFailed(stage=stage.name, error=error))
        self._failed_at = stage.planned.index
        emptying = self.plan.downstream(stage.planned.index)
        for other in self._wiring.stages:
            # What sets failed items aside ends by itself, when all that fill it have.
            if other is not stage and other.planned.index not in emptying and not other.planned.letters:
                other.cancel()

    def _set_aside(self) -> set[int]:
        """Return the stages that have set failed items aside, unless that is what has failed."""
        letters = [stage for stage in self._wiring.stages if stage.planned.letters and stage.ledger.received]
        return {stage.planned.index for stage in letters if stage.planned.index != self._failed_at}

    def _note_error(self, error: BaseException) -> None:
        self._checkpoints.give_up(FlowError("checkpoint(): the run ended (failed) before it was whole"))
        if self._error is None:
            self._error = error
        elif error is not self._error:
            self._more_errors += 1

    def _let_go(self) -> None:
        """Answer everybody who still waits."""
        if not self._opened.done():
            self._opened.set_result(None)
        self._checkpoints.give_up(FlowError(f"checkpoint(): the run ended ({self.state}) before it was whole"))
        if self._error is not None and self._more_errors:
            add_note(self._error, f"({self._more_errors} more errors followed this one)")

    def _final_state(self) -> State:
        if self._error is not None:
            return "failed"
        if self._suspending is not None and (self._completed or self._asked == "drained"):
            return "finished"  # it has come to its own end before it could be suspended
        return self._asked if self._asked is not None else "finished"

    # -- stopping -------------------------------------------------------------------------------------------------

    async def _suspend(self) -> None:
        """Take a last checkpoint when the sources are still and timers stand, then stop: nothing is flushed."""
        try:
            await self._until_still()
            if self._task.done() or self._error is not None:
                return
            self._clock.stop()
            await self._take_checkpoint()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # whatever it is: the sources stand, and nobody else would end the run
            if error is self._checkpoints.refused:
                return  # the run has ended by itself
            self._note_error(error)
        self._cancel_stages("suspended")

    async def _until_still(self) -> None:
        """Have the sources read no more, and wait until nothing more comes from them."""
        sources = self._sources()
        for source in sources:
            source.suspend()
        while not all(source.still.is_set() for source in sources):
            waiting = [asyncio.create_task(source.still.wait()) for source in sources]
            try:
                _, moving = await asyncio.wait(waiting, timeout=STILL_WITHIN)
            finally:
                for one in waiting:
                    one.cancel()
            if moving:
                # Where inputs wait for each other, one that is still holds up the source of another. A barrier, for
                # which every input is read, lets go of that.
                with suppress(Exception):
                    await self._take_checkpoint()

    def _cancel_stages(self, asked: State) -> None:
        if self._task.done():
            return
        if self._suspending is not None and asked == "cancelled":
            self._suspending.cancel()
        self._asked = asked
        again = self.state == "cancelling"
        self.state = "cancelling"
        self._checkpoints.give_up(FlowError(f"checkpoint(): the run ended ({asked}) before it was whole"))
        if self._opening:
            self._task.cancel()
        for stage in self._wiring.stages:
            stage.cancel(again=again)

    async def _until_gone(self, timeout: float) -> None:
        """Wait for the end of the run, whatever cancels the caller meanwhile; report what hangs."""
        with anyio.CancelScope(shield=True):
            deadline = asyncio.get_running_loop().time() + timeout
            while not self._task.done() and (left := deadline - asyncio.get_running_loop().time()) > 0:
                try:
                    await asyncio.wait([self._task], timeout=left)
                except asyncio.CancelledError:
                    continue  # being cancelled again changes nothing: this is already the quickest way out
        if not self._task.done():
            raise FlowHung(
                f"the run did not end within {timeout:g} s of being cancelled:\n{self._watchdog().describe()}"
            )

    async def _until_open(self) -> None:
        await asyncio.shield(self._opened)

    def _sources(self) -> list[SourceStage]:
        return [stage for stage in self._wiring.stages if isinstance(stage, SourceStage)]

    # -- watching -------------------------------------------------------------------------------------------------

    def _watchdog(self) -> Watchdog:
        return Watchdog(self._wiring.stages, self._wiring.channels, self._checkpoints)

    async def _watch(self) -> None:
        """Sample, and look out for circles and for standstill, every quarter of a second."""
        loop = asyncio.get_running_loop()
        watchdog = self._watchdog()
        while True:
            due = loop.time() + SAMPLE_EVERY
            await asyncio.sleep(SAMPLE_EVERY)
            self._measure(max(0.0, loop.time() - due))
            error = watchdog.deadlock()
            if error is not None:
                self._note_error(error)
                for stage in self._wiring.stages:
                    stage.cancel()
                return
            report = watchdog.stalled(self._clock.now(), self._stall_after)
            if report is not None:
                _log.warning("nothing has moved for %g s:\n%s", self._stall_after, report)
                self._tell(events.RunStalled(seconds=self._stall_after, report=report))

    def _settle_counts(self) -> None:
        for stage in self._wiring.stages:
            if not stage.over:
                stage.settle_counts()

    def _measure(self, lag: float) -> None:
        self._settle_counts()
        ledgers = [stage.ledger for stage in self._wiring.stages]
        progress = [ledger.progress for ledger in ledgers]
        self._sampler.sample(
            loop_lag=lag,
            in_flight=sum(ledger.in_flight for ledger in ledgers),
            queued=sum(channel.queued for channel in self._wiring.channels),
            received=sum(stage.ledger.received for stage in self._sources()),
            bytes_read=sum(one.done for one in progress if one is not None and one.unit == "bytes"),
            latency=self._durations.take_worst(),
        )

    # -- what stages tell -----------------------------------------------------------------------------------------

    def acknowledge(self, stage: Stage, marker: Barrier | Commit, parts: Mapping[str, Sequence[Any]]) -> None:
        """Take a stage's answer to a checkpoint."""
        self._checkpoints.acknowledge(stage, marker, parts)

    def checkpoint_failed(self, barrier: Barrier, error: OSError) -> None:
        """Give up a checkpoint for which a disk has no room."""
        self._checkpoints.fail(barrier, error)

    def probe_arrived(self, probe: LatencyProbe) -> None:
        """Take the time of a latency probe."""
        self._durations.add(perf_counter() - probe.born)

    def loop_held(self, stage: str, seconds: float, advice: str) -> None:
        """Warn that a user's function held the loop."""
        _log.warning("stage %s held the event loop for %.0f ms: %s", stage, seconds * 1e3, advice)
        self._tell(events.LoopHeld(stage=stage, seconds=seconds, advice=advice))

    def source_tells(self, event: events.Event) -> None:
        """Pass on what a source says."""
        self._tell(event)

    def _tell(self, event: events.Event) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except (KeyboardInterrupt, SystemExit):
            raise  # these are for whoever runs the loop
        except BaseException:
            _log.exception("on_event failed for %r", event)


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the loop that runs here; FlowError says what to do where there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise FlowError(
            "start(): no event loop is running here; use run_sync(), or call it in an async function"
        ) from None


def check_options(on_event: object, stall_after: object, max_stall: object) -> None:
    """Raise FlowError for an option of a run that cannot be meant."""
    if on_event is not None:
        require_plain(on_event, "on_event")
    seconds_of("stall_after", stall_after)
    seconds_of("max_stall", max_stall)
