"""What a run leaves behind: the figures, and a sentence that says what limited it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from streamflow.metrics.bottleneck import bottleneck
from streamflow.metrics.remembering import remembered
from streamflow.metrics.units import written
from streamflow.model.printable import printable
from streamflow.model.statistics import RunStatistics


@dataclass(frozen=True, slots=True)
class RunReport:
    """Hold the final statistics of a run; `state` is finished, drained, cancelled or failed, and `error` says why."""

    state: str
    statistics: RunStatistics
    error: str | None = None

    @property
    def elapsed(self) -> float:
        """Return the seconds from the opening of the first part to the closing of the last."""
        return self.statistics.elapsed

    @property
    def peak_rss(self) -> int:
        """Return the largest resident memory that was sampled, in bytes, of the whole process."""
        return self.statistics.peak_rss

    @property
    def bottleneck(self) -> str:
        """Return one sentence: which stage or edge limited the run, why, and what would help."""
        return bottleneck(self.statistics)

    @property
    def items_in(self) -> int:
        """Return how many items all sources have given."""
        return self.statistics.items_in

    @property
    def failed(self) -> int:
        """Return how many items failed, whatever was done about them."""
        return self.statistics.failed

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        found: dict[str, Any] = asdict(self)
        found["bottleneck"] = self.bottleneck
        return found

    def to_html(self, title: str = "streamflow run") -> str:
        """Return everything as one HTML page, which needs no other file, no script and no network."""
        from streamflow.metrics.page import page  # late: most runs are never looked at this way

        return page(
            title=title,
            state=self.state,
            bottleneck=self.bottleneck,
            error=self.error,
            statistics=self.statistics,
        )

    def __str__(self) -> str:
        rate = self.items_in / self.elapsed if self.elapsed else 0.0
        lines = [
            f"{self.state} after {self.elapsed:.2f} s: {self.items_in:,} items in ({rate:,.0f}/s), "
            f"{self.failed:,} failed, peak memory {self.peak_rss / 2**20:.0f} MiB",
        ]
        for stage in self.statistics.stages:
            lines.append(
                f"  {stage.name}: {stage.received:,} received, {stage.passed:,} passed, {stage.dropped:,} dropped, "
                f"{stage.failed:,} failed; busy {stage.busy:.2f} s, starved {stage.starved:.2f} s, "
                f"blocked {stage.blocked:.2f} s"
            )
            if stage.keys:
                lines.append(f"    state: {remembered(stage)}")
        latency = self.statistics.latency
        if latency.count:
            quantiles = (("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99))
            lines.append("  latency: " + ", ".join(f"{name} {seconds * 1e3:.2f} ms" for name, seconds in quantiles))
        lines += _checkpoints(self.statistics)
        lines += _places(self.statistics)
        lines += _memory(self.statistics)
        lines.append(f"  bottleneck: {self.bottleneck}")
        lines = [printable(line) for line in lines]
        if self.error is not None:
            lines += [printable(f"  failed: {self.error}", keep="\n\t").replace("\n", "\n    ")]
        return "\n".join(lines)


def _checkpoints(statistics: RunStatistics) -> list[str]:
    """Say where the run began, and how many checkpoints it has taken."""
    found = statistics.checkpoints
    if found is None:
        return []
    if found.already_done:
        return [
            f"  {found.path}: an earlier run had finished, after {found.resumed_at:,} items; there was nothing to do"
        ]
    words = [f"{found.saved:,} taken"]
    if found.resumed_from is not None:
        words.insert(0, f"resumed at {found.resumed_at:,} items (checkpoint {found.resumed_from:,})")
    if found.saved:
        words.append(f"the last (checkpoint {found.epoch:,}) of {written(found.bytes, 'bytes')}")
        words.append(f"written in {written(found.seconds, 'seconds')}")
    if found.failed:
        words.append(f"{found.failed:,} could not be kept")
    if statistics.promise:
        words.append(statistics.promise)
    pairs = statistics.promises if len(statistics.promises) > 1 else ()
    return [f"  checkpoints in {found.path}: {', '.join(words)}", *(f"    {pair}" for pair in pairs)]


def _places(statistics: RunStatistics) -> list[str]:
    """Say what befell workers, where something did."""
    lines = []
    for place in statistics.places:
        told = (
            (place.died, "died and replaced"),
            (place.timed_out, "of them killed for an item that took too long"),
            (place.recycled, "recycled"),
            (place.abandoned, "abandoned in a call that did not come back"),
        )
        words = [f"{count:,} {what}" for count, what in told if count]
        if place.crossed_bytes:
            words.append(f"{written(place.crossed_bytes, 'bytes')} through shared memory")
        if place.waits:
            words.append(f"which was exhausted {place.waits:,} times")
        if words:
            lines.append(f"  {place.name}: {', '.join(words)}")
    return lines


def _memory(statistics: RunStatistics) -> list[str]:
    """Say what pools gave, where there was a run to speak of, and how a memory limit was kept."""
    lines = [f"  {pool.name}: {pool.hits:,} used again, {pool.misses:,} made" for pool in statistics.pools if pool.hits]
    memory = statistics.memory
    if memory is not None:
        line = f"  memory limit: {written(memory.limit, 'bytes')}, peak {written(memory.peak, 'bytes')}"
        if memory.times_held:
            held = "once" if memory.times_held == 1 else f"{memory.times_held:,} times"
            line += f"; sources held {held}, {written(memory.seconds_held, 'seconds')} in all"
        if memory.let_through:
            line += f", {memory.let_through:,} batches let through alone"
        if memory.reclaimed:
            line += f"; {written(memory.reclaimed, 'bytes')} given back"
        lines.append(line)
    if statistics.allocator is not None:
        lines.append(f"  allocator: {statistics.allocator}")
    return lines
