"""What a live run is told in: its figures and nothing else; and that it is told on a terminal only."""

from __future__ import annotations

import asyncio
import io
import re
from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import streamflow as sf
from streamflow.cli.progress import WINDOW, shown, since
from streamflow.cli.progress_lines import BAR, busiest_stage, done_share, fill, in_one_line, lines, seconds_left
from streamflow.model.statistics import CheckpointStatistics, EdgeStatistics, Progress, RunStatistics, StageStatistics


def source(done: int = 0, total: int | None = None, name: str = "in", unit: Any = "bytes", **more: Any) -> Any:
    progress = Progress(done=done, total=total, unit=unit)
    return StageStatistics(name=name, kind="source", progress=progress, **{"received": done, "state": "busy", **more})


def at(elapsed: float, *stages: StageStatistics, state: str = "running", **more: Any) -> RunStatistics:
    return RunStatistics(state=state, elapsed=elapsed, stages=stages, **{"edges": (), **more})


@pytest.mark.parametrize(
    ("before", "now", "left"),
    [
        (source(0, 1000), source(100, 1000), 90.0),
        (source(500, 1000), source(600, 1000), 40.0),
        (source(0, 0), source(0, 0), None),
        (source(0, None), source(100, None), None),
        (source(100, 1000), source(100, 1000), None),
        (source(0, 1000), source(1000, 1000), None),
        (source(0, 1000), source(100, 50), None),
        (source(100, 1000), source(50, 1000), None),
        (source(0, 1000), source(100, 400), 30.0),
        (source(0, 1000), source(100, 1000, state="done"), None),
        (source(0, 10, unit="items"), source(5, 10, unit="items"), 10.0),
        (source(), StageStatistics(name="in", kind="source"), None),
    ],
    ids=[
        "steady",
        "resumed",
        "zero bytes",
        "unknown total",
        "stands still",
        "read to the end",
        "shrunk below what was read",
        "went back",
        "shrunk",
        "ended early",
        "items",
        "cannot tell",
    ],
)
def test_how_long_it_will_take(before: StageStatistics, now: StageStatistics, left: float | None) -> None:
    assert seconds_left(at(20.0, now), at(10.0, before)) == left
    assert ("left" in lines(at(20.0, now), at(10.0, before))[0]) == (left is not None)


def test_the_slowest_source_decides_and_one_that_cannot_tell_keeps_all_silent() -> None:
    before = at(0.0, source(0, 100, "a"), source(0, 100, "b"))
    now = at(10.0, source(50, 100, "a"), source(10, 100, "b"))
    assert seconds_left(now, before) == 90.0
    assert seconds_left(replace(now, stages=(*now.stages, source(5, None, "c"))), before) is None
    assert seconds_left(replace(now, stages=(now.stages[0], source(10, None, "b", state="done"))), before) == 10.0


def test_nothing_is_promised_without_a_pace_or_while_it_does_not_run() -> None:
    now = at(10.0, source(50, 100))
    assert seconds_left(now, None) is None
    assert seconds_left(now, replace(now)) is None
    for state in ("opening", "paused", "draining", "cancelling"):
        assert seconds_left(replace(now, state=state), at(0.0, source(0, 100))) is None


@pytest.mark.parametrize(
    ("sources", "share"),
    [
        ((), None),
        ((source(0, 0),), None),
        ((source(5, None),), None),
        ((source(25, 100),), 0.25),
        ((source(25, 100, "a"), source(75, 100, "b")), 0.5),
        ((source(200, 100),), 1.0),
        ((source(1, 4, "a"), source(1, 4, "b", unit="items")), None),
        ((source(1, 4), StageStatistics(name="b", kind="source")), None),
    ],
)
def test_which_part_was_read(sources: tuple[StageStatistics, ...], share: float | None) -> None:
    now = at(1.0, *sources)
    assert done_share(now) == share
    assert ("█" in lines(now)[0]) == bool(share)


def test_the_lines_say_how_far_how_fast_what_is_busy_and_how_full() -> None:
    edges = (
        EdgeStatistics(name="in ⇒ f", queued=50, max_items=100, max_bytes=1000),
        EdgeStatistics(name="f ⇒ out", queued=1, max_items=100, queued_bytes=1 << 20, max_bytes=2 << 20),
    )
    before = at(10.0, source(1 << 20, 8 << 20), StageStatistics(name="f", kind="fused", busy=1.0))
    now = at(20.0, source(3 << 20, 8 << 20), StageStatistics(name="f", kind="fused", busy=10.0, failed=3), edges=edges)
    assert lines(now, before) == [
        "running  ▕█████████               ▏  38 %  0:20, about 0:25 left",
        "3,145,728 items, 210 k/s; 3 MiB of 8 MiB, 205 KiB/s; 3 failed",
        "busiest: f (90 %)",
        "  ▕████    ▏ 50 of 100 items  in ⇒ f",
        "  ▕████    ▏ 1 MiB of 2 MiB  f ⇒ out",
    ]
    assert in_one_line(now) == "3,145,728 items, 157 k/s; 3 MiB of 8 MiB, 154 KiB/s; 3 failed; busiest: f (50 %)"


