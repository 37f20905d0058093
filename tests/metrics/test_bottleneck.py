"""One sentence that says what limits a run."""

from __future__ import annotations

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
    StageStatistics,
)


def stage(name: str, kind: str = "fused", **figures: float) -> StageStatistics:
    return StageStatistics(name=name, kind=kind, **{"received": 100, "passed": 100, **figures})  # type: ignore[arg-type]


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
