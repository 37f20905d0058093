"""Operators that keep time, on a virtual clock; barriers and checkpoints through every kind of stage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import FaultySource, run


def now() -> float:
    return round(asyncio.get_running_loop().time(), 6)


def arriving(*gaps: float) -> Any:
    """Return a source of 0, 1, 2, … each after its gap."""

    async def source() -> AsyncIterator[int]:
        for n, gap in enumerate(gaps):
            await asyncio.sleep(gap)
            yield n

    return source


def timed(flow: sf.Flow[Any]) -> list[tuple[float, Any]]:
    async def main() -> list[tuple[float, Any]]:
        began = now()
        out: list[tuple[float, Any]] = []
        await flow.to(lambda item: out.append((round(now() - began, 3), item))).run()
        return out

    return run(main)


def test_a_batch_leaves_when_it_is_full_or_its_first_item_has_waited() -> None:
    flow = sf.flow(arriving(0, 0.1, 0.1, 0.1, 5, 0.1)).batch(3, within=1)
    assert timed(flow) == [(0.2, [0, 1, 2]), (1.3, [3]), (5.4, [4, 5])]


def test_throttle_lets_so_many_pass_in_any_period() -> None:
    times = [at for at, _ in timed(sf.flow(range(7)).throttle(2, per=1))]
    assert times == [0, 0, 1, 1, 2, 2, 3]


def test_debounce_hands_on_what_has_stood_its_time_and_the_last() -> None:
    assert timed(sf.flow(arriving(0, 0.1, 0.1, 2, 0.1)).debounce(0.5)) == [(0.7, 2), (2.3, 4)]


def test_timeout_fails_when_nothing_comes() -> None:
    assert timed(sf.flow(arriving(0, 0.5, 0.5)).timeout(1)) == [(0, 0), (0.5, 1), (1, 2)]
    with pytest.raises(sf.ItemTimeout, match="no item arrived for 1 s"):
        timed(sf.flow(arriving(0, 5)).timeout(1))


@pytest.mark.parametrize(
    "timer",
    [lambda flow: flow.batch(10, within=1), lambda flow: flow.debounce(1).map(lambda item: [item])],
    ids=["batch within", "debounce"],
)
@pytest.mark.parametrize("pauses", [(), ((0.4, 0.4),), ((0.2, 100), (0.3, 7), (0.1, 0.95))])
def test_timers_stand_still_while_a_run_is_paused(timer: Any, pauses: tuple[tuple[float, float], ...]) -> None:
    async def main() -> None:
        inbox: sf.Inbox[int] = sf.inbox(10)
        out: list[tuple[float, list[int]]] = []
        flow = timer(sf.flow(inbox)).to(lambda items: out.append((now(), items)))
        async with flow.start() as handle:
            began = now()
            await inbox.send(1)
            await asyncio.sleep(0.001)
            for running, standing in pauses:
                await asyncio.sleep(running)
                await handle.pause()
                await asyncio.sleep(standing)
                await handle.resume()
            await asyncio.sleep(200)
            assert out == [(pytest.approx(began + 1 + sum(standing for _, standing in pauses), abs=0.002), [1])]
            inbox.close()

    run(main)


def test_a_timeout_does_not_count_the_time_of_a_pause() -> None:
    async def main() -> None:
        inbox: sf.Inbox[int] = sf.inbox(10)
        began = now()
        with pytest.raises(sf.ItemTimeout):
            async with sf.flow(inbox).timeout(1).to(None).start() as handle:
                await asyncio.sleep(0.5)
                await handle.pause()
                await asyncio.sleep(100)
                await handle.resume()
                await handle.wait()
        assert now() - began == pytest.approx(101, abs=0.01)

    run(main)


def test_one_item_passes_an_idle_flow_at_once() -> None:
    flow = sf.flow(arriving(1, 3, 3)).map(lambda n: n).buffer().map(lambda n: n).buffer().filter(lambda n: True)
    assert timed(flow) == [(1, 0), (4, 1), (7, 2)]


def add(total: int, n: int) -> int:
    return total + n


async def slowly(n: int) -> int:
    await asyncio.sleep(0.001 * (n % 3))
    return n


def numbers(count: int) -> sf.Flow[int]:
    """Return a source that can be sought, and gives a few items at a time."""
    return sf.flow(FaultySource(items=range(count), batch=7, can_seek=True, delay=0.001))


SHAPES = {
    "fused": lambda: numbers(300).map(lambda n: n + 1).scan(add, 0).distinct().batch(7),
    "edges": lambda: numbers(300).buffer(3).scan(add, 0).buffer(1).skip(10).batch(4),
    "concurrent": lambda: numbers(300).map(slowly, concurrency=5).scan(add, 0),
    "unordered": lambda: numbers(300).map(slowly, concurrency=5, ordered=False).map(lambda n: 1).scan(add, 0),
    "expand": lambda: numbers(100).map(slowly, concurrency=5).flat_map(lambda n: [n] * 3).scan(add, 0),
    "concat": lambda: sf.concat(numbers(100).map(slowly), numbers(100).map(slowly)).scan(add, 0),
    "zip": lambda: sf.zip(numbers(200).map(slowly, concurrency=3), numbers(200)).map(sum).scan(add, 0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_resumed_from_a_checkpoint_writes_what_an_unbroken_one_would(shape: str) -> None:
    async def main(turns: int) -> None:
        whole = await SHAPES[shape]().collect()
        written: list[Any] = []
        at_barrier: list[int] = []
        async with SHAPES[shape]().to(noting(written, at_barrier)).start() as handle:
            for _ in range(turns):
                await asyncio.sleep(0)
            checkpoint = await handle.checkpoint()
            await handle.cancel()
        rest: list[Any] = []
        await SHAPES[shape]().to(rest).run(resume=checkpoint)
        assert written[: at_barrier[0]] + rest == whole

    for turns in (1, 3, 7, 12, 20):
        run(lambda turns=turns: main(turns))


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
            assert (1, 2) in checkpoint.parts.values()
            await inbox.send(3)
            await asyncio.sleep(1)
            assert out == [[1, 2, 3]]
            await handle.drain()

    run(main)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 5))
def test_questions_get_their_own_answers_also_in_micro_batches(items: list[int], size: int) -> None:
    async def main() -> None:
        inbox = sf.inbox(3)

        def squares(numbers: list[int]) -> list[int]:
            return [n * n for n in numbers]

        flow = sf.flow(inbox).filter(lambda n: n != 13).batch(size, within=0.01).map(squares).unbatch()
        async with flow.to(inbox.answers).start() as handle:
            answers = await asyncio.gather(*(inbox.ask(n) for n in items), return_exceptions=True)
            await handle.drain()
        for n, answer in zip(items, answers, strict=True):
            assert isinstance(answer, sf.NoResult) if n == 13 else answer == n * n

    run(main)


def test_a_question_that_fails_gets_the_users_error_and_none_waits_for_ever() -> None:
    async def main() -> None:
        inbox = sf.inbox(10)

        async def inverse(n: int) -> float:
            await asyncio.sleep(1)
            return 1 / n

        async with sf.flow(inbox).map(inverse, concurrency=3, on_error="skip").to(inbox.answers).start() as handle:
            with pytest.raises(ZeroDivisionError):
                await inbox.ask(0)
            assert await inbox.ask(4) == 0.25
            waiting = asyncio.ensure_future(inbox.ask(1))
            await asyncio.sleep(0.5)
            await handle.cancel()
            with pytest.raises(sf.NoResult):
                await waiting

    run(main)
