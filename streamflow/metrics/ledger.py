"""What one stage counts while it runs."""

from __future__ import annotations

from collections.abc import Mapping

from streamflow.model.statistics import Progress, StageStatistics


class Ledger:
    """Hold the moving figures of one stage; times in seconds.

    Whoever handles items adds to it once a batch. `passed` is counted by what leaves the stage, not worked out from the
    others, so that `StageStatistics.conserved` can be false.
    """

    __slots__ = (
        "abandoned",
        "blocked",
        "busy",
        "concurrency",
        "disk_bytes",
        "disk_seconds",
        "dropped",
        "drops",
        "emitted",
        "failed",
        "in_flight",
        "keys",
        "kind",
        "name",
        "operators",
        "passed",
        "place",
        "progress",
        "received",
        "restored",
        "retained",
        "retried",
        "starved",
        "state",
        "state_bytes",
    )

    def __init__(self, name: str, kind: str, operators: tuple[str, ...] = ()) -> None:
        self.name, self.kind, self.operators = name, kind, operators
        self.received = self.passed = self.dropped = self.failed = self.retained = 0
        self.restored = self.in_flight = self.abandoned = self.emitted = self.retried = 0
        self.busy = self.starved = self.blocked = self.disk_seconds = 0.0
        self.keys = self.state_bytes = self.disk_bytes = 0
        self.concurrency = 1
        self.state = "new"
        self.place = ""
        self.drops: Mapping[str, int] = {}
        self.progress: Progress | None = None

    def statistics(self) -> StageStatistics:
        """Return the figures as they are now, frozen."""
        return StageStatistics(
            name=self.name,
            kind=self.kind,
            received=self.received,
            passed=self.passed,
            dropped=self.dropped,
            failed=self.failed,
            restored=self.restored,
            retained=self.retained,
            in_flight=self.in_flight,
            abandoned=self.abandoned,
            emitted=self.emitted,
            retried=self.retried,
            busy=self.busy,
            starved=self.starved,
            blocked=self.blocked,
            concurrency=self.concurrency,
            state=self.state,
            operators=self.operators,
            place=self.place,
            drops=dict(self.drops),
            keys=self.keys,
            state_bytes=self.state_bytes,
            disk_bytes=self.disk_bytes,
            disk_seconds=self.disk_seconds,
            progress=self.progress,
        )
