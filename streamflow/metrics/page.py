"""A report as one HTML page that needs nothing else: no script, no file, no network. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from streamflow.metrics.chart import Chart, Point, Seen
from streamflow.metrics.drawing import drawing
from streamflow.metrics.markup import element, shortened, text
from streamflow.metrics.remembering import remembered
from streamflow.metrics.style import STYLE
from streamflow.metrics.units import Kind, share, written
from streamflow.model.statistics import EdgeStatistics, Latency, RunStatistics, StageStatistics

#: Characters of an error that are shown, and of a name in a table.
ERROR, NAME = 8_000, 120


def page(*, title: str, state: str, bottleneck: str, error: str | None, statistics: RunStatistics) -> str:
    """Return the page; it is well-formed XML, too, and whatever comes from the user is only ever text in it."""
    parts = [
        element(
            "header", element("h1", text(title) or "streamflow") + element("span", text(state), class_=_mood(state))
        ),
        _figures(statistics),
        element("p", element("b", "Bottleneck") + " " + text(bottleneck), class_="verdict"),
        _error(error),
        _checkpoints(statistics),
        _plan(statistics),
        _over_time(statistics),
    ]
    if statistics.stages:
        parts += [
            element("h2", "Failures") + _failures(statistics.stages),
            element("h2", "Stages") + _stages(statistics),
            element("h2", "Edges") + _edges(statistics),
        ]
    head = (
        '<meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'
        '<meta name="color-scheme" content="light dark"/>'
    ) + element("title", text(title) or "streamflow")
    body = element("main", "\n".join(filter(None, parts)))
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>\n<body>{body}</body></html>\n'


def _mood(state: str) -> str:
    return "state bad" if state in ("failed", "cancelled") else "state good"


def _error(error: str | None) -> str:
    if error is None:
        return ""
    return element(
        "section", element("h2", "Why it failed") + element("pre", text(shortened(error, ERROR))), class_="error"
    )


def _checkpoints(statistics: RunStatistics) -> str:
    """Say where the run began, what it has kept to go back to, and what that promises."""
    found = statistics.checkpoints
    if found is None:
        return ""
    if found.already_done:
        said = f"an earlier run had finished, after {found.resumed_at:,} items; there was nothing to do"
        return element("p", element("b", "Checkpoints") + " " + text(f"{found.path}: {said}"), class_="verdict")
    words = [f"in {found.path}: {found.saved:,} taken"]
    if found.resumed_from is not None:
        words.append(f"resumed at {found.resumed_at:,} items (checkpoint {found.resumed_from:,})")
    if found.saved:
        words.append(f"the last (checkpoint {found.epoch:,}) of {written(found.bytes, 'bytes')}")
        words.append(f"the longest took {written(found.longest, 'seconds')}")
    if found.failed:
        words.append(f"{found.failed:,} could not be kept")
    if statistics.promise:
        pairs = f" ({'; '.join(statistics.promises)})" if len(statistics.promises) > 1 else ""
        words.append(f"promised: {statistics.promise}{pairs}")
    return element("p", element("b", "Checkpoints") + " " + text("; ".join(words)), class_="verdict")


def _figures(statistics: RunStatistics) -> str:
    latency, elapsed = statistics.latency, statistics.elapsed
    items = statistics.items_in
    pace = written(_rate(items, elapsed), "items/s")
    figures = [("took", written(elapsed, "seconds"))]
    figures.append((f"items in, {pace}", f"{items:,}" if items < 1e10 else written(items, "items")))
    if statistics.bytes_in:
        pace = written(_rate(statistics.bytes_in, elapsed), "bytes/s")
        figures.append((f"read{_of_all(statistics)}, {pace}", written(statistics.bytes_in, "bytes")))
    figures += [("items failed", f"{statistics.failed:,}"), ("peak memory", written(statistics.peak_rss, "bytes"))]
    if statistics.memory is not None:
        held = written(statistics.memory.seconds_held, "seconds")
        figures.append((f"memory limit; sources held {held}", written(statistics.memory.limit, "bytes")))
    if latency.count:
        figures.append((f"latency p50; p99 {written(latency.p99, 'seconds')}", written(latency.p50, "seconds")))
    cells = (element("div", element("b", text(value)) + element("span", name)) for name, value in figures)
    return element("section", "".join(cells), class_="figures")


def _of_all(statistics: RunStatistics) -> str:
    """Say how much there was to read, where that is known and was not reached."""
    progress = [stage.progress for stage in statistics.stages if stage.progress is not None]
    totals = [one.total for one in progress if one.unit == "bytes"]
    whole = sum(total or 0 for total in totals)
    return f" of {written(whole, 'bytes')}" if None not in totals and whole > statistics.bytes_in else ""


def _rate(count: float, elapsed: float) -> float:
    return count / elapsed if elapsed > 0 else 0.0


def _plan(statistics: RunStatistics) -> str:
    if not statistics.stages:
        return element("p", "The run ended before its sources and sinks were open: there was nothing to measure.")
    drawn = drawing(statistics)
    if not drawn:
        return element("p", f"{len(statistics.stages):,} stages are too many to be drawn: see the tables.")
    keys = "".join(
        element("span", element("i", " ", class_=kind) + says)
        for kind, says in (
            ("busy", "busy: computing, or awaiting a function"),
            ("blocked", "blocked: what comes after it took no more"),
            ("starved", "starved: nothing to do"),
        )
    )
    return element("h2", "The plan") + element("p", keys, class_="keys") + element("div", drawn, class_="wide")


# -- over time ----------------------------------------------------------------------------------------------------


def _over_time(statistics: RunStatistics) -> str:
    if len(statistics.history) < 2:
        return ""
    figures = "".join(one.figure() for one in charts(statistics))
    return element("h2", "Over time") + element("div", figures, class_="charts")


def charts(statistics: RunStatistics) -> list[Chart]:
    """Return what is drawn over the time of the run."""
    history = statistics.history
    drawn: list[tuple[str, Kind, Sequence[Seen], str]] = [
        ("Throughput", "items/s", steps([(one.at, one.received) for one in history]), "items in per second")
    ]
    if statistics.bytes_in:
        drawn.append(("Read", "bytes/s", steps([(one.at, one.bytes_read) for one in history]), "bytes per second"))
    if statistics.latency.count:
        latencies = [(one.at, one.latency) for one in history]
        drawn.append(("Latency", "seconds", latencies, _quantiles(statistics.latency)))
    if statistics.edges:
        drawn.append(("Queue depth", "items", [(one.at, one.queued) for one in history], "items on all edges"))
    drawn.append(("Memory", "bytes", [(one.at, one.rss) for one in history], "resident, of the whole process"))
    processor = [(one.at, one.cpu_percent) for one in history[1:]]  # the first sample has no past
    if any(share for _, share in processor):
        drawn.append(("Processor", "per cent", processor, "of one core"))
    return [
        Chart(title=title, kind=kind, points=points, elapsed=statistics.elapsed, note=note)
        for title, kind, points, note in drawn
    ]


def _quantiles(latency: Latency) -> str:
    p50, p99 = written(latency.p50, "seconds"), written(latency.p99, "seconds")
    return f"longest from source to sink; of all probes p50 {p50}, p99 {p99}"


def steps(counted: Sequence[Point]) -> list[Point]:
    """Return the growth per second, at both ends of each stretch of time that it is the mean of.

    A moment that came right after another is taken together with it.

    >>> steps([(0.0, 0), (1.0, 10), (2.0, 40), (2.25, 45)])
    [(0.0, 10.0), (1.0, 10.0), (1.0, 28.0), (2.25, 28.0)]
    """
    if not counted:
        return []
    shortest = (counted[-1][0] - counted[0][0]) / len(counted) / 2
    kept = [counted[0]]
    for at, count in counted[1:]:
        if len(kept) > 1 and at - kept[-1][0] < shortest:
            kept.pop()
        if at - kept[-1][0] > 1e-6:
            kept.append((at, count))
    found = []
    for (since, before), (until, after) in pairwise(kept):
        rate = (after - before) / (until - since)
        found += [(since, rate), (until, rate)]
    return found


# -- tables -------------------------------------------------------------------------------------------------------


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the first cell of a row is its name."""
    head = "".join(element("th", one, scope="col") for one in heads)
    lines = []
    for name, *cells in rows:
        named = element("th", text(shortened(name, NAME)), scope="row", title=name)
        lines.append(element("tr", named + "".join(element("td", text(cell)) for cell in cells)))
    table = element("thead", element("tr", head)) + element("tbody", "".join(lines))
    return element("div", element("table", table), class_="wide")


