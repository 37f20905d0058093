"""The same flow on every loop that users have: asyncio's and uvloop, embedded and through `run_sync`, whole and cut."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.model.statistics import RunStatistics
from streamflow.testing import check_leaks

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def on(loop: str, main: Callable[[], Awaitable[None]]) -> None:
    async def watched() -> None:
        with check_leaks():
            await main()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(watched())


async def hop(n: int) -> int:
    for _ in range(n % 4):
        await asyncio.sleep(0)
    return n


def everything(count: int, room: int) -> sf.Flow[int]:
    """Use most operators, so that what comes out is still easily said: n and -n for each n, in no order."""
    plus, minus = (
        sf.flow(range(count))
        .map(hop, concurrency=5)
        .flat_map(lambda n: [n, -n])
        .route(lambda n: n >= 0, True, False)
        .values()
    )
    left = plus.buffer(room).batch(3, within=0.001).unbatch()
    right = minus.map(hop, concurrency="auto", ordered=False).buffer(room).throttle(10_000, per=0.001)
    return sf.merge(left, right)


def expected(count: int) -> list[int]:
    return sorted(n for pair in ((n, -n) for n in range(count)) for n in pair)


def check_books(statistics: RunStatistics) -> None:
    assert all(stage.conserved for stage in statistics.stages)
    assert all(edge.conserved for edge in statistics.edges)


@pytest.mark.parametrize("loop", LOOPS)
@settings(max_examples=15)
@given(st.integers(0, 300), st.integers(1, 20))
def test_everything_arrives_once(loop: str, count: int, room: int) -> None:
    async def main() -> None:
        out: list[int] = []
        report = await everything(count, room).to(out).run()
        assert sorted(out) == expected(count)
        check_books(report.statistics)

    on(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
@settings(max_examples=25)
@given(st.integers(0, 120), st.sampled_from(["cancel", "drain", "checkpoint", "task"]))
def test_stopped_anywhere_it_leaves_nothing_and_the_books_balance(loop: str, turns: int, gear: str) -> None:
    async def main() -> None:
        out: list[int] = []
        handle = everything(400, 3).to(out).start()
        for _ in range(turns):
            await asyncio.sleep(0)
        if gear == "task":
            waiting = asyncio.ensure_future(handle.wait())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        elif gear == "drain":
            await handle.drain()
        elif gear == "cancel" or handle.report is not None:
            await handle.cancel()
        else:
            await handle.checkpoint()
            await handle.wait()
        assert handle.report is not None
        assert len(set(out)) == len(out) or out.count(0) == 2
        check_books(handle.report.statistics)
        if gear == "drain":
            received = [stage.received for stage in handle.report.statistics.stages]
            assert sorted(out) == (expected(received[0]) if received else [])  # none: drained before it had begun

    on(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
def test_an_endless_flow_in_a_host_loop_lets_the_host_live_and_stops(loop: str) -> None:
    async def main() -> None:
        lived = 0
        async with sf.flow(itertools.count()).map(lambda n: n).buffer().to(None).start() as handle:
            while lived < 50:
                await asyncio.sleep(0.001)
                lived += 1
            report = await handle.drain(timeout=10)
        assert report.state == "drained"

    on(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_failure_is_the_users_own_on_every_loop(loop: str) -> None:
    async def fail(n: int) -> int:
        await asyncio.sleep(0)
        if n == 7:
            raise LookupError(n)
        return n

    async def main() -> None:
        with pytest.raises(LookupError) as caught:
            await sf.flow(range(20)).map(fail, concurrency=4).to(None).run()
        assert any("map(fail)" in note for note in caught.value.__notes__)

    on(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
def test_files_and_threads_work_on_every_loop(loop: str, tmp_path: Any) -> None:
    async def main() -> None:
        (tmp_path / "in.txt").write_text("".join(f"{n}\n" for n in range(5_000)))
        await sf.flow(tmp_path / "in.txt").map(int).map(lambda n: {"n": n}).to(tmp_path / "out.jsonl").run()
        assert await sf.flow(tmp_path / "out.jsonl").map(lambda row: row["n"]).collect() == [*range(5_000)]

    on(loop, main)
