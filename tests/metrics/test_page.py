"""The page of a report: well-formed, complete by itself, and deaf to what the names in it try to be."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.metrics.chart import unbroken
from streamflow.metrics.drawing import LINE, LINES, MOST, drawing, shares_of, wrapped
from streamflow.metrics.markup import element
from streamflow.metrics.page import charts, steps
from streamflow.metrics.report import RunReport
from streamflow.metrics.series import LIMIT
from streamflow.model.statistics import (
    CheckpointStatistics,
    EdgeStatistics,
    Latency,
    Progress,
    RunStatistics,
    Sample,
    StageStatistics,
)

HOSTILE = (
    "</text></svg><script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "<!--",
    "]]>",
    "&amp;",
    "a\x00b\x1b[31m\udc80",
    "&#x3c;script&#x3e;",
    "{{7*7}}",
)
NAMES = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=200))


def sample(at: float, **figures: float) -> Sample:
    shown = {"rss": 50 << 20, "cpu_percent": 80.0, "received": int(at * 1000), "queued": 7, **figures}
    return Sample(at=at, threads=1, descriptors=9, loop_lag=0.001, in_flight=0, **shown)  # type: ignore[arg-type]


def report(*names: str, state: str = "finished", error: str | None = None, samples: int = 8) -> RunReport:
    """Return the report of a chain of stages."""
    kinds = ["source", *["fused"] * len(names)]
    stages = tuple(
        StageStatistics(name=name, kind=kind, received=10, passed=9, failed=1, busy=1.0, blocked=0.5, drops={name: 3})
        for name, kind in zip(names, kinds, strict=False)
    )
    edges = tuple(
        EdgeStatistics(name=f"{a} ⇒ {b}", producer=a, consumer=b, sent=9, received=9, max_items=8192, blocked=0.4)
        for a, b in pairwise(names)
    )
    history = tuple(sample(n / 4, latency=0.01 * n) for n in range(samples))
    latency = Latency(count=9, p50=0.01, p95=0.02, p99=0.03, max=0.04)
    statistics = RunStatistics(
        state=state, elapsed=2.0, stages=stages, edges=edges, latency=latency, history=history, peak_rss=60 << 20
    )
    return RunReport(state, statistics, error)


class Seen(HTMLParser):
    """Remember the tags and attributes that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


OURS = Seen(report("in", "out", error="it broke").to_html())


def told(page: str) -> str:
    """Return the text of a page, which must be well-formed."""
    return "".join(ElementTree.fromstring(page).itertext())


def test_the_page_needs_nothing_else() -> None:
    page = report("in.jsonl", "map(score)", "out.jsonl", error="oops").to_html()
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert "http" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert not OURS.attributes & {"src", "href", "onload", "onclick", "onerror", "xlink:href"}
    assert "prefers-color-scheme: dark" in page
    said = told(page)
    for expected in ("in.jsonl", "map(score)", "out.jsonl", "oops", "Throughput", "Latency", "Queue depth", "Memory"):
        assert expected in said
    assert report("in").bottleneck in told(report("in").to_html())


@given(st.lists(NAMES, max_size=5, unique=True), st.one_of(st.none(), NAMES), NAMES)
def test_whatever_things_are_called_the_page_is_the_same_page(names: list[str], error: str | None, title: str) -> None:
    page = report(*names, error=error).to_html(title)
    page.encode()
    seen = Seen(page)
    assert seen.tags <= OURS.tags
    assert seen.attributes <= OURS.attributes
    assert told(page)


@pytest.mark.parametrize("name", HOSTILE)
def test_every_stage_is_named_with_its_whole_name(name: str) -> None:
    root = ElementTree.fromstring(report("in", name, "out").to_html())
    whole = {one.text for one in root.iter("title")}
    expected = "".join("\ufffd" if c in "\x00\x1b\udc80" else c for c in name)
    assert expected in whole, "on the box"
    assert any(one.get("title") == expected for one in root.iter("th")), "in the table"


def test_a_run_that_never_opened_and_one_of_nothing_have_a_page_too() -> None:
    missing = RunReport("failed", RunStatistics(state="failed", elapsed=0.0, stages=(), edges=()), "no such file")
    assert "no such file" in told(missing.to_html())
    assert "before its sources and sinks were open" in told(missing.to_html())
    nothing = StageStatistics(name="in", kind="source")
    idle = RunReport("finished", RunStatistics(state="finished", elapsed=1.0, stages=(nothing,), edges=()))
    assert "the sources have given nothing" in told(idle.to_html())


def test_the_size_of_the_page_is_bounded_and_says_what_it_left_out() -> None:
    names = [f"stage {n}" for n in range(MOST + 1)]
    assert drawing(report(*names).statistics) == ""
    assert "too many to be drawn" in told(report(*names).to_html())
    page = report("in", "out", error="x" * 10**6, samples=LIMIT).to_html()
    assert len(page) < 200_000