def _stages(statistics: RunStatistics) -> str:
    counts = [
        count
        for count in ("received", "passed", "dropped", "failed", "retried", "abandoned")
        if count in ("received", "passed") or any(getattr(stage, count) for stage in statistics.stages)
    ]
    times = ("busy", "starved", "blocked")
    keys = ("remembered",) if any(stage.keys for stage in statistics.stages) else ()
    rows = [
        (
            stage.name,
            stage.kind + (f" × {stage.concurrency:,}" if stage.concurrency > 1 else ""),
            stage.state,
            *(f"{getattr(stage, count):,}" for count in counts),
            *(_time(getattr(stage, time), statistics.elapsed) for time in times),
            *(remembered(stage) or "–" for _ in keys),
        )
        for stage in statistics.stages
    ]
    return _table(("stage", "kind", "state", *counts, *times, *keys), rows)


def _time(seconds: float, elapsed: float) -> str:
    part = share(seconds, elapsed)
    return f"{written(seconds, 'seconds')}, {100 * part:.0f} %" if part >= 0.005 else "–"


def _edges(statistics: RunStatistics) -> str:
    if not statistics.edges:
        return element("p", "There were none: everything ran in one stage.")
    heads = ("edge", "sent", "received", "overflowed", "abandoned", "fullest", "room for", "blocked")
    return _table(heads, [_edge(edge, statistics.elapsed) for edge in statistics.edges])


def _edge(edge: EdgeStatistics, elapsed: float) -> tuple[str, ...]:
    counts = (edge.sent, edge.received, edge.overflowed, edge.abandoned, edge.high_water)
    room = f"{edge.max_items:,} items, {written(edge.max_bytes, 'bytes')}"
    if edge.max_spilled_bytes:
        most, cap = written(edge.spilled_high_water, "bytes"), written(edge.max_spilled_bytes, "bytes")
        room += f"; on the disk {cap}, of which {most} were used at most"
    return (edge.name, *(f"{count:,}" for count in counts), room, _time(edge.blocked, elapsed))


def _failures(stages: Sequence[StageStatistics]) -> str:
    rows = [
        (stage.name, f"{stage.failed:,}", f"{stage.retried:,}") for stage in stages if stage.failed or stage.retried
    ]
    dropped = [
        (f"{stage.name}: {operator}", f"{count:,}")
        for stage in stages
        for operator, count in stage.drops.items()
        if count
    ]
    said = _table(("stage", "items that failed", "retries"), rows) if rows else element("p", "No item failed.")
    return said + (_table(("dropped by", "items"), dropped) if dropped else "")
