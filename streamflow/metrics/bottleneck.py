"""Which stage or edge a run waits for, in one sentence that says why and what would help. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from streamflow.metrics.units import share, written
from streamflow.model.statistics import EdgeStatistics, RunStatistics, StageStatistics

#: Shares of the elapsed time below which nothing is called a bottleneck.
NOTABLE = 0.15
#: Stages that await the user's functions.
AWAITING = ("concurrent", "async expand", "process")
#: Per cent of a core from which on a run counts as computing all the time.
CPU_BOUND = 85.0
#: Per cent of a core up to which a function that is at work waits rather than computes.
IDLE = 50.0
#: And up to which it counts as computing on one core only, as threads do that hold the GIL.
ONE_CORE = 120.0
#: Seconds that crossing to a worker process and back costs an item, and those an item must take to be worth it.
CROSSING = 2e-6
WORTH_CROSSING = 5e-6
#: How many times as fast a run must become for another place to be proposed.
WORTH_MOVING = 1.15
#: What a function that may be moved is called in a stage; what a user calls by a name of his own is not recognised.
MOVABLE = ("map(", "filter(", "tap(")


def bottleneck(statistics: RunStatistics) -> str:
    """Name what limited (or limits) the run."""
    if not statistics.stages or statistics.elapsed <= 0:
        return "nothing has run yet"
    return _limiting(statistics) + _held(statistics)


def _limiting(statistics: RunStatistics) -> str:
    elapsed = statistics.elapsed
    # A dead-letter sink or an idle branch never limits anything: look at those that had something to do.
    stages = [stage for stage in statistics.stages if stage.received]
    if not stages:
        return "no item has arrived yet: the sources have given nothing"
    # While the processor is busy all the time, a call that is under way mostly waits for its turn on the loop.
    cpu, cores = _cpu(statistics), statistics.cores
    computing = cpu > CPU_BOUND
    busiest, working = partial(_busiest, cores=cores, cpu=cpu), partial(_working, cores=cores, cpu=cpu)
    waiting = (_saturated, _throttled, _fetching, _crossing, working, _waiting_source, _slow_sink, busiest)
    for judge in (_fetching, _crossing, busiest) if computing else waiting:
        verdict = judge(stages, elapsed)
        if verdict:
            return verdict if computing else verdict + _full_edge(statistics.edges)
    return "nothing was saturated: the run had little to do for its time"


def _held(statistics: RunStatistics) -> str:
    memory, elapsed = statistics.memory, statistics.elapsed
    if memory is None or memory.seconds_held / elapsed < NOTABLE:
        return ""
    return (
        f"; memory limit: sources were held for {written(memory.seconds_held, 'seconds')}, "
        f"{_share(memory.seconds_held, elapsed)} of the time, at {written(memory.limit, 'bytes')}"
    )


def _cpu(statistics: RunStatistics) -> float:
    """Return the mean per cent of one core that the process used, leaving out the first sample, which has no past."""
    samples = [sample.cpu_percent for sample in statistics.history[1:]]
    return sum(samples) / len(samples) if samples else 0.0


def _saturated(stages: list[StageStatistics], elapsed: float) -> str:
    """A stage that awaits calls for most of the time: more of them at once, or faster ones, would help."""
    found = [s for s in stages if s.kind in AWAITING and s.busy / elapsed > 0.5 and s.starved / elapsed < 0.5]
    if not found:
        return ""
    worst = max(found, key=lambda s: s.busy - s.starved - s.blocked)
    if worst.blocked / elapsed > 0.3:
        return ""
    calls = max(worst.passed + worst.failed + worst.in_flight, 1)
    at_once = min(worst.concurrency, calls)
    each = f"about {written(worst.busy * at_once / calls, 'seconds')} each"
    if worst.retried:
        each += f" ({worst.retried:,} retries and the waits before them included)"
    return (
        f"stage {worst.name!r}: it was awaiting calls {_share(worst.busy, elapsed)} of the time, with {at_once:,} at "
        f"once and {each}; {_help(worst, calls)}"
    )


def _help(stage: StageStatistics, calls: int) -> str:
    if stage.kind == "process":
        return "concurrency=n deals its keys out to n coroutines, which helps as far as it awaits something"
    if stage.kind == "async expand":
        return "it takes one item at a time: to wait for several, do so in a map(..., concurrency=n) before it"
    if calls <= stage.concurrency:
        return "all were under way together, so only quicker calls would help"
    return "a higher concurrency (or 'auto') would help, if the other side can take it"


def _throttled(stages: list[StageStatistics], elapsed: float) -> str:
    for stage in stages:
        idle = elapsed - stage.busy - stage.starved - stage.blocked
        if stage.kind == "throttle" and idle / elapsed > 0.5:
            return f"stage {stage.name!r}: it lets no more pass, as it was asked to"
    return ""


def _fetching(stages: list[StageStatistics], elapsed: float) -> str:
    """A stage that waits for its state on the disk most of the time."""
    worst = max(stages, key=lambda s: s.disk_seconds)
    if worst.disk_seconds / elapsed < 0.4:
        return ""
    return (
        f"stage {worst.name!r}: it waited {_share(worst.disk_seconds, elapsed)} of the time for its state on the disk; "
        f"a larger cache= would help, it remembers {worst.keys:,} keys, or items that come ordered by key"
    )


def _working(stages: list[StageStatistics], elapsed: float, *, cores: int, cpu: float) -> str:
    """A stage elsewhere whose workers are at it most of the time."""
    placed = [s for s in stages if s.place and s.busy / elapsed > 0.5 and s.blocked / elapsed <= 0.3]
    worst = max(placed, key=lambda s: s.busy, default=None)
    return "" if worst is None else _at_work(worst, elapsed, cores, cpu)


def _at_work(stage: StageStatistics, elapsed: float, cores: int, cpu: float) -> str:
    workers = stage.concurrency
    each = stage.busy * workers / max(stage.received, 1)
    processes = not stage.place.startswith("threads")
    its = "its worker was" if workers == 1 else f"its {workers:,} workers were"
    if stage.busy / elapsed < 0.5:
        advice = "the rest of it they waited for items, or were being started, which pays in longer runs"
    else:
        advice = _more_processes(workers, cores) if processes else _more_threads(workers, cores, cpu)
    return (
        f"stage {stage.name!r}: {its} {'computing' if processes else 'at work'} {_share(stage.busy, elapsed)} of the "
        f"time, about {written(each, 'seconds')} an item; {advice}"
    )


def _more_processes(workers: int, cores: int) -> str:
    if not cores:
        return "more workers would help if there are cores"
    if workers < cores:
        return f"more workers would help, there are {cores:,} cores"
    there = f"there {'is' if cores == 1 else 'are'} no more than {_cores(cores)}"
    return f"{there}: if it computes, only a faster function would help, if it waits, more workers would"


def _more_threads(workers: int, cores: int, cpu: float) -> str:
    if workers > 1 and cores != 1 and CPU_BOUND < cpu < ONE_CORE:
        return (
            f"together they used {cpu / 100:.1f} cores: if the machine is idle beside, they wait for the GIL, "
            f'and on="process" would help'
        )
    return "more threads would help where the function waits, or where there are cores and it releases the GIL"


def _crossing(stages: list[StageStatistics], elapsed: float) -> str:
    """A stage elsewhere that does less for an item than it takes to get there."""
    for stage in stages:
        each = stage.busy * stage.concurrency / max(stage.received, 1)
        elsewhere = bool(stage.place) and not stage.place.startswith("threads")
        if elsewhere and each < WORTH_CROSSING and stage.received * CROSSING / elapsed > NOTABLE:
            return (
                f"stage {stage.name!r}: an item takes {written(each, 'seconds')} in its workers, and crossing to them "
                f"costs {'more' if each < CROSSING else 'as much'}; without on= it would be faster, or with bigger "
                f"items (.batch before it)"
            )
    return ""


def _waiting_source(stages: list[StageStatistics], elapsed: float) -> str:
    sources = [s for s in stages if s.kind == "source"]
    worst = max(sources, key=lambda s: s.starved, default=None)
    busiest = max(s.busy for s in stages)
    if worst is None or worst.starved / elapsed < 0.5 or busiest > worst.starved:
        return ""
    return (
        f"source {worst.name!r}: the run waited for input {_share(worst.starved, elapsed)} of the time; "
        f"a faster source would help, nothing in the flow would"
    )


def _slow_sink(stages: list[StageStatistics], elapsed: float) -> str:
    sinks = [s for s in stages if s.kind == "sink"]
    worst = max(sinks, key=lambda s: s.busy, default=None)
    if worst is None or worst.busy / elapsed < 0.5:
        return ""
    return (
        f"sink {worst.name!r}: writing took {_share(worst.busy, elapsed)} of the time; "
        f"larger batches before it (.batch), or a sink that takes several at once, would help"
    )


def _busiest(stages: list[StageStatistics], elapsed: float, *, cores: int, cpu: float) -> str:
    # Such a stage is busy as long as a call is under way, which says nothing about computing.
    computing = [s for s in stages if s.kind not in AWAITING] or stages
    worst = max(computing, key=lambda s: s.busy)
    if worst.busy / elapsed < NOTABLE:
        return ""
    each = worst.busy / max(worst.received, 1)
    if worst.blocked > worst.busy and not any(s.kind in AWAITING for s in stages):
        return f"stage {worst.name!r}: it waited for what comes after it {_share(worst.blocked, elapsed)} of the time"
    if worst.place:
        return _at_work(worst, elapsed, cores, cpu)
    return (
        f"stage {worst.name!r}: computing took {_share(worst.busy, elapsed)} of the time, about "
        f"{written(each, 'seconds')} an item; {_elsewhere(worst, each, elapsed, cores, cpu)}"
    )


def _elsewhere(stage: StageStatistics, each: float, elapsed: float, cores: int, cpu: float) -> str:
    """Say whether another place would help a stage that computes on the loop, and how much."""
    movable = [label for label in stage.operators if label.startswith(MOVABLE)]
    if not movable:
        return 'a faster function would help, or a map for it, which can be elsewhere (on="process")'
    if not cores:
        return 'a faster function would help, or another place for it (on="process")'
    if 0 < cpu < IDLE:
        return (
            f"meanwhile the process used {written(cpu, 'per cent')} of a core, so it waits: several at once would "
            f"help, by on=sf.threads(n), or as `async def` with concurrency=n"
        )
    if each < WORTH_CROSSING:
        return (
            "a cheaper function would help, or bigger items (.batch before it): moving so little elsewhere by on= "
            "would cost more than it gains"
        )
    # Amdahl: what is done here stays, what crosses is paid for, the rest is shared by all cores.
    after = max(elapsed - stage.busy, 0.0) + stage.received * CROSSING + stage.busy / cores
    gain = elapsed / after
    if cores == 1 or gain < WORTH_MOVING:
        return "a faster function would help" + ", with one core no other place would" * (cores == 1)
    # A source, a decoder and an encoder are in this stage too, and stay here.
    about = "at best" if stage.kind == "source" or {"decode", "encode"} & set(stage.operators) else "about"
    return (
        f'on="process" would take {about} 1/{gain:.1f} of the time with {_cores(cores)} (on="thread" is enough where '
        f"{', '.join(movable[:3])} releases the GIL, as NumPy, numba, hashlib and zlib do)"
    )


def _cores(count: int) -> str:
    return f"{count:,} {'core' if count == 1 else 'cores'}"


def _full_edge(edges: tuple[EdgeStatistics, ...]) -> str:
    key: Callable[[EdgeStatistics], float] = lambda edge: edge.blocked  # noqa: E731
    worst = max(edges, key=key, default=None)
    if worst is None or worst.blocked == 0 or worst.high_water < worst.max_items // 2:
        return ""
    return f" (the edge {worst.name!r} was full for {written(worst.blocked, 'seconds')})"


def _share(part: float, whole: float) -> str:
    return written(100 * share(part, whole), "per cent")
