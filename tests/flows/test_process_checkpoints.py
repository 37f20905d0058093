"""What a processor remembers, through a checkpoint at any place: what is resumed goes on as if unbroken."""

from __future__ import annotations

import asyncio
import math
import pickle
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.model.checkpoint import Checkpoint
from streamflow.operators import timers
from streamflow.testing import FaultySource, run
from tests.flows.test_checkpoints import noting
from tests.flows.test_durable import Disk, Kept, Store, stopping_at
from tests.flows.test_process import ITEMS, LATENESS, at, deeds, expected, later, whose

#: Items that go on and step back, and of which many set timers.
MANY = [
    ((n * 41) % 60 / 4 + n / 3, ["a", "b", None, 3, math.nan][n * 7 % 5], [("set", n % 4), ("timer", n % 7)])
    for n in range(90)
]


async def slow(inbox: Any, out: Any, state: sf.KeyState) -> None:
    async def slowly(item: Any) -> None:
        await asyncio.sleep(0.0003)
        await out(item)

    await deeds(inbox, slowly, state)


async def impatient(inbox: Any, out: Any, state: sf.KeyState) -> None:
    """Count the items of each key, and give up waiting all the time, doing something meanwhile."""
    while True:
        try:
            async with asyncio.timeout(0.0004):
                event = await anext(inbox)
        except TimeoutError:
            with suppress(sf.FlowError):
                state.set(state.get())
            continue
        except StopAsyncIteration:
            return
        state.set((state.get() or 0) + 1)
        await out((str(event.key), state.get()))


async def summing(inbox: Any, out: Any, state: sf.KeyState) -> None:
    async for event in inbox:
        state.set(state.get(0) + 1)
        if state.get() % 10 == 0:
            await out((str(event.key), state.get()))
    await out("end")


async def few(inbox: Any, out: Any, state: sf.KeyState) -> None:
    async for event in inbox:
        state.set(state.get(0) + 1)
        await out((str(event.key), state.get()))
        if state.get() == 9:
            return


def timed(items: list[Any] = MANY, batch: int = 7) -> sf.Flow[Any]:
    flow = sf.flow(FaultySource(items=items, batch=batch, can_seek=True, delay=0.001))
    return flow.event_time(at, max_lateness=LATENESS)


def windowed(flow: sf.Flow[Any]) -> sf.Flow[Any]:
    return flow.key_by(lambda one: one[1]).window(sf.tumbling(5)).collect()


SHAPES = {
    "deeds": lambda: timed().key_by(whose).process(deeds),
    "slow": lambda: timed().key_by(whose).process(slow),
    "edge": lambda: timed().map(later, concurrency=3).key_by(whose).process(deeds).buffer(2),
    "windows": lambda: windowed(timed().key_by(whose).process(deeds)),
    "impatient": lambda: timed().key_by(whose).process(impatient),
    "untimed": lambda: (
        sf.flow(FaultySource(items=MANY, batch=3, can_seek=True, delay=0.001)).key_by(whose).process(summing)
    ),
    "early": lambda: timed().key_by(whose).process(few).map(later),
    "several": lambda: timed().key_by(whose).process(slow, concurrency=3).map(lambda one: (*one[:3], *one[4:])),
}
ANY_ORDER = ("several",)


def same(shape: str, found: list[Any], whole: list[Any]) -> None:
    if shape in ANY_ORDER:
        assert sorted(found, key=repr) == sorted(whole, key=repr)
    else:
        assert found == whole
    assert whole


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=4)
@given(st.lists(st.floats(0, 0.02), min_size=1, max_size=2))
def test_a_run_resumed_from_a_checkpoint_writes_what_an_unbroken_one_would(shape: str, waits: list[float]) -> None:
    async def main() -> None:
        whole = await SHAPES[shape]().collect()
        same(shape, await broken(SHAPES[shape], waits), whole)

    run(main)


async def broken(make: Any, waits: list[float]) -> list[Any]:
    """Run a flow, broken off behind a checkpoint after each wait; return what was written in all."""
    kept: list[Any] = []
    resume: Any = "auto"
    for wait in waits:
        written: list[Any] = []
        at_barrier: list[int] = []
        async with make().to(noting(written, at_barrier)).start(resume=resume) as handle:
            await asyncio.sleep(wait)
            if handle.state == "finished":
                return kept + written
            try:
                taken = await handle.checkpoint()
            except sf.FlowError:  # it has ended meanwhile
                await handle.wait()
                return kept + written
            # As if it had been to the disk: nothing of it is shared with the run, and all of it is plain data.
            resume = Checkpoint(taken.epoch, pickle.loads(pickle.dumps(taken.parts)))
            kept += written[: at_barrier[0]]
            await asyncio.sleep(0.002)
            assert repr(taken.parts) == repr(resume.parts)  # it is not changed by what has come since
            await handle.cancel()
    rest: list[Any] = []
    await make().to(rest).run(resume=resume)
    return kept + rest


@settings(max_examples=20)
@given(ITEMS, st.integers(1, 4), st.lists(st.floats(0, 0.012), min_size=1, max_size=3))
def test_whatever_the_items_are_and_wherever_it_is_broken(items: list[Any], batch: int, waits: list[float]) -> None:
    async def main() -> None:
        found = await broken(lambda: timed(items, batch).key_by(whose).process(deeds), waits)
        assert found == expected(items)

    run(main)


