"""Look at a run from outside: is it moving, and if not, who waits for whom."""

from __future__ import annotations

import asyncio
import linecache
from collections.abc import Sequence
from typing import Any

from streamflow.channels.memory import Channel
from streamflow.engine.checkpointing import Checkpointing
from streamflow.engine.stage import Stage
from streamflow.engine.stages.fan_in import ConcatStage
from streamflow.engine.stages.source import SourceStage
from streamflow.engine.waiting import circle_of_waits
from streamflow.model.errors import FlowDeadlock


class Watchdog:
    """Compare what it sees with what it saw."""

    def __init__(
        self, stages: Sequence[Stage], channels: Sequence[Channel], checkpoints: Checkpointing | None = None
    ) -> None:
        self._stages = stages
        self._channels = channels
        self._checkpoints = checkpoints
        self._seen: tuple[int, ...] = ()
        self._suspected: tuple[list[str], tuple[int, ...]] = ([], ())
        self._still_since: float | None = None
        self._told = False

    def stalled(self, now: float, after: float) -> str | None:
        """Describe a run where data waits and nothing has moved for `after` seconds; None otherwise, and when told."""
        if self.moved() or not self.waiting() or self._still_since is None:
            self._still_since, self._told = now, False
        if self._told or now - self._still_since < after:
            return None
        self._told = True
        return self.describe()

    def moved(self) -> bool:
        """Tell whether anything was received or handed on since the last call."""
        before, self._seen = self._seen, self._figures()
        return before != self._seen

    def _figures(self) -> tuple[int, ...]:
        seen = [channel.received for channel in self._channels]
        for stage in self._stages:
            ledger = stage.ledger
            seen += [ledger.received, ledger.passed, ledger.emitted, ledger.dropped, ledger.failed, ledger.retried]
        return tuple(seen)

    def waiting(self) -> bool:
        """Tell whether there is data in the run, queued or in a stage's hands, which nobody holds back on purpose."""
        if any(stage.ledger.state == "throttling" for stage in self._alive()):
            return False
        queued = any(channel.queued or channel.sending for channel in self._channels)
        return queued or any(stage.ledger.in_flight for stage in self._alive())

    def deadlock(self) -> FlowDeadlock | None:
        """Return an error if stages wait in the same circle as when last asked, and nothing has moved since."""
        waits, free = self._waits()
        circle = circle_of_waits(waits, free)
        suspected = (circle, self._figures())
        confirmed = circle and suspected == self._suspected
        self._suspected = suspected
        if not confirmed:
            return None
        return FlowDeadlock(f"stages wait for each other in a circle ({' → '.join(circle)}):\n{self.describe()}")

    def _waits(self) -> tuple[dict[str, set[str]], set[str]]:
        producer = {id(channel): stage.name for stage in self._stages for channel in stage.outlet.channels}
        producer |= {id(channel): stage.name for stage in self._stages for channel in stage.letters.values()}
        consumer = {id(channel): stage.name for stage in self._stages for channel in stage.inputs}
        waits: dict[str, set[str]] = {}
        free: set[str] = set()
        for stage in self._alive():
            others = {consumer[id(channel)] for channel in stage.waits_for() if channel.sending}
            others |= {
                producer[id(channel)]
                for channel in stage.waits_for()
                if not channel.sending and id(channel) in producer
            }
            others |= self._inbox_readers(stage)
            waits[stage.name] = others
            if not others:
                free.add(stage.name)
        for stage in self._alive():
            # A source that a concat has shut waits for it, whatever else it feeds.
            for source in stage.shut_sources() if isinstance(stage, ConcatStage) else ():
                if source.name in waits:
                    waits[source.name].add(stage.name)
                    free.discard(source.name)
        ended = {stage.name for stage in self._stages} - set(waits)
        return waits, free | ended

    def _inbox_readers(self, stage: Stage) -> set[str]:
        """Return the stages that read an inbox into which this stage's function is trying to send."""
        found = set()
        tasks = set(stage.tasks())
        for reader in self._stages:
            sending = tasks.intersection(getattr(reader.planned.source, "waiting_senders", ()))
            # A stage with other calls under way may still move when one of them returns.
            if isinstance(reader, SourceStage) and sending and len(sending) >= stage.calls_under_way:
                found.add(reader.name)
        return found

    def _alive(self) -> list[Stage]:
        return [stage for stage in self._stages if stage.task is not None and not stage.task.done()]

    def describe(self) -> str:
        """Return what a checkpoint waits for, the edges that hold data, and each living stage's state and stack."""
        waiting = self._checkpoints.waiting if self._checkpoints is not None else None
        lines = [waiting.described(asyncio.get_running_loop().time())] if waiting is not None else []
        lines += [
            f"edge {channel.name!r}: {channel.queued:,} of {channel.max_items:,} items"
            + (", its sender waits for room" if channel.sending else "")
            for channel in self._channels
            if channel.queued or channel.sending
        ]
        for stage in self._alive():
            lines.append(f"stage {stage.name!r}: {stage.ledger.state}, {stage.ledger.in_flight:,} items under way")
            for task in stage.tasks():
                lines.append(_stack(task))
        return "\n".join(lines) or "no stage is running: its sources and sinks are being opened or closed"


def _stack(task: asyncio.Task[None]) -> str:
    """Return where a task stands: every await from the stage's own down to the one that waits."""
    lines = [f"    {task.get_name()}:"]
    here: Any = task.get_coro()
    while here is not None:
        kind = next((kind for kind in ("cr", "gi", "ag") if hasattr(here, f"{kind}_frame")), None)
        if kind is None:
            break  # a future, or something of C: nothing to be seen inside
        frame = getattr(here, f"{kind}_frame")
        if frame is not None:
            code = frame.f_code
            lines.append(f'      File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}')
            source = linecache.getline(code.co_filename, frame.f_lineno).strip()
            lines += [f"        {source}"] * bool(source)
        here = getattr(here, f"{kind}_await", None) or getattr(here, "gi_yieldfrom", None)
    return "\n".join(lines)
