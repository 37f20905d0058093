"""Keep one run below its memory limit: read, ask the governor, and do what it says."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter

from streamflow.channels.memory import Channel
from streamflow.engine.footprint import Footprint
from streamflow.engine.governor import WORTH, Governor, Reading, Step
from streamflow.engine.stage import WAITING, Stage
from streamflow.engine.stages.fused import FusedStage
from streamflow.engine.stages.source import SourceStage
from streamflow.engine.watchdog import Watchdog
from streamflow.files.threads import FileThread
from streamflow.memory.reclaiming import reclaim
from streamflow.model import events

log = logging.getLogger("streamflow.memory")

#: Seconds from one exact measurement to the next, near the limit and far from it.
MEASURE_NEAR, MEASURE_FAR = 0.25, 2.0
#: How many times as long as a measurement took passes until the next one.
MEASURE_RARELY = 20
#: Seconds that the end of a run gives a measurement or a trim which is under way.
GRACE = 2.0


class Governing:
    """Act for a governor in one run. What takes milliseconds is done on a thread; readings take microseconds."""

    def __init__(
        self,
        governor: Governor,
        stages: Sequence[Stage],
        channels: Sequence[Channel],
        tell: Callable[[events.Event], None],
        footprint: Footprint,
    ) -> None:
        self._governor = governor
        self._stages = stages
        self._sources = deque(stage for stage in stages if isinstance(stage, SourceStage))
        self._watchdog = Watchdog(stages, channels)
        self._tell = tell
        self._footprint = footprint
        self._measuring: asyncio.Future[float] | None = None
        self._measure_at = 0.0
        self._trimming: asyncio.Future[int] | None = None
        self._before_trim = 0

    async def run(self) -> None:
        """Govern until cancelled; leave no source held, and nothing open."""
        thread = FileThread("memory", grace=GRACE)
        try:
            while True:
                self._tick(thread)
                await asyncio.sleep(self._governor.pause)
        except Exception:
            log.exception("the memory limit is no longer kept: this is a mistake of streamflow, please report it")
        finally:
            for source in self._sources:
                source.let_go()
            self._governor.release(Reading(asyncio.get_running_loop().time(), self._footprint.now()))
            await thread.close_after(self._footprint.close, self._measuring, self._trimming)

    def _tick(self, thread: FileThread) -> None:
        now = asyncio.get_running_loop().time()
        self._take_measured(now)
        self._take_trimmed(now)
        held = self._governor.held
        reading = Reading(now, self._footprint.now(), held and self._moved(), held and self._settled())
        alive = any(not source.over for source in self._sources)
        self._act(self._governor.decide(reading) if alive else self._governor.release(reading), reading, thread)
        if self._measuring is None and now >= self._measure_at:
            self._measuring = thread.submit(self._measure)

    def _act(self, step: Step, reading: Reading, thread: FileThread) -> None:
        if step == "hold":
            for source in self._sources:
                source.hold()
            log.info("memory is at %d MiB of %d: sources are held", reading.bytes >> 20, self._governor.limit >> 20)
            self._tell(events.SourcesHeld(now=reading.bytes, limit=self._governor.limit))
        elif step == "let go":
            for source in self._sources:
                source.let_go()
            self._tell(events.SourcesLetGo(now=reading.bytes, seconds=self._governor.seconds_of_this_hold))
        elif step == "let one pass":
            self._let_one_pass()
        elif step in ("trim", "collect"):
            self._before_trim = reading.bytes
            self._trimming = thread.submit(_reclaim, step == "collect")

    def _let_one_pass(self) -> None:
        """Let the next source that can read one batch: in turn, since a zip may wait for any of them."""
        for _ in range(len(self._sources)):
            source = self._sources[0]
            self._sources.rotate(-1)
            if source.let_one_pass():
                self._governor.passed()
                return

    # -- what is seen ---------------------------------------------------------------------------------------------

    def _moved(self) -> bool:
        """Tell whether anything has moved, or will by itself: a throttle lets things pass when it is time."""
        return self._watchdog.moved() or any(stage.ledger.state == "throttling" for stage in self._alive())

    def _settled(self) -> bool:
        """Tell whether nothing is under way any more."""
        return all(self._waits(stage) for stage in self._alive())

    def _waits(self, stage: Stage) -> bool:
        if isinstance(stage, FusedStage):
            return stage.ledger.state in WAITING  # what is in its hands waits for room
        return stage.at_rest()

    def _alive(self) -> list[Stage]:
        return [stage for stage in self._stages if not stage.over]

    # -- what the thread does -------------------------------------------------------------------------------------

    def _measure(self) -> float:
        """Measure exactly; return the seconds it took."""
        began = perf_counter()
        self._footprint.measure()
        return perf_counter() - began

    def _take_measured(self, now: float) -> None:
        if self._measuring is None or not self._measuring.done():
            return
        took, self._measuring = self._measuring.result(), None
        near = self._governor.held or self._footprint.now() >= self._governor.low
        self._measure_at = now + max(MEASURE_NEAR if near else MEASURE_FAR, MEASURE_RARELY * took)

    def _take_trimmed(self, now: float) -> None:
        if self._trimming is None or not self._trimming.done():
            return
        self._trimming.result()
        self._trimming = None
        left = self._footprint.now()
        reclaimed = self._before_trim - left
        self._governor.trimmed(now, reclaimed)
        if reclaimed >= WORTH:
            self._tell(events.MemoryReclaimed(reclaimed=reclaimed, now=left))


def _reclaim(collect: bool) -> int:
    return reclaim(collect=collect)
