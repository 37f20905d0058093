"""`buffer(overflow="spill")` in whole flows: order, bounds, diamonds, and nothing left behind whatever happens."""

from __future__ import annotations

import asyncio
import errno
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

import streamflow as sf
from streamflow.channels.spilling import TRY_AGAIN
from streamflow.files.local import LOCAL, LocalFiles
from streamflow.model.events import DiskFull
from streamflow.operators.edge import Buffer
from streamflow.testing import (
    Fault,
    FaultySink,
    FaultySource,
    InjectedError,
    SimulatedDisk,
    cancel_everywhere,
    check_leaks,
    no_leaks,
    run,
    seeds,
    simulate,
)

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def spilled(report: sf.RunReport) -> Any:
    """Return the figures of the one edge that may spill; its books, and all others, are right."""
    assert all(edge.conserved for edge in report.statistics.edges)
    assert all(stage.conserved for stage in report.statistics.stages)
    (edge,) = (edge for edge in report.statistics.edges if edge.max_spilled_bytes)
    return edge


def on_disk(folder: Path) -> int:
    """Return the bytes that lie there; what is removed meanwhile counts no more."""
    return sum(LOCAL.size(str(file)) or 0 for file in folder.rglob("*.spill"))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_fast_producer_and_a_slow_consumer(tmp_path: Path, loop: str) -> None:
    items = [{"n": n, "text": f"{n:0300}"} for n in range(6_000)]
    out: list[Any] = []
    lying = 0

    async def slow(item: Any) -> Any:
        nonlocal lying
        if item["n"] % 100 == 0:
            lying = max(lying, on_disk(tmp_path))
        for _ in range(5):
            await asyncio.sleep(0)
        return item

    async def main() -> None:
        with check_leaks():
            report = await (
                sf.flow(items)
                .buffer(200, "1MB", overflow="spill", path=tmp_path)
                .map(slow, concurrency=1)
                .to(out)
                .run()
            )
        edge = spilled(report)
        assert edge.received == 6_000
        assert edge.high_water <= 200
        assert 800_000 < edge.spilled_high_water <= 1_000_000
        assert edge.blocked > 0
        assert edge.spilled == edge.spilled_bytes == 0

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    assert out == items
    assert 800_000 < lying <= 1_000_000
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_holds_nobody_up_who_finds_room_in_memory() -> None:
    """Also where the last item was taken while the disk was being asked."""

    async def now_and_then(n: int) -> int:
        await asyncio.sleep(random.choice((0, 0.0001, 0.002)))
        return n

    async def main() -> None:
        disk, out = SimulatedDisk(), list[int]()
        disk.faults.append(Fault(first=1, times=1_000_000, error=errno.ENOSPC, only=("create", "write")))
        source = FaultySource(items=range(30), batch=3, delay=0.001)
        spilling = sf.flow(source)._then(Buffer(1, 100_000, "spill", files=disk))
        await spilling.map(now_and_then).to(out).run()
        assert out == list(range(30))
        assert asyncio.get_running_loop().time() < TRY_AGAIN

    for seed in seeds(60):
        simulate(main, seed)


def slowly(**options: Any) -> sf.Flow[int]:
    async def wait(n: int) -> int:
        await asyncio.sleep(0.001)
        return n

    return sf.flow(range(60)).buffer(4, 100_000, overflow="spill", **options).map(wait, concurrency=1)


@pytest.mark.parametrize("at", ["await", "wakeup", "turn"])
def test_cancelled_at_any_moment_nothing_is_left(tmp_path: Path, at: Any) -> None:
    async def hop(n: int) -> int:
        await asyncio.sleep(0)
        return n

    flow = sf.flow(range(12)).buffer(2, 100_000, overflow="spill", path=tmp_path).map(hop, concurrency=1)
    steps = 0
    for outcome in cancel_everywhere(lambda: flow.take(8).to(FaultySink()).run(), at=at):
        steps += 1
        assert not outcome.swallowed, outcome
        assert list(tmp_path.iterdir()) == []
    assert steps > 1


