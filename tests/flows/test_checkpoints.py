"""Barriers and checkpoints through every kind of stage: what is resumed goes on as if unbroken."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.model import events
from streamflow.model.checkpoint import Checkpoint
from streamflow.testing import FaultySink, FaultySource, InjectedError, run


def add(total: int, n: int) -> int:
    return total + n


async def slowly(n: int) -> int:
    await asyncio.sleep(0.001 * (n % 3))
    return n


def numbers(count: int) -> sf.Flow[int]:
    """Return a source that can be sought, and gives a few items at a time."""
    return sf.flow(FaultySource(items=range(count), batch=7, can_seek=True, delay=0.001))


async def thrice(n: int) -> Any:
    for _ in range(3):
        await asyncio.sleep(0.0005)
        yield n


def shared(flow: sf.Flow[int]) -> sf.Flow[int]:
    """Part and join: every item comes out, those of each side in order."""
    odd, even = flow.branch(lambda n: n % 2)
    return sf.merge(odd.map(slowly, concurrency=2), even.buffer(1)).map(lambda n: 1)


def keyed(count: int, *, slow: bool = False) -> sf.KeyedFlow[int, int]:
    """Return numbers by key, out of order by up to 5 seconds, some of which are late."""
    timed = numbers(count).event_time(lambda n: n - n * 7919 % 13, max_lateness=5)
    return (timed.map(slowly, concurrency=4) if slow else timed.buffer(3)).key_by(lambda n: n % 5)


def joined(**options: Any) -> sf.Flow[Any]:
    return keyed(200, slow=True).join(keyed(150), **options)


SHAPES = {
    "fused": lambda: numbers(300).map(lambda n: n + 1).scan(add, 0).distinct().batch(7),
    "edges": lambda: numbers(300).buffer(3).scan(add, 0).buffer(1).skip(10).batch(4),
    "concurrent": lambda: numbers(300).map(slowly, concurrency=5).scan(add, 0),
    "unordered": lambda: numbers(300).map(slowly, concurrency=5, ordered=False).map(lambda n: 1).scan(add, 0),
    "expand": lambda: numbers(100).map(slowly, concurrency=5).flat_map(lambda n: [n] * 3).scan(add, 0),
    "concat": lambda: sf.concat(numbers(100).map(slowly), numbers(100).map(slowly)).scan(add, 0),
    "async expand": lambda: numbers(60).flat_map(thrice).scan(add, 0),
    "merge": lambda: sf.merge(numbers(40), numbers(150).map(slowly, concurrency=2), numbers(5)).map(lambda n: 1),
    "shared": lambda: shared(numbers(120)).scan(add, 0),
    "within": lambda: numbers(120).batch(9, within=0.002).unbatch().scan(add, 0),
    "throttle": lambda: numbers(60).throttle(5, per=0.004).scan(add, 0),
    "take": lambda: numbers(400).map(slowly, concurrency=3).take(90).buffer(2).scan(add, 0),
    "zip": lambda: sf.zip(numbers(200).map(slowly, concurrency=3), numbers(200)).map(sum).scan(add, 0),
    "join in windows": lambda: joined(window=sf.sliding(20, 10), how="outer"),
    "join as of": lambda: (
        keyed(200, slow=True).join_asof(keyed(150), tolerance=9, name="as of").map(lambda pair: pair.right)
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=12)
@given(st.lists(st.floats(0, 0.05), min_size=1, max_size=3))
def test_a_run_resumed_from_a_checkpoint_writes_what_an_unbroken_one_would(shape: str, waits: list[float]) -> None:
    async def main() -> None:
        whole = await SHAPES[shape]().collect()
        kept: list[Any] = []
        resume: Checkpoint | None = None
        for wait in waits:
            written: list[Any] = []
            at_barrier: list[int] = []
            async with SHAPES[shape]().to(noting(written, at_barrier)).start(resume=resume or "auto") as handle:
                await asyncio.sleep(wait)
                if handle.state != "finished":
                    resume = await handle.checkpoint()
                    kept += written[: at_barrier[0]]
                    await handle.cancel()
                else:
                    kept += written
                    break
        else:
            rest: list[Any] = []
            await SHAPES[shape]().to(rest).run(resume=resume)
            kept += rest
        assert kept == whole

    run(main)


def noting(written: list[Any], at_barrier: list[int]) -> Any:
    """Return a sink that notes how much it had written when it was asked to prepare."""
    from dataclasses import dataclass

    from streamflow.model.interfaces import InlineWriter, Sink

    class NotingWriter(InlineWriter[Any]):
        def put(self, item: Any, /) -> object:
            return written.append(item)

        async def prepare(self, epoch: int) -> int:
            at_barrier.append(len(written))
            return len(written)

    @dataclass(frozen=True, kw_only=True)
    class Noting(Sink[Any]):
        @property
        def inline(self) -> bool:
            return True

        async def open(self, bounded: bool) -> NotingWriter:
            return NotingWriter()

    return Noting()


def test_every_stage_takes_its_part_of_a_checkpoint_exactly_once() -> None:
    async def main() -> None:
        left, right = sf.flow(sf.inbox(5)).branch(lambda n: n % 2)
        flow = sf.merge(left.map(slowly, concurrency=3), right.batch(3, within=1).unbatch(), sf.flow(sf.inbox(2)))
        async with flow.throttle(5).debounce(0.1).to(None).start() as handle:
            first, second = await handle.checkpoint(), await handle.checkpoint()
            assert (first.epoch, second.epoch) == (1, 2)
            assert len({key for stage in handle.plan.stages for key in stage.keys}) == sum(
                len(s.keys) for s in handle.plan.stages
            )
            assert {"inbox", "inbox #2", "Null"} <= set(first.parts)
            await handle.cancel()

    run(main)


def test_a_partial_batch_is_state_and_a_barrier_does_not_flush_it() -> None:
    async def main() -> None:
        inbox = sf.inbox(10)
        out: list[list[int]] = []
        async with sf.flow(inbox).batch(3, within=1000).to(out).start() as handle:
            await inbox.send(1)
            await inbox.send(2)
            await asyncio.sleep(1)
            checkpoint = await handle.checkpoint()
            assert out == []
            assert [(1, 2)] in checkpoint.parts.values()
            await inbox.send(3)
            await asyncio.sleep(1)
            assert out == [[1, 2, 3]]
            await handle.drain()

    run(main)


def test_what_has_ended_before_a_checkpoint_is_not_read_again() -> None:
    async def main() -> None:
        def flow(out: list[int]) -> sf.Runnable:
            short = sf.flow(FaultySource(items=range(5), name="short"))
            return sf.merge(short, sf.flow(FaultySource(items=range(100, 120), batch=1, delay=1))).to(out)

        written: list[int] = []
        at_barrier: list[int] = []
        async with flow(noting(written, at_barrier)).start() as handle:
            await asyncio.sleep(7.5)  # the short one has ended long ago
            checkpoint = await handle.checkpoint()
            await handle.cancel()
        assert checkpoint.parts["short"][0].index == 5
        rest: list[int] = []
        await flow(rest).run(resume=checkpoint)
        assert sorted(written[: at_barrier[0]] + rest) == [*range(5), *range(100, 120)]

    run(main)


def test_a_sink_that_is_done_still_takes_its_part() -> None:
    async def main() -> None:
        quick, slow = FaultySink(), FaultySink(name="slow")
        short = sf.flow(range(3)).to(quick)
        long = sf.flow(FaultySource(items=range(20), batch=1, delay=1)).to(slow)
        async with sf.together(short, long).start() as handle:
            await asyncio.sleep(5.5)
            checkpoint = await handle.checkpoint()
            assert {"faulty", "slow"} <= set(checkpoint.parts)
            assert quick.log.visible == [0, 1, 2]
            assert slow.log.visible == [0, 1, 2, 3, 4]
        quick.log.check()
        slow.log.check()
        assert slow.log.visible == [*range(20)]

    run(main)


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=6), st.booleans())
def test_a_writer_is_asked_for_one_thing_at_a_time(gaps: list[float], buffered: bool) -> None:
    async def main() -> None:
        sink = FaultySink(delay=0.03)
        flow = sf.flow(FaultySource(items=range(30), batch=2, delay=0.01))
        async with (flow.buffer(1) if buffered else flow).to(sink).start() as handle:
            for gap in gaps:
                await asyncio.sleep(gap)
                with suppress(sf.FlowError):  # it is at its end
                    await handle.checkpoint()
        sink.log.check()  # it notes calls that overlap
        assert sink.log.visible == [*range(30)]
        assert sink.log.committed == sink.log.prepared

    run(main)


def test_what_was_prepared_and_never_committed_is_undone() -> None:
    async def main() -> None:
        stuck, ready = FaultySink(hang_in="prepare"), FaultySink()
        numbers = sf.flow(FaultySource(items=range(9), endless=True))
        async with sf.together(numbers.to(ready), numbers.to(stuck)).start() as handle:
            await asyncio.sleep(1)
            waiting = asyncio.ensure_future(handle.checkpoint())
            await asyncio.sleep(1)
            assert "prepare" in ready.log.methods()
            await handle.cancel()
            with pytest.raises(sf.FlowError, match="the run ended"):
                await waiting
        for sink in (stuck, ready):
            sink.log.check()
            assert sink.log.methods()[-2:] == ["abort", "close"]
            assert sink.log.committed == 0
            assert sink.log.visible == []

    run(main)


@pytest.mark.parametrize("method", ["prepare", "commit"])
@pytest.mark.parametrize("ended", [False, True], ids=["living", "ended"])
def test_a_sink_that_cannot_take_its_part_fails_whoever_asked(method: str, ended: bool) -> None:
    async def main() -> None:
        sink = FaultySink(fail_in=method)
        flow = sf.flow(range(3) if ended else FaultySource(items=range(3), endless=True)).to(sink)
        other = sf.flow(FaultySource(items=range(3), endless=True)).to([])
        handle = sf.together(flow, other).start()
        await asyncio.sleep(1)
        with pytest.raises((InjectedError, sf.FlowError)):
            await handle.checkpoint()
        if ended:  # nothing of the run depends on it any more
            assert handle.state == "running"
            await handle.cancel()
        else:
            with pytest.raises(InjectedError):
                await handle.wait()
        sink.log.check()

    run(main)


@pytest.mark.parametrize("state", ["draining", "cancelled", "finished", "failed"])
def test_there_is_no_checkpoint_of_a_run_that_is_over(state: str) -> None:
    async def main() -> None:
        source = FaultySource(items=[1], endless=state != "finished", fail_in="open" if state == "failed" else None)
        handle = sf.flow(source).to(FaultySink(hang_in="write" if state == "draining" else None)).start()
        await asyncio.sleep(1)
        ending: Any = None
        if state == "draining":
            ending = asyncio.ensure_future(handle.drain(timeout=5))
        elif state == "cancelled":
            await handle.cancel()
        await asyncio.sleep(1)
        assert handle.state == state
        with pytest.raises(sf.FlowError, match=f"the run is {state}"):
            await handle.checkpoint()
        if ending is not None:
            await ending
        if state == "failed":
            with pytest.raises(InjectedError):
                await handle.wait()

    run(main)


def test_checkpoints_asked_for_at_once_all_come_in_order() -> None:
    async def main() -> None:
        told: list[events.Event] = []
        numbers = sf.flow(FaultySource(items=range(50), batch=1, delay=0.01))
        flow = sf.merge(numbers.map(slowly, concurrency=4), numbers.buffer(1)).to(FaultySink(delay=0.02))
        async with flow.start(on_event=told.append) as handle:
            await asyncio.sleep(0.1)
            checkpoints = await asyncio.gather(*(handle.checkpoint() for _ in range(5)))
        assert [one.epoch for one in checkpoints] == [1, 2, 3, 4, 5]
        epochs = [event.epoch for event in told if isinstance(event, events.CheckpointCommitted)]
        assert epochs == [1, 2, 3, 4, 5]

    run(main)
