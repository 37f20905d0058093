"""The words in which a live run is told, out of its figures now and a moment earlier. Pure."""

from __future__ import annotations

from streamflow.metrics.units import clock, share, written
from streamflow.model.printable import printable
from streamflow.model.statistics import EdgeStatistics, Progress, RunStatistics, StageStatistics

#: Cells of a bar, and edges that are shown.
BAR, EDGES = 24, 6
_EIGHTHS = " ▏▎▍▌▋▊▉"


def lines(now: RunStatistics, earlier: RunStatistics | None = None) -> list[str]:
    """Return what a terminal shows: how far, how fast, what is busy, and how full each edge is."""
    found = [_how_far(now, earlier), _figures(now, earlier), *_busiest(now, earlier)]
    fullest = sorted(now.edges, key=fill, reverse=True)[:EDGES]
    shown = [edge for edge in now.edges if edge in fullest]
    found += [_edge(edge) for edge in shown]
    if len(now.edges) > len(shown):
        found.append(f"  and {len(now.edges) - len(shown):,} edges that are less full")
    return [printable(line) for line in found]


def in_one_line(now: RunStatistics) -> str:
    """Return items, bytes, failures and the busiest stage, over all of the run so far."""
    return printable("; ".join([_figures(now, None), *_busiest(now, None)]))


def _busiest(now: RunStatistics, earlier: RunStatistics | None) -> list[str]:
    found = busiest_stage(now, earlier)
    return [] if found is None else [f"busiest: {found[0]} ({100 * found[1]:.0f} %)"]


def _figures(now: RunStatistics, earlier: RunStatistics | None) -> str:
    seconds = now.elapsed - (earlier.elapsed if earlier is not None else 0.0)
    items = now.items_in - (earlier.items_in if earlier is not None else 0)
    words = [f"{now.items_in:,} items, {written(max(items, 0) / seconds if seconds > 0 else 0.0, 'items/s')}"]
    if now.bytes_in:
        words.append(_bytes(now, earlier, seconds))
    words.append(f"{now.failed:,} failed")
    if now.checkpoints is not None and now.checkpoints.age is not None:
        words.append(f"checkpoint {now.checkpoints.epoch:,} {now.checkpoints.age:.1f} s ago")
    return "; ".join(words)


def _bytes(now: RunStatistics, earlier: RunStatistics | None, seconds: float) -> str:
    """Return the bytes read, of how many if that is known, and their pace."""
    progress = [stage.progress for stage in _sources(now)]
    totals = [one.total for one in progress if one is not None and one.unit == "bytes"]
    whole = "" if None in totals else f" of {written(max(sum(map(int, filter(None, totals))), now.bytes_in), 'bytes')}"
    read = now.bytes_in - (earlier.bytes_in if earlier is not None else 0)
    pace = f", {written(read / seconds, 'bytes/s')}" if seconds > 0 and read >= 0 else ""
    return f"{written(now.bytes_in, 'bytes')}{whole}{pace}"


def _how_far(now: RunStatistics, earlier: RunStatistics | None) -> str:
    done, left = done_share(now), seconds_left(now, earlier)
    bar = f"  {_bar(done, BAR)} {100 * done:3.0f} %" if done is not None else ""
    rest = f", about {clock(left + 0.5)} left" if left is not None else ""
    return f"{now.state}{bar}  {clock(now.elapsed)}{rest}"


def _sources(now: RunStatistics) -> list[StageStatistics]:
    return [stage for stage in now.stages if stage.kind == "source"]


def _ended(stage: StageStatistics) -> bool:
    return stage.state in ("done", "failed")


def done_share(now: RunStatistics) -> float | None:
    """Return which part of all sources was read; None if one of them cannot tell, or not in the unit of the others."""
    sources = [stage.progress for stage in _sources(now)]
    known = [one for one in sources if one is not None and one.total is not None]
    if not sources or len(known) < len(sources) or len({one.unit for one in known}) > 1:
        return None
    whole = sum(max(one.total or 0, one.done) for one in known)
    return share(sum(one.done for one in known), whole) if whole else None


def seconds_left(now: RunStatistics, earlier: RunStatistics | None) -> float | None:
    """Return when the last source will have been read at the pace since `earlier`; None if nobody can tell.

    What is read must still flow out, which no source knows of: with nothing left to read, nothing is promised.
    """
    if earlier is None or now.state != "running":
        return None
    left = []
    for stage in _sources(now):
        if _ended(stage):
            continue
        seconds = _left(stage.progress, _before(earlier, stage.name), now.elapsed - earlier.elapsed)
        if seconds is None:
            return None
        left.append(seconds)
    return max(left, default=0.0) or None


def _before(earlier: RunStatistics, name: str) -> int:
    progress = next((stage.progress for stage in earlier.stages if stage.name == name), None)
    return progress.done if progress is not None else 0


def _left(progress: Progress | None, before: int, seconds: float) -> float | None:
    if progress is None or progress.total is None:
        return None
    if progress.done >= progress.total:
        return 0.0
    pace = (progress.done - before) / seconds if seconds > 0 else 0.0
    return (progress.total - progress.done) / pace if pace > 0 else None


def busiest_stage(now: RunStatistics, earlier: RunStatistics | None) -> tuple[str, float] | None:
    """Return the name of the stage that was busy for most of the time since `earlier`, and its share of it."""
    before = {stage.name: stage.busy for stage in earlier.stages} if earlier is not None else {}
    seconds = now.elapsed - (earlier.elapsed if earlier is not None else 0.0)
    shares = [(stage.name, share(stage.busy - before.get(stage.name, 0.0), seconds)) for stage in now.stages]
    name, most = max(shares, key=lambda one: one[1], default=("", 0.0))
    return (name, most) if most >= 0.005 else None


def fill(edge: EdgeStatistics) -> float:
    """Return how full an edge is, by items or by bytes, whichever is nearer to its bound; on the disk if it spills."""
    if edge.spilled:
        return share(edge.spilled_bytes, edge.max_spilled_bytes)
    return max(share(edge.queued, edge.max_items), share(edge.queued_bytes, edge.max_bytes))


def _edge(edge: EdgeStatistics) -> str:
    by_bytes = share(edge.queued_bytes, edge.max_bytes) > share(edge.queued, edge.max_items)
    held = f"{edge.queued:,} of {edge.max_items:,} items"
    if edge.spilled:
        held = (
            f"{edge.queued:,} items, {written(edge.spilled_bytes, 'bytes')} of "
            f"{written(edge.max_spilled_bytes, 'bytes')} on the disk"
        )
    elif by_bytes:
        held = f"{written(edge.queued_bytes, 'bytes')} of {written(edge.max_bytes, 'bytes')}"
    return f"  {_bar(fill(edge), 8)} {held}  {edge.name}"


def _bar(part: float, cells: int) -> str:
    """Return a bar of `cells` characters, full for 1.

    >>> _bar(0.3125, 4)
    '▕█▎  ▏'
    """
    eighths = int(part * cells * 8)
    whole, rest = divmod(eighths, 8)
    return f"▕{('█' * whole + (_EIGHTHS[rest] if rest else '')).ljust(cells)}▏"
