"""A report as one HTML page that needs nothing else: no script, no file, no network. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamflow.metrics.chart import Chart, Point
from streamflow.metrics.drawing import drawing
from streamflow.metrics.markup import element, shortened, text
from streamflow.metrics.style import STYLE
from streamflow.metrics.units import share, written
from streamflow.model.statistics import EdgeStatistics, RunStatistics, Sample, StageStatistics

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
        _plan(statistics),
        element("h2", "Over time")
        + element("div", "".join(one.figure() for one in charts(statistics)), class_="charts"),
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


def _figures(statistics: RunStatistics) -> str:
    latency, elapsed = statistics.latency, statistics.elapsed
    figures = [
        ("took", written(elapsed, "seconds")),
        ("items in", f"{statistics.items_in:,}"),
        ("items in", written(_rate(statistics.items_in, elapsed), "items/s")),
    ]
    if statistics.bytes_in:
        figures.append(("read", written(statistics.bytes_in, "bytes")))
        figures.append(("read", written(_rate(statistics.bytes_in, elapsed), "bytes/s")))
    figures += [("failed", f"{statistics.failed:,}"), ("peak memory", written(statistics.peak_rss, "bytes"))]
    if latency.count:
        both = f"{written(latency.p50, 'seconds')} / {written(latency.p99, 'seconds')}"
        figures.append(("latency p50 / p99", both))
    cells = (element("div", element("b", text(value)) + element("span", name)) for name, value in figures)
    return element("section", "".join(cells), class_="figures")


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


def charts(statistics: RunStatistics) -> list[Chart]:
    """Return what is drawn over the time of the run."""
    history, elapsed, latency = statistics.history, statistics.elapsed, statistics.latency
    received = rates([(sample.at, sample.received) for sample in history])
    found = [Chart(title="Throughput", kind="items/s", points=received, elapsed=elapsed, note="items in per second")]
    if statistics.bytes_in:
        read = rates([(sample.at, sample.bytes_read) for sample in history])
        found.append(Chart(title="Read", kind="bytes/s", points=read, elapsed=elapsed, note="bytes per second"))
    p50, p99 = written(latency.p50, "seconds"), written(latency.p99, "seconds")
    found += [
        Chart(
            title="Latency",
            kind="seconds",
            points=[(sample.at, sample.latency) for sample in history if sample.latency is not None],
            elapsed=elapsed,
            note=f"longest from source to sink; p50 {p50}, p99 {p99} of {latency.count:,} probes",
        ),
        Chart(
            title="Queue depth", kind="items", points=_of(history, "queued"), elapsed=elapsed, note="items on all edges"
        ),
        Chart(
            title="Memory", kind="bytes", points=_of(history, "rss"), elapsed=elapsed, note="resident, whole process"
        ),
        Chart(
            title="Processor", kind="per cent", points=_of(history, "cpu_percent"), elapsed=elapsed, note="of one core"
        ),
    ]
    return found


def _of(history: Sequence[Sample], figure: str) -> list[Point]:
    return [(sample.at, getattr(sample, figure)) for sample in history]


def rates(counted: Sequence[Point]) -> list[Point]:
    """Return the growth per second up to each moment; one that came right after another is taken together with it.

    >>> rates([(0.0, 0), (1.0, 10), (2.0, 40), (2.001, 41)])
    [(1.0, 10.0), (2.001, 30.969030969030968)]
    """
    if len(counted) < 2:
        return []
    shortest = (counted[-1][0] - counted[0][0]) / len(counted) / 2
    kept = [counted[0]]
    for at, count in counted[1:]:
        if len(kept) > 1 and at - kept[-1][0] < shortest:
            kept.pop()
        if at > kept[-1][0]:
            kept.append((at, count))
    return [(kept[n][0], (kept[n][1] - kept[n - 1][1]) / (kept[n][0] - kept[n - 1][0])) for n in range(1, len(kept))]


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
    heads = ("stage", "kind", "state", "received", "passed", "dropped", "failed", "retried", "abandoned")
    rows = [
        (
            stage.name,
            stage.kind + (f" × {stage.concurrency:,}" if stage.concurrency > 1 else ""),
            stage.state,
            *(
                f"{count:,}"
                for count in (stage.received, stage.passed, stage.dropped, stage.failed, stage.retried, stage.abandoned)
            ),
            *(_time(seconds, statistics.elapsed) for seconds in (stage.busy, stage.starved, stage.blocked)),
        )
        for stage in statistics.stages
    ]
    return _table((*heads, "busy", "starved", "blocked"), rows) if rows else element("p", "There were none.")


def _time(seconds: float, elapsed: float) -> str:
    part = share(seconds, elapsed)
    return f"{written(seconds, 'seconds')} ({100 * part:.0f} %)" if part >= 0.005 else "–"


def _edges(statistics: RunStatistics) -> str:
    if not statistics.edges:
        return element("p", "There were none: everything ran in one stage.")
    heads = ("edge", "sent", "received", "overflowed", "abandoned", "fullest", "room for", "blocked")
    return _table(heads, [_edge(edge, statistics.elapsed) for edge in statistics.edges])


def _edge(edge: EdgeStatistics, elapsed: float) -> tuple[str, ...]:
    counts = (edge.sent, edge.received, edge.overflowed, edge.abandoned, edge.high_water)
    room = f"{edge.max_items:,} items, {written(edge.max_bytes, 'bytes')}"
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
