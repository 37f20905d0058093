"""Virtual time jumps when nothing else can happen, and never when something can."""

from __future__ import annotations

import asyncio
import doctest
import math
import os
import random
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.testing import LoopDeadlock, VirtualLoop, explore, hold, run, virtual_clock

SLOW = 0.05  # real seconds of work in another thread: long against every look of the loop


def now() -> float:
    return asyncio.get_running_loop().time()


def block(seconds: float) -> float:
    """Be a thread's blocking call (it is not the test that waits for time to pass)."""
    threading.Event().wait(seconds)
    return seconds


def test_the_examples_run() -> None:
    assert doctest.testmod(virtual_clock).failed == 0


def test_hours_pass_in_no_time() -> None:
    async def main() -> float:
        for _ in range(36_000):
            await asyncio.sleep(0.1)
        return now()

    began = time.process_time()
    assert run(main) == pytest.approx(3600)
    assert time.process_time() - began < 30


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main() -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []

        async def one(name: str, delay: float) -> None:
            await asyncio.sleep(delay)
            seen.append((name, now()))

        await asyncio.gather(one("late", 3.0), one("early", 1.0), one("middle", 2.0))
        return seen

    assert run(main) == [("early", 1.0), ("middle", 2.0), ("late", 3.0)]


def test_a_timeout_fires_at_its_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return now()

    assert run(main) == 60.0


@pytest.mark.parametrize("start", [1.0, 1e6, 3e7, 1e9, 1e12])
def test_a_century_of_timers_does_not_stand_still(start: float) -> None:
    """From 2**24 s on, asyncio's `time() + resolution` is `time()`: a naive jump would loop for ever."""

    async def main() -> float:
        await asyncio.sleep(start)
        for _ in range(10):
            await asyncio.sleep(0.3)
        return now()

    assert run(main, horizon=math.inf) == pytest.approx(start + 3, abs=0.01)


def test_a_coroutine_may_be_given_as_well_as_a_function() -> None:
    async def main() -> int:
        return 7

    assert run(main()) == run(main) == 7


def test_it_leaves_no_loop_behind() -> None:
    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loop = run(main)
    assert isinstance(loop, VirtualLoop)
    assert loop.is_closed()


# seeds


def test_the_same_seed_gives_the_same_order_and_others_give_others() -> None:
    async def main() -> tuple[int, ...]:
        order: list[int] = []

        async def one(number: int) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
                order.append(number)

        await asyncio.gather(*map(one, range(6)))
        return tuple(order)

    assert run(main) == tuple(range(6)) * 3
    found = [run(main, seed=seed) for seed in range(30)]
    assert found == [run(main, seed=seed) for seed in range(30)]
    assert len(set(found)) > 20


def test_callbacks_keep_their_order_under_any_seed() -> None:
    async def main() -> list[int]:
        order: list[int] = []
        for number in range(10):
            asyncio.get_running_loop().call_soon(order.append, number)
        await asyncio.sleep(1)
        return order

    assert explore(main, seeds=20) == [list(range(10))] * 20


def test_streams_work_under_any_seed() -> None:
    async def main() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"got " + await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"this\n")
            async with asyncio.timeout(5):
                found = await reader.read()
            writer.close()
            await writer.wait_closed()
            return found

    assert explore(main, seeds=20) == [b"got this\n"] * 20


def test_exploring_finds_a_race_and_names_the_seed() -> None:
    async def main() -> None:
        ready = False

        async def provide() -> None:
            nonlocal ready
            ready = True

        async def need() -> None:
            assert ready, "used before it was there"

        async with asyncio.TaskGroup() as group:
            group.create_task(provide())
            group.create_task(need())

    run(main)  # the usual order hides it
    with pytest.raises(ExceptionGroup) as caught:
        explore(main, seeds=50)
    (note,) = caught.value.__notes__
    seed = int(note.partition("seed=")[2].partition(":")[0])
    with pytest.raises(ExceptionGroup):
        run(main, seed=seed)


def test_a_seed_leaves_the_global_random_state_alone() -> None:
    async def main() -> None:
        await asyncio.gather(*[asyncio.sleep(0) for _ in range(5)])

    before = random.getstate()
    run(main, seed=1)
    assert random.getstate() == before


# threads, descriptors, processes


def test_time_stands_still_while_an_executor_works() -> None:
    async def main() -> tuple[float, float]:
        found = await asyncio.wait_for(asyncio.to_thread(block, SLOW), timeout=0.001)
        return found, now()

    assert run(main) == (SLOW, 0.0)


def test_timers_beside_an_executor_fire_after_it() -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def tick() -> None:
            await asyncio.sleep(1)
            seen.append("tick")

        async def work() -> None:
            await asyncio.to_thread(block, SLOW)
            seen.append("work")

        await asyncio.gather(tick(), work())
        return seen

    assert run(main) == ["work", "tick"]


def test_an_executor_call_that_never_returns_does_not_stop_time_for_ever() -> None:
    release = threading.Event()

    async def main() -> float:
        try:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(release.wait), timeout=10)
            for _ in range(100):  # it was given up once, and costs no patience again
                await asyncio.sleep(1)
            return now()
        finally:
            release.set()

    began = time.monotonic()
    assert run(main, patience=0.1) == 110.0
    assert time.monotonic() - began < 5


