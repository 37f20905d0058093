"""The plan of a run as SVG: a box for each stage, warm where it was busy, an edge red where it was full. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from streamflow.metrics.layout import Layout, laid_out
from streamflow.metrics.markup import element, shortened, text
from streamflow.metrics.units import share, written
from streamflow.model.statistics import EdgeStatistics, RunStatistics, StageStatistics

COLUMN, BOX, HEIGHT, GAP, EDGE = 340, 312, 92, 62, 8
#: How small a wide drawing may get before it is scrolled.
SHRUNK = 0.75
#: Characters that fit a line of a box, and the lines that its name may take.
LINE, LINES = 38, 2
#: Stages from which on a drawing shows nothing any more.
MOST = 150

Point = tuple[float, float]


def drawing(statistics: RunStatistics) -> str:
    """Return the drawing, or nothing for a run that had no stages, or too many to be looked at."""
    stages = statistics.stages
    names = [stage.name for stage in stages]
    edges = [edge for edge in statistics.edges if edge.producer in names and edge.consumer in names]
    if not 0 < len(stages) <= MOST:
        return ""
    layout = laid_out(names, [(edge.producer, edge.consumer) for edge in edges])
    ways = _ways(layout, edges)
    width, height = layout.columns * COLUMN + 2 * EDGE, layout.rows * (HEIGHT + GAP) - GAP + 2 * EDGE
    parts = [_way(way, share(edge.blocked, statistics.elapsed)) for edge, way in zip(edges, ways, strict=True)]
    parts += [_box(stage, layout.boxes[stage.name], statistics.elapsed) for stage in stages]
    parts += [_label(edge, way, edges, statistics.elapsed) for edge, way in zip(edges, ways, strict=True)]
    return element(
        "svg",
        "".join(parts),
        class_="plan",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        style=f"min-width: {SHRUNK * width:.0f}px",
        role="img",
        aria_label="The plan: " + ", ".join(edge.name for edge in edges or stages),
    )


def _top(row: int) -> float:
    return EDGE + row * (HEIGHT + GAP)


# -- boxes --------------------------------------------------------------------------------------------------------


def _box(stage: StageStatistics, place: tuple[float, int], elapsed: float) -> str:
    x, y = EDGE + place[0] * COLUMN - BOX / 2, _top(place[1])
    shares = shares_of(stage, elapsed)
    outline = {"x": x, "y": y, "width": BOX, "height": HEIGHT, "rx": 8}
    parts = [
        element("title", text(stage.name)),
        element("rect", class_="box", **outline),
        element("rect", class_="heat", fill_opacity=0.55 * shares["busy"], **outline),
    ]
    lines = wrapped(stage.name)
    for k, line in enumerate(lines):
        at = y + (30 if len(lines) == 1 else 21) + 17 * k
        parts.append(element("text", text(line), class_="name", x=x + 12, y=at))
    parts.append(element("text", text(_counted(stage)), class_="small", x=x + 12, y=y + 58))
    parts.append(_bar(shares, x + 12, y + 68, BOX - 110))
    busiest = max(shares, key=lambda kind: shares[kind])
    said = f"{busiest} {100 * shares[busiest]:.0f} %" if shares[busiest] >= 0.005 else "idle"
    parts.append(element("text", said, class_="small up", x=x + BOX - 12, y=y + 78))
    return element("g", "".join(parts))


def shares_of(stage: StageStatistics, elapsed: float) -> dict[str, float]:
    """Return which part of the time the stage was busy, blocked and starved; together they are 1 at most."""
    found = {kind: share(getattr(stage, kind), elapsed) for kind in ("busy", "blocked", "starved")}
    whole = max(sum(found.values()), 1.0)
    return {kind: part / whole for kind, part in found.items()}


def _counted(stage: StageStatistics) -> str:
    words = [stage.kind, f"{written(stage.received, 'items')} in"]
    words += [f"{written(stage.dropped, 'items')} dropped"] if stage.dropped else []
    words += [f"{written(stage.failed, 'items')} failed"] if stage.failed else []
    return " · ".join(words)


def _bar(shares: dict[str, float], x: float, y: float, width: float) -> str:
    parts = [element("rect", class_="rest", x=x, y=y, width=width, height=10, rx=3)]
    for kind, part in shares.items():
        if part > 0:
            parts.append(element("rect", class_=kind, x=x, y=y, width=width * part, height=10))
            x += width * part
    return "".join(parts)


def wrapped(name: str) -> list[str]:
    """Return the lines of a name, broken between words, shortened to what a box holds.

    >>> wrapped("in.jsonl → parse")
    ['in.jsonl → parse']
    """
    lines = wrap(name, LINE, break_on_hyphens=False) or [name]
    if len(lines) > LINES:
        lines[LINES - 1 :] = [" ".join(lines[LINES - 1 :])]
    return [shortened(line, LINE) for line in lines]


# -- edges --------------------------------------------------------------------------------------------------------


def _ways(layout: Layout, edges: Sequence[EdgeStatistics]) -> list[list[Point]]:
    """Return the points of each edge: where it leaves its box, enters and leaves each row it passes, and ends."""
    ways: list[list[Point]] = []
    for k, path in enumerate(layout.edges):
        points = [(EDGE + x * COLUMN, _top(row)) for x, row in path]
        first, last = points[0], points[-1]
        way = [(first[0] + _port(layout, edges, k, "producer"), first[1] + HEIGHT)]
        for x, y in points[1:-1]:
            way += [(x, y), (x, y + HEIGHT)]
        ways.append([*way, (last[0] + _port(layout, edges, k, "consumer"), last[1])])
    return ways


def _port(layout: Layout, edges: Sequence[EdgeStatistics], k: int, end: str) -> float:
    """Return how far from the middle of its box an edge begins or ends: those of one box stand side by side."""
    here = [n for n, edge in enumerate(edges) if getattr(edge, end) == getattr(edges[k], end)]
    beside = 1 if end == "producer" else -2
    here.sort(key=lambda n: (layout.edges[n][beside][0], n))
    return (here.index(k) - (len(here) - 1) / 2) * min(110.0, (BOX - 40) / len(here))


def _way(way: Sequence[Point], full: float) -> str:
    path = f"M{way[0][0]:.1f} {way[0][1]:.1f}"
    for n in range(1, len(way)):
        (x, y), (to, down) = way[n - 1], way[n]
        middle = (y + down) / 2
        path += f" C{x:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {down:.1f}"
    x, y = way[-1]
    head = f"{x - 5:.1f},{y - 8:.1f} {x + 5:.1f},{y - 8:.1f} {x:.1f},{y:.1f}"
    parts = [element("path", class_="edge", d=path), element("polygon", class_="head", points=head)]
    if full >= 0.005:
        parts.append(element("path", class_="full", d=path, stroke_opacity=full, stroke_width=2 + 4 * full))
        parts.append(element("polygon", class_="fullhead", points=head, fill_opacity=full))
    return "".join(parts)


def _label(edge: EdgeStatistics, way: Sequence[Point], edges: Sequence[EdgeStatistics], elapsed: float) -> str:
    """Return what went over the edge, where no other one is: beside a box that it passes, or at one of its ends."""
    full = share(edge.blocked, elapsed)
    words = [f"{written(edge.sent, 'items')} items"] + [f"full {100 * full:.0f} %"] * (full >= 0.005)
    if len(way) > 2:
        x, y = way[1][0] + 9, (way[1][1] + way[2][1]) / 2 + 4
        lines = [element("text", text(word), class_="label", x=x, y=y + 15 * k) for k, word in enumerate(words)]
        return element("g", element("title", text(edge.name)) + "".join(lines))
    x, y, before = _beside(edge, way, edges)
    label = element("title", text(edge.name)) + text(", ".join(words))
    return element("text", label, class_="label up" if before else "label", x=x - 9 if before else x + 9, y=y + 4)


def _beside(edge: EdgeStatistics, way: Sequence[Point], edges: Sequence[EdgeStatistics]) -> tuple[float, float, bool]:
    """Return where the label of an edge stands, and whether it stands before this place: away from the bend."""
    many_out = sum(other.producer == edge.producer for other in edges) > 1
    many_in = sum(other.consumer == edge.consumer for other in edges) > 1
    (x, y), (to, down) = way
    if many_out and not many_in:
        return to, y + 0.72 * (down - y), to < x
    if many_in and not many_out:
        return x, y + 0.28 * (down - y), to > x
    # Edges that cross each other have their labels at different heights.
    at = 0.33 if to > x + 40 else 0.67 if to < x - 40 else 0.5
    return x + (to - x) * (2 * at - 0.5), y + (down - y) * at, to < x - 40
