"""A run with a memory limit: it holds its sources and lets them go, and never stands still for it."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import streamflow as sf
from streamflow.engine import run_memory
from streamflow.engine.footprint import Footprint
from streamflow.memory.reclaiming import reclaim
from streamflow.model import events
from streamflow.testing import FaultySink, FaultySource, cancel_everywhere, check_leaks, no_leaks, run

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
LIMIT = 800 * MIB
HIGH, LOW = 790 * MIB, 100 * MIB


class FakeFootprint:
    """Be a footprint of as many bytes as a test says."""

    says: ClassVar[Callable[[], int]] = staticmethod(lambda: LOW)

    def now(self) -> int:
        return type(self).says()

    def measure(self) -> int:
        return self.now()

    def close(self) -> None:
        return


@pytest.fixture
def footprint(monkeypatch: pytest.MonkeyPatch) -> type[FakeFootprint]:
    monkeypatch.setattr(run_memory, "Footprint", FakeFootprint)
    # Trimming for real takes a while, of which a virtual clock knows nothing.
    monkeypatch.setattr("streamflow.engine.governing.reclaim", lambda *, collect: 0)
    monkeypatch.setattr(FakeFootprint, "says", staticmethod(lambda: LOW))
    return FakeFootprint


def says(footprint: type[FakeFootprint], size: Callable[[], int]) -> None:
    footprint.says = staticmethod(size)  # type: ignore[assignment]  # put back by monkeypatch


def names(seen: list[events.Event]) -> list[str]:
    return [type(event).__name__ for event in seen]


def test_memory_that_others_hold_lets_batches_through_one_at_a_time(footprint: type[FakeFootprint]) -> None:
    says(footprint, lambda: HIGH)

    async def main() -> sf.RunReport:
        out: list[int] = []
        flow = sf.flow(range(50)).buffer(items=1).map(lambda n: n + 1).to(out)
        async with no_leaks():
            report = await flow.run(memory=LIMIT)
        assert out == list(range(1, 51))
        return report

    memory = run(main).statistics.memory
    assert memory is not None
    assert memory.let_through >= 50
    assert memory.times_held == 1
    assert not memory.held


def test_one_fused_stage_is_held_as_well(footprint: type[FakeFootprint]) -> None:
    says(footprint, lambda: HIGH)

    async def main() -> None:
        out: list[int] = []
        report = await sf.flow(iter(range(10_000))).map(lambda n: n).to(out).run(memory=LIMIT)
        assert out == list(range(10_000))
        assert report.statistics.memory is not None
        assert report.statistics.memory.let_through >= 2

    run(main)


def test_sources_are_let_go_when_memory_falls(footprint: type[FakeFootprint]) -> None:
    size = HIGH

    async def main() -> None:
        nonlocal size
        seen: list[events.Event] = []
        out: list[int] = []
        gate = asyncio.Event()

        async def slow(n: int) -> None:
            await gate.wait()
            out.append(n)

        says(footprint, lambda: size)
        size = LOW
        async with (
            sf.flow(sf.ticks(0.01)).buffer(items=10).to(slow).start(memory=LIMIT, on_event=seen.append) as handle
        ):
            await asyncio.sleep(0.1)
            size = HIGH
            await asyncio.sleep(0.3)
            assert handle.statistics().memory.held  # type: ignore[union-attr]  # it has a limit
            size = LOW
            gate.set()
            await asyncio.sleep(0.3)
            assert not handle.statistics().memory.held  # type: ignore[union-attr]
            report = await handle.drain()
        assert names(seen) == ["RunStarted", "SourcesHeld", "SourcesLetGo", "RunDraining", "RunEnded"]
        assert seen[1] == events.SourcesHeld(now=HIGH, limit=LIMIT)
        assert isinstance(seen[2], events.SourcesLetGo)
        assert 0.2 < seen[2].seconds < 0.4
        assert out == list(range(len(out)))
        assert all(stage.conserved for stage in report.statistics.stages)

    run(main)


def test_a_pause_and_a_hold_are_two_gates(footprint: type[FakeFootprint]) -> None:
    async def main() -> None:
        size = LOW
        says(footprint, lambda: size)
        out: list[int] = []
        async with sf.flow(sf.ticks(0.1)).buffer(items=100).to(out).start(memory=LIMIT) as handle:
            await asyncio.sleep(1)
            await handle.pause()
            size = HIGH
            await asyncio.sleep(1)
            size = LOW  # the governor lets go: the pause stands
            await asyncio.sleep(1)
            assert not handle.statistics().memory.held  # type: ignore[union-attr]
            stood = len(out)
            await asyncio.sleep(1)
            assert len(out) == stood
            await handle.resume()
            await asyncio.sleep(1)
            assert len(out) > stood
            await handle.drain()

    run(main)


def test_resuming_does_not_open_what_the_governor_holds(footprint: type[FakeFootprint]) -> None:
    async def main() -> None:
        size = LOW
        says(footprint, lambda: size)
        taken: list[int] = []

        async def busy(n: int) -> None:
            taken.append(n)
            await asyncio.Event().wait()  # a call under way: no batch is let through before its time

        read: list[int] = []

        def source() -> Iterator[int]:
            for n in itertools.count():
                read.append(n)
                yield n

        async with no_leaks():
            handle = sf.flow(source).buffer(items=1000).to(busy).start(memory=LIMIT)
            async with handle:
                await asyncio.sleep(0)
                size = HIGH
                await asyncio.sleep(0.3)
                await handle.pause()
                await handle.resume()
                before = len(read)
                await asyncio.sleep(0.3)
                assert len(read) == before
                await handle.cancel()
        assert handle.report is not None
        assert handle.report.state == "cancelled"

    run(main)


def test_drains_while_held(footprint: type[FakeFootprint]) -> None:
    says(footprint, lambda: HIGH)

    async def main() -> None:
        out: list[int] = []
        async with no_leaks(), sf.flow(itertools.count()).buffer(items=1).to(out).start(memory=LIMIT) as handle:
            await asyncio.sleep(5)
            report = await handle.drain(timeout=30)
        assert report.state == "drained"
        assert out == list(range(len(out)))
        assert out

    run(main)


def test_an_inbox_gives_what_it_has_when_it_drains_while_held(footprint: type[FakeFootprint]) -> None:
    async def main() -> None:
        size = LOW
        says(footprint, lambda: size)
        out: list[int] = []
        inbox = sf.inbox(100)
        async with no_leaks(), sf.flow(inbox).buffer(items=1).to(out).start(memory=LIMIT) as handle:
            await asyncio.sleep(1)
            size = HIGH
            await asyncio.sleep(1)
            for n in range(20):
                await inbox.send(n)
            await handle.drain(timeout=30)
        assert out == list(range(20))

    run(main)


@pytest.mark.parametrize("at", ["await", "turn"])
def test_cancelled_at_any_moment_it_leaves_nothing_behind(footprint: type[FakeFootprint], at: Any) -> None:
    says(footprint, lambda: HIGH)
    for outcome in cancel_everywhere(
        lambda: sf.flow(FaultySource(items=range(4))).buffer(items=1).to(FaultySink()).run(memory=LIMIT), at=at
    ):
        assert not outcome.swallowed, outcome


def test_a_failure_while_held_ends_the_run(footprint: type[FakeFootprint]) -> None:
    says(footprint, lambda: HIGH)

    def fail(n: int) -> int:
        if n == 5:
            raise KeyError(n)
        return n

    async def main() -> None:
        async with no_leaks():
            with pytest.raises(KeyError):
                await sf.flow(itertools.count()).buffer(items=1).map(fail).to(None).run(memory=LIMIT)

    run(main)


def test_a_run_ends_while_it_is_held(footprint: type[FakeFootprint]) -> None:
    async def main() -> None:
        says(footprint, lambda: HIGH if handle.statistics().items_in == 3 else LOW)

        async def slow(n: int) -> None:
            await asyncio.sleep(0.2)

        async with no_leaks():
            handle = sf.flow([1, 2, 3]).to(slow).start(memory=LIMIT)
            report = await handle.wait()
        assert report.statistics.memory is not None
        assert not report.statistics.memory.held

    run(main)


def test_a_zip_gets_from_all_its_sources(footprint: type[FakeFootprint]) -> None:
    says(footprint, lambda: HIGH)

    async def main() -> None:
        out: list[Any] = []
        left = sf.flow(range(30)).buffer(items=1)
        right = sf.flow(range(30)).map(lambda n: -n).buffer(items=3)
        await sf.zip(left, right).to(out).run(memory=LIMIT)
        assert out == [(n, -n) for n in range(30)]

    run(main)


def test_a_source_that_waits_keeps_no_other_from_reading(footprint: type[FakeFootprint]) -> None:
    says(footprint, lambda: HIGH)

    async def never() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 0

    async def main() -> None:
        out: list[int] = []
        merged = sf.merge(sf.flow(never), sf.flow(iter(range(20))).buffer(items=1), sf.flow(never))
        async with no_leaks(), merged.to(out).start(memory=LIMIT) as handle:
            await asyncio.sleep(10)
            assert out == list(range(20))
            await handle.drain()

    run(main)


def test_a_call_that_waits_for_what_was_not_read_yet_gets_it(footprint: type[FakeFootprint]) -> None:
    says(footprint, lambda: HIGH)

    async def main() -> None:
        read = [asyncio.Event() for _ in range(5)]
        out: list[int] = []

        async def two_later(n: int) -> None:
            await read[min(n + 2, 4)].wait()
            out.append(n)

        flow = sf.flow(range(5)).tap(lambda n: read[n].set()).buffer(items=1).to(two_later)
        await flow.run(memory=LIMIT)
        assert out == list(range(5))

    run(main)


async def awaited(n: int) -> int:
    await asyncio.sleep(0)
    return n + 1


def called(n: int) -> int:
    return n + 1


@pytest.mark.parametrize("how", ["ordered", "unordered", "threads"])
def test_idle_workers_are_nothing_under_way(footprint: type[FakeFootprint], how: str) -> None:
    says(footprint, lambda: HIGH)

    async def main() -> None:
        out: list[int] = []
        flow = sf.flow(range(20)).buffer(items=1)
        if how == "threads":
            mapped = flow.map(called, on=sf.threads(2))
        else:
            mapped = flow.map(awaited, concurrency=3, ordered=how == "ordered")
        report = await mapped.to(out).run(memory=LIMIT)
        assert sorted(out) == list(range(1, 21))
        memory = report.statistics.memory
        assert memory is not None
        # Where patience is what lets batches through, these take some ten seconds and more.
        assert memory.let_through >= 20
        assert memory.seconds_held < 5

    # Threads take their own time: on a virtual clock, seconds would pass while one computes.
    asyncio.run(main()) if how == "threads" else run(main)


def test_results_that_wait_for_room_are_nothing_under_way(footprint: type[FakeFootprint]) -> None:
    says(footprint, lambda: HIGH)

    async def main() -> None:
        out: list[Any] = []
        # One side is far ahead: what has been done there waits until the other side has read as much.
        ahead = sf.flow([range(100)]).flat_map(lambda items: items).map(awaited, concurrency=2).buffer(items=1)
        behind = sf.flow(range(100)).buffer(items=1)
        report = await sf.zip(ahead, behind).to(out).run(memory=LIMIT)
        assert out == [(n + 1, n) for n in range(100)]
        memory = report.statistics.memory
        assert memory is not None
        assert memory.seconds_held < 30

    run(main)


@pytest.mark.parametrize("how", ["concurrent", "threads"])
def test_workers_at_work_are_waited_for(footprint: type[FakeFootprint], how: str) -> None:
    says(footprint, lambda: HIGH)

    async def main() -> None:
        read: list[int] = []
        first, opened, let_go = asyncio.Event(), asyncio.Event(), threading.Event()

        async def waits(n: int) -> int:
            await opened.wait()
            return n

        def blocks(n: int) -> int:
            let_go.wait(10)
            return n

        flow = sf.flow(iter(range(5))).tap(read.append).tap(lambda _: first.set()).buffer(items=1)
        mapped = flow.map(waits, concurrency=3) if how == "concurrent" else flow.map(blocks, on=sf.threads(2))
        async with mapped.to(None).start(memory=LIMIT) as handle:
            await first.wait()
            before = len(read)
            await asyncio.sleep(0.5)  # less than the governor's patience
            assert len(read) == before
            opened.set()
            let_go.set()
            await handle.wait()
        assert len(read) == 5

    asyncio.run(main()) if how == "threads" else run(main)


def test_a_throttle_is_waited_for(footprint: type[FakeFootprint]) -> None:
    says(footprint, lambda: HIGH)

    async def main() -> None:
        out: list[int] = []
        read: list[int] = []
        flow = sf.flow(itertools.count()).tap(read.append).buffer(items=1).throttle(1, per=3.0).to(out)
        async with flow.start(memory=LIMIT) as handle:
            await asyncio.sleep(8)
            assert len(read) - len(out) <= 3
            await handle.cancel()

    run(main)


def test_a_run_without_a_limit_has_no_governor() -> None:
    async def main() -> None:
        def threads(n: int) -> int:
            return sum(thread.name == "streamflow-memory" for thread in threading.enumerate())

        assert await sf.flow([1]).map(threads).collect() == [0]
        report = await sf.flow([1]).to(None).run()
        assert report.statistics.memory is None

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ("512M", "did you mean '512MB'"),
        ("512mb", "did you mean '512MB'"),
        ("512", "write 512MB"),
        ("much", "write a number and a unit"),
        ("5XB", "write 5MB"),
        (512, "did you mean '512MB'"),
        (0, "16MiB"),
        ("9" * 400 + "GB", "more than this machine"),
        (-1, "no amount"),
        (1.5e9, "no amount"),
        (True, "no amount"),
        (b"1GB", "no amount"),
    ],
)
def test_what_is_no_limit_is_refused_with_what_was_meant(given: Any, fix: str) -> None:
    with pytest.raises(sf.FlowError, match=fix):
        sf.flow([1]).to(None).run_sync(memory=given)


def test_tune_allocator_is_yes_or_no() -> None:
    with pytest.raises(sf.FlowError, match="tune_allocator"):
        sf.flow([1]).to(None).run_sync(tune_allocator="yes")


# -- for real -----------------------------------------------------------------------------------------------------


def peak_of(memory: int | None, count: int) -> tuple[int, sf.RunReport]:
    """Run `count` MiB into a buffer without bounds, whose sink takes nothing until all is read, or held."""
    footprint = Footprint()
    peaks: list[int] = []
    taken = itertools.count()

    async def main() -> sf.RunReport:
        go = asyncio.Event()

        def source() -> Iterator[bytearray]:
            for _ in range(count):
                yield bytearray(MIB)
            go.set()

        async def sink(item: bytearray) -> None:
            await go.wait()
            if next(taken) % 16 == 0:
                peaks.append(footprint.measure())
            await asyncio.sleep(0)

        def note(event: events.Event) -> None:
            if isinstance(event, events.SourcesHeld):
                go.set()

        flow = sf.flow(source).buffer(items=10 * count, bytes=1 << 40).to(sink)
        return await flow.run(memory=memory, on_event=note)

    try:
        report = asyncio.run(main())
        return max(peaks), report
    finally:
        footprint.close()


def test_memory_stays_below_the_limit_and_would_not_without_it() -> None:
    # In a process that has loaded little: what libraries take is shared with whoever else has them, and more of it is
    # ours as soon as another process ends.
    call = f"from {__name__} import stays_below; stays_below()"
    done = subprocess.run([sys.executable, "-c", call], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def stays_below() -> None:
    reclaim(collect=True)  # what other tests have left would be had back, and make room
    footprint = Footprint()
    limit = footprint.measure() + 96 * MIB
    footprint.close()
    with check_leaks():
        governed, report = peak_of(limit, 320)
        assert governed <= limit
        memory = report.statistics.memory
        assert memory is not None
        assert memory.times_held >= 1
        assert memory.peak <= limit
        assert report.items_in == 320
        assert "memory limit: " in str(report)
        free, _ = peak_of(None, 320)
        assert free > limit + 64 * MIB


def test_footprint_counts_children_and_what_is_shared_once() -> None:
    with check_leaks():
        footprint = Footprint()
        before = footprint.measure()
        program = "import sys; held = bytearray(b'x') * (64 << 20); print('held', flush=True); sys.stdin.read()"
        with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            footprint._look_at = 0.0
            during = footprint.measure()
            assert during - before > 60 * MIB
            assert abs(footprint.now() - during) < 16 * MIB
        footprint._look_at = 0.0
        assert footprint.measure() < during - 50 * MIB
        assert footprint.now() < during - 50 * MIB
        footprint.close()