@pytest.mark.parametrize("shape", ["deeds", "windows", "early", "several", "untimed"])
@settings(max_examples=2, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=2), st.sampled_from(["fail", "cancel", "drain"]))
def test_whatever_ends_a_run_the_next_goes_on_from_the_disk(shape: str, ends: list[int], how: str) -> None:
    async def main() -> None:
        whole = await SHAPES[shape]().collect()
        store, disk = Store(), Disk()
        for end in ends:
            options: dict[str, Any] = {"checkpoint": store, "every": 0.01}
            if how == "fail":
                with suppress(RuntimeError):
                    await stopping_at(SHAPES[shape](), end).to(Kept(disk)).run(**options)
                continue
            async with SHAPES[shape]().tap(lambda _: None).to(Kept(disk)).start(**options) as handle:
                await asyncio.sleep(end * 0.001)
                await (handle.cancel() if how == "cancel" else handle.drain())
        await SHAPES[shape]().tap(lambda _: None).to(Kept(disk)).run(checkpoint=store, every=0.01)
        assert disk.published is not None
        same(shape, disk.published, whole)

    run(main)


def test_on_suspend_no_timer_fires_and_the_clock_goes_on_where_it_stood() -> None:
    async def alarm(inbox: Any, out: Any, state: sf.KeyState) -> None:
        async for event in inbox:
            if isinstance(event, sf.Timer):
                await out((event.key, event.time, state.now >= event.time))
            else:
                state.set_timer(10)
                state.set_timer(state.now + 60)
        await out("end")

    async def main() -> None:
        store, disk, inbox = Store(), Disk(), sf.inbox(10)
        options: dict[str, Any] = {"checkpoint": store, "every": 1000}
        async with sf.flow(inbox).key_by(str).process(alarm).to(Kept(disk)).start(**options) as handle:
            await inbox.send("a")
            await asyncio.sleep(4)
            assert (await handle.drain()).state == "suspended"
        assert disk.written == []
        await asyncio.sleep(5000)
        loop = asyncio.get_running_loop()
        rest, began = sf.inbox(10), loop.time()
        async with sf.flow(rest).key_by(str).process(alarm).to(Kept(disk)).start(**options) as handle:
            await asyncio.sleep(5.9)
            assert disk.written == []
            await asyncio.sleep(0.2)
            assert disk.written == [("a", 10.0, True)]
            await asyncio.sleep(60)
            assert [one[0] for one in disk.written] == ["a", "a"]
            assert math.isclose(disk.written[1][1], 60, abs_tol=0.01)
            assert loop.time() - began < 70
            await handle.drain(finish=True)
        assert disk.published is not None
        assert disk.published[2:] == ["end"]

    run(main)


def test_more_coroutines_take_over_what_fewer_remembered() -> None:
    async def main() -> None:
        async def counting(inbox: Any, out: Any, state: sf.KeyState) -> None:
            async for event in inbox:
                state.set(state.get(0) + 1)
                await out((event.key, state.get()))

        def flow(several: int) -> sf.Flow[Any]:
            source = FaultySource(items=range(60), batch=3, can_seek=True, delay=0.001)
            return sf.flow(source).key_by(lambda n: n % 7).process(counting, concurrency=several)

        resume: Any = "auto"
        for several in (1, 3, 2):
            async with flow(several).to(None).start(resume=resume) as handle:
                await asyncio.sleep(0.005)
                resume = await handle.checkpoint()
                await handle.cancel()
        out = await flow(2).collect(resume=resume)
        assert [max(n for key, n in out if key == k) for k in range(7)] == [9, 9, 9, 9, 8, 8, 8]

    run(main)


def test_it_is_not_done_again_when_it_has_returned() -> None:
    async def main() -> None:
        async def total(inbox: Any, out: Any, state: sf.KeyState) -> None:
            async for _ in inbox:
                pass
            await out("total")

        async def longer(item: Any) -> Any:
            await asyncio.sleep(5)
            return item

        flow = sf.flow(FaultySource(items=range(5), can_seek=True)).key_by(str).process(total).map(longer)
        out: list[Any] = []
        async with flow.to(out.append).start() as handle:
            await asyncio.sleep(1)
            taking = asyncio.create_task(handle.checkpoint())
            taken = await taking
            await handle.cancel()
        assert out == ["total"]
        assert await flow.collect(resume=taken) == []

    run(main)


def test_what_is_kept_is_plain_data_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "KEYS_A_CHUNK", 2)

    async def main() -> None:
        async with timed().key_by(whose).process(deeds, name="p").to(None).start() as handle:
            await asyncio.sleep(0.006)
            taken = await handle.checkpoint()
            await handle.cancel()
        part = taken.parts["p"]
        assert msgspec.msgpack.encode(part)
        assert len(part) >= 3
        assert all(len(piece) <= 3 for piece in part)

    run(main)


def test_another_function_or_another_clock_does_not_take_it_over() -> None:
    async def main() -> None:
        store = Store()
        with suppress(RuntimeError):
            await stopping_at(SHAPES["deeds"](), 30).to(Kept(Disk())).run(checkpoint=store, every=0.01)
        source = FaultySource(items=MANY, batch=7, can_seek=True, delay=0.001)
        with pytest.raises(sf.CheckpointMismatch, match="timers by event time"):
            await sf.flow(source).key_by(whose).process(deeds).to(Kept(Disk())).run(checkpoint=store)

    run(main)
