"""One sentence that says what limits a run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.metrics.bottleneck import bottleneck
from streamflow.metrics.quantiles import Durations, quantile
from streamflow.metrics.report import RunReport
from streamflow.model.statistics import (
    EdgeStatistics,
    MemoryStatistics,
    PoolStatistics,
    RunStatistics,
    Sample,
    StageStatistics,
)


def stage(name: str, kind: str = "fused", **figures: Any) -> StageStatistics:
    return StageStatistics(name=name, kind=kind, **{"received": 100, "passed": 100, **figures})  # type: ignore[arg-type]


def placed(busy: float, workers: int, place: str = "", **figures: Any) -> StageStatistics:
    figures = {"received": 10_000, **figures}
    return stage("score", "placed", busy=busy, concurrency=workers, place=place or f"processes({workers})", **figures)


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ([stage("in", "source", busy=1), stage("spin", busy=9)], "stage 'spin': computing took 90 % of the time"),
        ([stage("in", "source", starved=9), stage("f", busy=1)], "source 'in': the run waited for input 90 %"),
        ([stage("call", "concurrent", busy=9.9, concurrency=50)], "awaiting calls 99 % of the time, with 50 at once"),
        ([stage("out", "sink", busy=8), stage("f", busy=1)], "sink 'out': writing took 80 %"),
        ([stage("slow", "throttle")], "it lets no more pass, as it was asked to"),
        ([stage("f", busy=0.01)], "nothing was saturated"),
        ([stage("f", received=0)], "no item has arrived yet"),
        ([], "nothing has run yet"),
    ],
)
def test_the_sentence_names_what_limits(stages: list[StageStatistics], says: str) -> None:
    statistics = RunStatistics(state="finished", elapsed=10.0, stages=tuple(stages), edges=())
    assert says in bottleneck(statistics)


MOVABLE = {"received": 1000, "operators": ("range", "map(count)", "Null")}


@pytest.mark.parametrize(
    ("stages", "cores", "says", "says_not"),
    [
        # on the loop: what another place would bring
        ([stage("f", busy=9.6, **MOVABLE)], 2, 'about 9.6 ms an item; on="process" would take about 1/1.9 of', ""),
        ([stage("f", busy=9.6, **MOVABLE)], 8, "1/6.2 of the time with 8 cores", "1/1.9"),
        ([stage("f", busy=5.0, **MOVABLE)], 2, "about 1/1.3 of the time with 2 cores", ""),
        ([stage("f", busy=9.6, **MOVABLE)], 2, '(on="thread" is enough where map(count) releases the GIL, as', ""),
        ([stage("f", busy=9.6, **MOVABLE)], 1, "a faster function would help, with one core no other place", "1/"),
        ([stage("f", busy=9.6, **MOVABLE)], 0, 'or another place for it (on="process")', "1/"),
        ([stage("f", busy=2.0, **MOVABLE)], 2, "a faster function would help", "on="),
        ([stage("f", busy=9.6, received=1000, operators=("range", "scan(add)"))], 2, "a faster function", "1/"),
        (
            [stage("f", busy=9.6, received=1000, operators=("in", "decode", "map(f)"))],
            2,
            "would take at best 1/1.9",
            "",
        ),
        ([stage("f", busy=9.6, received=10**7, operators=("map(f)",))], 2, "bigger items (.batch before it)", "1/"),
        ([stage("f", busy=9.6, received=10**6, operators=("map(f)",))], 2, "about 1/1.4 of the time", ""),
        # elsewhere
        ([placed(9.6, 2)], 2, "its 2 workers were computing 96 % of the time, about 1.92 ms an item; there are no", ""),
        ([placed(9.6, 2)], 8, "more workers would help, there are 8 cores", ""),
        ([placed(9.6, 2)], 0, "more workers would help if there are cores", ""),
        ([placed(9.6, 1)], 1, "its worker was computing 96 % of the time, about 960 µs an item; there is no more", ""),
        ([stage("in", "source", starved=9.8), placed(9.6, 2)], 2, "its 2 workers were computing", "waited for input"),
        ([placed(9.6, 4, "threads(4)")], 2, "its 4 workers were at work 96 %", "computing"),
        ([placed(9.6, 4, "threads(4)")], 2, "more threads would help where the function waits", "GIL: on"),
        ([placed(4.0, 2)], 2, "computing 40 % of the time, about 800 µs an item; the rest of it they waited", "cores"),
        ([placed(2.0, 2), stage("out", "sink", busy=8)], 2, "sink 'out': writing took 80 %", ""),
    ],
)
def test_the_sentence_says_what_a_place_would_bring_or_brings(
    stages: list[StageStatistics], cores: int, says: str, says_not: str
) -> None:
    statistics = RunStatistics(state="finished", elapsed=10.0, stages=tuple(stages), edges=(), cores=cores)
    sentence = bottleneck(statistics)
    assert says in sentence
    assert not says_not or says_not not in sentence


def computing(*stages: StageStatistics, cpu: float = 100.0) -> RunStatistics:
    figures = {"rss": 0, "threads": 1, "descriptors": 0, "loop_lag": 0.0, "in_flight": 0, "queued": 0, "received": 0}
    history = tuple(Sample(at=at, cpu_percent=cpu, **figures) for at in (0.0, 5.0, 10.0))  # type: ignore[arg-type]
    return RunStatistics(state="finished", elapsed=10.0, stages=stages, edges=(), cores=2, history=history)


def test_threads_that_wait_for_the_gil_are_told_from_those_that_compute() -> None:
    threads = placed(9.6, 2, "threads(2)")
    assert (
        'together they used 1.0 cores: if the machine is idle beside, they wait for the GIL, and on="process"'
        in bottleneck(computing(threads))
    )
    assert "GIL: on" not in bottleneck(computing(threads, cpu=195.0))


def test_items_too_small_to_cross_are_told() -> None:
    small = placed(0.5, 2, received=2_000_000)
    assert bottleneck(computing(small)).startswith(
        "stage 'score': an item takes 500 ns in its workers, and crossing to them costs more; without on= it"
    )
    assert "crossing" not in bottleneck(computing(placed(9.6, 2)))


def test_a_report_holds_nothing_that_a_terminal_would_obey() -> None:
    statistics = RunStatistics(state="failed", elapsed=1.0, stages=(stage("we\nird\x1b[31m", busy=1),), edges=())
    text = str(RunReport("failed", statistics, "it\x1b[31m\nsays"))
    assert "  we\ufffdird\ufffd[31m: 100 received" in text
    assert text.endswith("  failed: it\ufffd[31m\n    says")


def test_a_memory_limit_that_cost_time_is_named_beside_it() -> None:
    def run(seconds: float) -> RunStatistics:
        memory = MemoryStatistics(limit=512 << 20, peak=500 << 20, times_held=3, seconds_held=seconds, let_through=4)
        pools = (PoolStatistics(name="file buffers", hits=10, misses=2),)
        return RunStatistics(
            state="finished", elapsed=10.0, stages=(stage("f", busy=9),), edges=(), memory=memory, pools=pools
        )

    assert "; memory limit: sources were held for 2 s, 20 % of the time, at 512 MiB" in bottleneck(run(2.0))
    assert "memory limit" not in bottleneck(run(1.0))
    report = RunReport("finished", run(2.0))
    assert (
        "  memory limit: 512 MiB, peak 500 MiB; sources held 3 times, 2 s in all, 4 batches let through alone\n"
    ) in str(report)
    assert "  file buffers: 10 used again, 2 made\n" in str(report)
    assert "memory limit; sources held 2 s" in report.to_html()
    assert report.as_dict()["statistics"]["memory"]["times_held"] == 3


def test_a_full_edge_is_named_beside_it() -> None:
    edge = EdgeStatistics(name="in ⇒ spin", high_water=10, max_items=10, blocked=3.0)
    statistics = RunStatistics(state="finished", elapsed=10.0, stages=(stage("spin", busy=9),), edges=(edge,))
    assert "(the edge 'in ⇒ spin' was full for 3 s)" in bottleneck(statistics)
    report = RunReport("finished", statistics)
    assert report.bottleneck in str(report)
    assert report.as_dict()["bottleneck"] == report.bottleneck
    with pytest.raises(KeyError, match="there is only 'spin'"):
        statistics.stage("spni")


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_the_least_value_that_so_many_do_not_exceed(values: list[float], q: float) -> None:
    ordered = sorted(values)
    found = quantile(ordered, q)
    assert sum(value <= found for value in ordered) >= q * len(ordered) - 1e-9
    assert sum(value < found for value in ordered) < q * len(ordered) + 1e-9


def test_durations_remember_a_bounded_number() -> None:
    durations = Durations()
    assert durations.latency().count == 0
    for n in range(10_000):
        durations.add(n)
    assert durations.latency().count == 10_000
    assert durations.latency().max == 9_999