@pytest.mark.parametrize("where", ["source", "sink", "take", "cancel", "drain"])
def test_however_a_run_ends_nothing_is_left(tmp_path: Path, where: str) -> None:
    async def main() -> None:
        flow = slowly(path=tmp_path)
        if where == "source":
            source = FaultySource(items=range(60), fail_at=50)
            flow = sf.flow(source).buffer(4, 100_000, overflow="spill", path=tmp_path)
        sink = FaultySink(fail_at=3) if where == "sink" else FaultySink()
        if where == "take":
            flow = flow.take(3)
        async with no_leaks():
            handle = flow.to(sink).start()
            if where in ("source", "sink"):
                with pytest.raises(InjectedError):
                    await handle.wait()
            elif where == "take":
                await handle.wait()
            else:
                await asyncio.sleep(0.01)
                await (handle.cancel() if where == "cancel" else handle.drain())
        assert handle.report is not None
        assert all(edge.conserved for edge in handle.report.statistics.edges)

    run(main)
    assert list(tmp_path.iterdir()) == []


def test_a_diamond_may_spill_on_its_way() -> None:
    async def main() -> None:
        numbers = sf.flow(range(30_000))
        few = numbers.filter(lambda n: n % 10_000 == 9_999)
        both = sf.zip(few, numbers.buffer(100, "10MB", overflow="spill"))
        assert await both.collect() == [(9_999, 0), (19_999, 1), (29_999, 2)]
        one_after_the_other = sf.concat(few, numbers.buffer(100, "10MB", overflow="spill"))
        assert await one_after_the_other.collect() == [9_999, 19_999, 29_999, *range(30_000)]

    run(main)
    numbers = sf.flow(range(30_000))
    with pytest.raises(sf.FlowError, match=r"or let the other way spill: .buffer\(overflow='spill', bytes='1GB'\)"):
        sf.zip(numbers.filter(bool), numbers).to(None).plan  # noqa: B018


def test_a_checkpoint_waits_for_what_is_on_the_disk_where_nobody_keeps_it() -> None:
    async def main() -> None:
        out: list[int] = []
        async with slowly().to(out).start() as handle:
            await asyncio.sleep(0.005)
            assert handle.statistics().edges[0].spilled > 0
            checkpoint = await handle.checkpoint()
        again: list[int] = []
        await slowly().to(again).run(resume=checkpoint)
        assert out == list(range(60))
        assert out == out[: len(out) - len(again)] + again

    run(main)