def test_a_thread_of_ones_own_at_work_is_waited_for() -> None:
    if sys.platform != "linux":
        pytest.skip("whether a thread works can be seen on Linux only")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def work() -> None:
            until = time.monotonic() + SLOW
            while time.monotonic() < until:
                pass
            loop.call_soon_threadsafe(done.set)

        thread = threading.Thread(target=work)
        thread.start()
        async with asyncio.timeout(0.001):
            await done.wait()
        thread.join()
        return now()

    assert run(main) == 0.0


def test_a_sleeping_thread_is_waited_for_inside_hold() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def work() -> None:
            block(SLOW)
            loop.call_soon_threadsafe(done.set)

        thread = threading.Thread(target=work)
        thread.start()
        with hold("the thread will call in"):
            async with asyncio.timeout(0.001):
                await done.wait()
        thread.join()
        return now()

    assert run(main) == 0.0


def test_hold_does_nothing_on_another_loop() -> None:
    async def main() -> str:
        with hold():
            return "done"

    assert asyncio.run(main()) == "done"


def test_a_sleeping_thread_that_nobody_expects_does_not_hold_time() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()

    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(1)
        return now()

    try:
        began = time.monotonic()
        assert run(main) == 1000.0
        assert time.monotonic() - began < 10
    finally:
        release.set()
        thread.join()


def test_an_open_connection_does_not_hold_time_and_loses_nothing() -> None:
    async def main() -> tuple[float, bytes]:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        for _ in range(100):
            await asyncio.sleep(1)
        theirs.send(b"hello\n")
        async with asyncio.timeout(0.001):
            found = await reader.readline()
        writer.close()
        await writer.wait_closed()
        theirs.close()
        return now(), found

    assert run(main) == (100.0, b"hello\n")


def test_a_child_process_at_work_is_waited_for() -> None:
    if sys.platform != "linux":
        pytest.skip("whether a process works can be seen on Linux only")
    code = "import time; until = time.monotonic() + 0.1\nwhile time.monotonic() < until: pass\nprint('done')"

    async def main() -> tuple[bytes, float]:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
        async with asyncio.timeout(3600):
            found, _ = await child.communicate()
        return found, now()

    found, _ = run(main)
    assert found == b"done\n"


def test_a_custom_default_executor_is_kept() -> None:
    from concurrent.futures import ThreadPoolExecutor

    async def main() -> str:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="mine"))
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    assert run(main).startswith("mine")


# deadlocks


def test_a_deadlock_is_named_at_once() -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(wait_for_ever(), name="the one that hangs")

    began = time.monotonic()
    with pytest.raises(LoopDeadlock) as caught:
        run(main)
    assert time.monotonic() - began < 2
    assert "'the one that hangs'" in str(caught.value)
    assert "wait_for_ever" in str(caught.value)
    assert "test_virtual_clock.py" in str(caught.value)


def test_a_deadlock_cleans_up() -> None:
    seen: list[str] = []

    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    with pytest.raises(LoopDeadlock):
        run(main)
    assert seen == ["cleaned up"]


def test_a_deadlock_that_ticks_ends_at_the_horizon() -> None:
    async def main() -> None:
        async def tick() -> None:
            while True:  # noqa: ASYNC110  # it ticks
                await asyncio.sleep(1)

        async with asyncio.TaskGroup() as group:
            group.create_task(tick())
            group.create_task(asyncio.Event().wait())

    with pytest.raises(LoopDeadlock, match="horizon"):
        run(main, horizon=1000)


def test_a_call_that_never_comes_back_is_named() -> None:
    release = threading.Event()

    def the_call() -> None:
        release.wait()

    async def main() -> None:
        try:
            await asyncio.to_thread(the_call)
        finally:
            release.set()

    with pytest.raises(LoopDeadlock, match=r"expected, but never came: run_in_executor"):
        run(main, patience=0.05)


# turns


def test_at_turn_calls_at_that_turn() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        seen: list[int] = []
        start = loop.turns
        for ahead in (2, 4):
            loop.at_turn(start + ahead, lambda: seen.append(loop.turns - start))
        for _ in range(6):
            await asyncio.sleep(0)
        return seen

    assert run(main) == [2, 4]


def test_at_turn_may_wake_a_loop_that_had_nothing_to_do() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        woken: asyncio.Future[Any] = loop.create_future()
        loop.at_turn(loop.turns + 1, lambda: woken.set_result(None))
        await woken

    run(main)


def test_signals_are_delivered() -> None:
    import signal

    async def main() -> str:
        loop = asyncio.get_running_loop()
        got = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, got.set)
        loop.call_later(10, os.kill, os.getpid(), signal.SIGUSR1)
        async with asyncio.timeout(20):
            await got.wait()
        loop.remove_signal_handler(signal.SIGUSR1)
        return "got it"

    assert run(main) == "got it"


@given(st.floats(0, 1e4), st.floats(0, 2e-9))
def test_no_timer_fires_before_its_time(start: float, later: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        fired: list[tuple[float, float]] = []
        ended = asyncio.Event()
        for when in (start, start + later):
            loop.call_at(when, lambda when=when: fired.append((when, loop.time())))
        loop.call_at(start + 1, ended.set)
        await ended.wait()
        assert all(at == when for when, at in fired)
        assert len(fired) == 2

    run(main)