def test_how_much_of_the_input_a_failed_run_has_read() -> None:
    stage = StageStatistics(name="in", kind="source", received=1, progress=Progress(done=1 << 20, total=3 << 20))
    statistics = RunStatistics(state="failed", elapsed=1.0, stages=(stage,), edges=())
    assert "1 MiBread of 3 MiB, 1 MiB/s" in told(RunReport("failed", statistics, "x").to_html())


def test_a_rate_is_the_growth_over_a_stretch_and_never_of_no_time() -> None:
    assert steps([]) == steps([(1.0, 5)]) == steps([(1.0, 5), (1.0, 9)]) == []
    assert steps([(0.0, 0), (1.0, 10)]) == [(0.0, 10.0), (1.0, 10.0)]
    assert steps([(0.0, 0), (1.0, 10), (2.0, 20), (2.001, 30)])[-1] == (2.001, 20 / 1.001)


@given(st.lists(st.tuples(st.one_of(st.just(0.0), st.floats(0.001, 100)), st.integers(0, 1000)), max_size=30))
def test_rates_add_up_to_what_was_counted(growth: list[tuple[float, int]]) -> None:
    counted = [(0.0, 0)]
    for seconds, count in growth:
        counted.append((counted[-1][0] + seconds, counted[-1][1] + count))
    found = steps(counted)
    whole = sum(rate * (until - since) for (since, rate), (until, _) in zip(found[::2], found[1::2], strict=True))
    if found:
        end = found[-1][0]
        assert end == counted[-1][0]
        assert any(whole == pytest.approx(count) for at, count in counted if at == end)


@given(st.lists(st.floats(0, 1e12), min_size=2, max_size=20))
def test_every_line_stays_within_its_frame(values: list[float]) -> None:
    history = tuple(sample(float(n), rss=int(value), latency=value) for n, value in enumerate(values))
    statistics = RunStatistics(
        state="finished", elapsed=float(len(values)), stages=(), edges=(), history=history, latency=Latency(count=1)
    )
    for one in charts(statistics):
        root = ElementTree.fromstring(one.svg())
        for line in root.iter("polyline"):
            places = [place.split(",") for place in line.get("points", "").split()]
            assert all(0 <= float(x) <= 480 and 0 <= float(y) <= 200 for x, y in places)


def test_a_series_without_a_value_says_so() -> None:
    [throughput, *_] = charts(RunStatistics(state="finished", elapsed=0.0, stages=(), edges=()))
    assert "nothing was measured" in throughput.svg()
    assert "nothing was measured" in throughput.described()


@given(st.text(max_size=400))
def test_a_name_takes_no_more_than_its_lines(name: str) -> None:
    lines = wrapped(name)
    assert 1 <= len(lines) <= LINES
    assert all(len(line) <= LINE for line in lines)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_parts_of_a_bar_fit_into_it(busy: float, blocked: float, starved: float, elapsed: float) -> None:
    shares = shares_of(StageStatistics(name="s", kind="fused", busy=busy, blocked=blocked, starved=starved), elapsed)
    assert sum(shares.values()) <= 1 + 1e-9
    assert all(part >= 0 for part in shares.values())


def test_an_element_escapes_its_attributes() -> None:
    assert element("a", class_='"><b>') == '<a class="&quot;&gt;&lt;b&gt;"/>'


def test_a_line_is_broken_where_nothing_was_seen() -> None:
    assert unbroken([]) == unbroken([(1.0, None)]) == []
    assert unbroken([(0.0, 1.0), (1.0, None), (2.0, 3.0), (3.0, 4.0)]) == [[(0.0, 1.0)], [(2.0, 3.0), (3.0, 4.0)]]
    gap = tuple(sample(float(n), latency=None if 4 <= n < 7 else 0.1) for n in range(20))
    statistics = RunStatistics(
        state="finished", elapsed=20.0, stages=(), edges=(), history=gap, latency=Latency(count=17, p50=0.1)
    )
    [latency] = [one for one in charts(statistics) if one.title == "Latency"]
    assert len(list(ElementTree.fromstring(latency.svg()).iter("polyline"))) == 2


def test_where_a_run_with_checkpoints_began_and_what_is_promised() -> None:
    def page(**checkpoints: object) -> str:
        found = CheckpointStatistics(path="a<b.ckpt", **checkpoints)  # type: ignore[arg-type]
        whole = replace(report("in", "out").statistics, checkpoints=found, promise="exactly once")
        return told(RunReport("finished", whole).to_html())

    said = page(resumed_from=4, resumed_at=412_000, saved=3, failed=1, epoch=7, bytes=2048, longest=0.01)
    assert "a<b.ckpt: 3 taken; resumed at 412,000 items (checkpoint 4); the last (checkpoint 7) of 2 KiB" in said
    assert "1 could not be kept; promised: exactly once" in said
    assert "an earlier run had finished, after 9 items" in page(resumed_from=1, resumed_at=9, already_done=True)
    assert "Checkpoints" not in told(report("in", "out").to_html())