def test_a_run_that_failed_goes_on_as_if_unbroken(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("".join(f"{n}\n" for n in range(300)))

    def flow(fail_at: str) -> sf.Runnable:
        async def wait(line: str) -> str:
            await asyncio.sleep(0.01)
            if line == fail_at:
                raise InjectedError(line)
            return line

        lines = sf.flow(str(tmp_path / "in.txt")).buffer(4, 100_000, overflow="spill", path=tmp_path)
        return lines.map(wait, concurrency=1, name="wait").to(str(tmp_path / "out.txt"))

    async def main() -> None:
        with pytest.raises(InjectedError):
            await flow("200").run(checkpoint=tmp_path / "run.ckpt", every=0.05)
        await flow("none").run(checkpoint=tmp_path / "run.ckpt", every=0.05)

    run(main)
    assert (tmp_path / "out.txt").read_text() == (tmp_path / "in.txt").read_text()
    assert not list(tmp_path.glob("streamflow-spill*"))


class FullDisk(LocalFiles):
    def __init__(self, error: int, times: int) -> None:
        self.left = [error] * times

    def create(self, path: str, like: str | None = None) -> Any:
        if self.left:
            raise OSError(self.left[0], os.strerror(self.left.pop()), path)
        return super().create(path, like)


def test_a_run_goes_on_when_there_is_space_again() -> None:
    async def main() -> None:
        told: list[Any] = []
        flow = slowly()._then(Buffer(4, 100_000, "spill", files=FullDisk(errno.ENOSPC, 3)))
        assert await flow.map(lambda n: n).collect(on_event=told.append) == list(range(60))
        assert [type(one) for one in told].count(DiskFull) <= 1

    run(main)


def test_a_run_fails_with_the_file_when_the_disk_does() -> None:
    async def main() -> None:
        wait = slowly()
        flow = sf.flow(range(60))._then(Buffer(4, 100_000, "spill", files=FullDisk(errno.EIO, 1)))
        async with no_leaks():
            with pytest.raises(OSError, match=r"spills there: Input/output error.*streamflow-spill-.*\.spill"):
                await sf.zip(flow, wait).to(None).run()

    run(main)


def test_a_folder_that_cannot_be_made_fails_the_run_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out: list[int] = []

    async def main() -> None:
        async with no_leaks():
            with pytest.raises(OSError, match="file"):
                await slowly(path=tmp_path / "file").to(out).run()

    run(main)
    assert out == []


def test_positions_survive_the_disk(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("".join(f"{n}\n" for n in range(500)))
    seen: list[tuple[str, int]] = []

    def note(line: str) -> str:
        position = sf.position()
        assert position is not None
        seen.append((line, position.line))
        return line

    async def main() -> None:
        lines = sf.flow(str(tmp_path / "in.txt")).buffer(5, "1MB", overflow="spill")
        await lines.map(note, on_error=sf.dead_letter(FaultySink())).to(None).run()

    run(main)
    assert seen == [(str(n), n + 1) for n in range(500)]


def test_event_times_and_watermarks_survive_the_disk() -> None:
    async def hop(event: dict[str, int]) -> dict[str, int]:
        await asyncio.sleep(0)
        return event

    def counted(*, spill: bool) -> sf.Flow[Any]:
        events = sf.flow([{"at": n + (n * 7) % 5} for n in range(600)]).event_time(lambda e: e["at"], max_lateness=5.0)
        if spill:
            events = events.buffer(4, 100_000, overflow="spill").map(hop, concurrency=1)
        return events.key_by(lambda e: e["at"] % 3).window(sf.tumbling(10)).aggregate(n=sf.agg.count())

    async def main() -> None:
        assert await counted(spill=True).collect() == await counted(spill=False).collect() != []

    run(main)


def test_what_cannot_be_meant_is_refused_with_the_fix() -> None:
    flow = sf.flow(range(3))
    with pytest.raises(sf.FlowError, match="say how much of the disk it may take, as in bytes='1GB'"):
        flow.buffer(overflow="spill")
    with pytest.raises(sf.FlowError, match="too little to write items to; give at least '64KiB'"):
        flow.buffer(bytes=1000, overflow="spill")
    with pytest.raises(sf.FlowError, match="leave path out, or say overflow='spill'"):
        flow.buffer(10, path="/tmp")
    with pytest.raises(sf.FlowError, match="did you mean '1GB'"):
        flow.buffer(bytes="1gb", overflow="spill")


def test_the_plan_says_that_an_edge_spills_and_is_repeatable() -> None:
    flow = sf.flow(range(3)).buffer(10, "64MiB", overflow="spill").map(str)
    assert "(up to 10 items, 16 MiB; spills to disk, up to 64 MiB)" in flow.explain()
    plan = flow.to(None).plan
    assert plan.repeatable
    assert [edge.spilling.key for edge in plan.edges if edge.spilling] == ["buffer"]
    assert list(flow) == ["0", "1", "2"]


def test_what_lies_on_the_disk_goes_through_a_checkpoint_and_no_barrier_waits_for_it(tmp_path: Path) -> None:
    """The source is at its end long before: only what overtakes 2,000 items can be kept in time."""

    async def stopping(item: int) -> int:
        nonlocal calls
        calls += 1
        if calls == stop:
            raise RuntimeError("struck by lightning")
        await asyncio.sleep(0.001)
        return item

    def flow() -> sf.Runnable:
        spilling = sf.flow(range(2_000)).buffer(20, "1MB", overflow="spill")
        return spilling.map(stopping, concurrency=1, name="slow").to(tmp_path / "out.jsonl")

    async def main() -> None:
        nonlocal stop, calls
        restored = []
        for at in (300, 400, 500, 0):
            stop, calls = at, 0
            handle = flow().start(checkpoint=tmp_path / "ckpt", every=0.05)
            with suppress(RuntimeError):
                await handle.wait()
            edge = next(edge for edge in handle.statistics().edges if edge.max_spilled_bytes)
            restored.append(edge.restored)
            assert edge.conserved
        assert restored[0] == 0
        assert all(restored[1:]), "a later run had nothing of the edge to go on with"

    stop = calls = 0
    with check_leaks():
        run(main)
    assert (tmp_path / "out.jsonl").read_text().split() == [str(n) for n in range(2_000)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ckpt", "out.jsonl"]