def test_a_pipe_has_bytes_and_neither_total_nor_share() -> None:
    now = at(2.0, source(2048, None))
    assert lines(now, at(1.0, source(0, None))) == ["running  0:02", "2,048 items, 2.05 k/s; 2 KiB, 2 KiB/s; 0 failed"]


def test_only_the_fullest_edges_are_shown_in_the_order_of_the_plan() -> None:
    edges = tuple(EdgeStatistics(name=f"e{n}", queued=n, max_items=10, max_bytes=1) for n in range(10))
    told = lines(at(1.0, edges=edges))
    assert [line.split()[-1] for line in told[2:-1]] == [f"e{n}" for n in range(4, 10)]
    assert told[-1] == "  and 4 edges that are less full"


def test_a_name_moves_no_cursor() -> None:
    stage = StageStatistics(name="a\x1b[2J\nb\r\u202ec[red]", kind="fused", busy=1.0)
    told = lines(at(1.0, stage, edges=(EdgeStatistics(name="x\x1b]0;y\x07", max_items=1, max_bytes=1),)))
    assert "\x1b" not in "".join(told)
    assert "busiest: a\ufffd[2J\ufffdb\ufffd\ufffdc[red] (100 %)" in told


FIGURES = st.integers(0, 10**15)


@given(st.lists(st.tuples(FIGURES, st.one_of(st.none(), FIGURES)), max_size=4), st.floats(0, 1e9), st.floats(0, 1e9))
def test_any_figures_can_be_told(progress: list[tuple[int, int | None]], before: float, after: float) -> None:
    stages = [source(done, total, f"s{n}") for n, (done, total) in enumerate(progress)]
    now, earlier = at(after, *stages), at(before, *[source(5, 10, stage.name) for stage in stages])
    told = lines(now, earlier)
    assert all(line and "\n" not in line for line in told)
    assert re.fullmatch(rf"running(  ▕.{{{BAR}}}▏ +\d+ %)?  [\d: d]+(, about [\d: d]+ left)?", told[0])
    left = seconds_left(now, earlier)
    assert left is None or left > 0
    assert 0 <= (done_share(now) or 0) <= 1


def test_fill_goes_by_the_bound_that_is_nearer() -> None:
    edge = EdgeStatistics(name="e", queued=1, max_items=10, queued_bytes=90, max_bytes=100)
    assert fill(edge) == 0.9
    assert busiest_stage(at(0.0), None) is None


def test_a_pace_is_told_over_a_window() -> None:
    past: deque[RunStatistics] = deque()
    earlier = [since(past, at(float(n))) for n in range(20)]
    assert earlier[0] is None
    assert [one.elapsed for one in earlier[1:] if one is not None] == [max(0.0, n - WINDOW) for n in range(1, 20)]
    assert len(past) <= WINDOW + 2


class Screen(io.StringIO):
    """Be a terminal that tells when something was drawn on it."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = asyncio.Event()

    def write(self, text: str) -> int:
        if "items" in text:
            self.drawn.set()
        return super().write(text)


@pytest.mark.parametrize("terminal", [True, False])
def test_it_is_drawn_on_a_terminal_and_gone_with_the_run(terminal: bool) -> None:
    async def main() -> str:
        screen, gate = Screen(), asyncio.Event()

        async def wait(n: int) -> int:
            await gate.wait()
            return n

        flow = sf.flow(range(5)).map(wait, name="a[red]b").to(print)
        console = Console(file=screen, force_terminal=terminal, width=40)
        async with flow.start() as run, shown(run, console):
            if terminal:
                await screen.drawn.wait()
            gate.set()
            await run.wait()
        return screen.getvalue()

    drawn = asyncio.run(main())
    if not terminal:
        assert drawn == ""
        return
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l"), "the cursor is back"
    assert "…" in drawn, "what is too long for the screen is cut"


def test_the_age_of_the_last_checkpoint_is_shown_once_there_is_one() -> None:
    none, some = (CheckpointStatistics(path="a.ckpt", epoch=17, age=age) for age in (None, 0.41))
    assert "checkpoint" not in in_one_line(at(20.0, source(), checkpoints=none))
    assert "; checkpoint 17 0.4 s ago" in in_one_line(at(20.0, source(), checkpoints=some))
    assert "waits" not in in_one_line(at(20.0, source(), checkpoints=replace(some, waiting_for=("slow",), waiting=0.4)))
    held = replace(some, waiting_for=("slow", "sink"), waiting=12.4)
    assert "0.4 s ago; the next waits for slow, 12 s now" in in_one_line(at(20.0, source(), checkpoints=held))
