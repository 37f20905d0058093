"""Operators that keep time, on a virtual clock, and questions to an inbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import VirtualLoop, run


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


@given(st.floats(0, 1e4), st.floats(1e-9, 5))
def test_throttle_never_wakes_for_nothing(start: float, per: float) -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await asyncio.sleep(start)
        times: list[float] = []
        await sf.flow(range(7)).throttle(2, per=per).to(lambda _: times.append(loop.time())).run()
        # A sleep that rounding has cut short would be slept again, at the same time, for ever. (The watch turns, too.)
        assert loop.turns < 200 + 40 * (loop.time() - start)
        return times

    times = run(main)
    assert all(late >= early + per for early, late in zip(times, times[2:], strict=False))


def test_a_throttle_that_waits_for_its_time_is_no_standstill(caplog: pytest.LogCaptureFixture) -> None:
    times = [at for at, _ in timed(sf.flow(range(3)).throttle(1, per=500))]
    assert times == [0, 500, 1000]
    assert caplog.records == []


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
