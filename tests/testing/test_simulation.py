"""A simulated run is the same for the same seed, different for others, and sealed against the machine."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import subprocess
import sys
import threading
import time
import uuid
from typing import Any

import pytest

import streamflow as sf
from streamflow.files.threads import FileThread
from streamflow.testing import NotSimulated, SimulatedDisk, SimulatedLoop, check_leaks, seeds, simulate
from streamflow.testing.sealed_world import EPOCH


async def hop(n: int) -> int:
    await asyncio.sleep((n * 7 % 5) * 0.001)
    return n + 1


async def whole_flow() -> list[Any]:
    out: list[Any] = []
    disk = SimulatedDisk({"/d/in.jsonl": b"".join(b"%d\n" % n for n in range(40))})
    lines = sf.flow(sf.sources.JsonLines("/d/in.jsonl", files=disk, chunk=20)).map(hop, concurrency=4)
    words = sf.flow(lambda: iter(["one", "two", "three"])).map(len).flat_map(lambda n: [n] * 5)
    merged = sf.merge(lines.batch(3, within=0.002).unbatch(), words.map(hop, concurrency=2, ordered=False))
    await merged.to(out).run()
    await sf.flow(out).to(sf.sinks.JsonLines("/d/out.jsonl", files=disk)).run()
    return [sorted(out), disk.log]


def traces(count: int) -> list[str]:
    return [simulate(whole_flow, seed).trace for seed in range(count)]


def test_the_same_seed_gives_the_same_run_also_in_another_process() -> None:
    here = traces(8)
    assert traces(8) == here
    assert len(set(here)) == 8
    code = f"import sys; sys.path[:0] = {sys.path!r}; from test_simulation import traces; print(*traces(8))"
    folder = os.path.dirname(__file__)
    for hashes in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hashes, "PYTHONPATH": folder}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == here


def test_the_order_of_a_set_decides_nothing() -> None:
    class Named:
        def __init__(self, name: int) -> None:
            self.name = name

        def __hash__(self) -> int:
            return hashes[self.name]

    async def main() -> list[int]:
        order: list[int] = []
        events = [asyncio.Event() for _ in range(5)]

        async def wait(n: int) -> None:
            await events[n].wait()
            order.append(n)

        async with asyncio.TaskGroup() as group:
            for n in range(5):
                group.create_task(wait(n))
            await asyncio.sleep(1)
            for one in {Named(n) for n in range(5)}:
                events[one.name].set()
        return order

    hashes = [0, 1, 2, 3, 4]
    first = [simulate(main, seed) for seed in range(10)]
    hashes = [4, 2, 3, 1, 0]
    assert [simulate(main, seed) for seed in range(10)] == first
    assert len({tuple(one.result) for one in first}) > 5


def test_a_race_is_found_and_its_seed_told_and_with_it_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        taken = 0

        async def take() -> None:
            nonlocal taken
            if not taken:
                await asyncio.sleep(0.001 * random.randrange(3))
                assert not taken, "both have taken it"
                taken += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(take())

    def search(count: int) -> None:
        for seed in seeds(count):
            simulate(main, seed)

    with pytest.raises(ExceptionGroup) as found:
        search(50)
    note = found.value.__notes__[-1]
    assert "python -m pytest 'tests/testing/test_simulation.py::test_a_race_is_found" in note
    monkeypatch.setenv("STREAMFLOW_SEED", note.partition("STREAMFLOW_SEED=")[2].split()[0])
    assert len(seeds(50)) == 1
    with pytest.raises(ExceptionGroup):
        search(50)


def test_no_clock_shows_real_time_inside_and_each_does_outside() -> None:
    async def main() -> tuple[float, float, float]:
        from streamflow.engine import held_loop, turn  # which hold clocks by their own names

        began = time.perf_counter(), time.monotonic(), turn.perf_counter(), held_loop.thread_time(), time.time() - EPOCH
        await asyncio.sleep(300)
        ended = time.perf_counter(), time.monotonic(), turn.perf_counter(), held_loop.thread_time(), time.time() - EPOCH
        spent = [end - begin for begin, end in zip(began, ended, strict=True)]
        return min(began), min(spent), max(spent)

    real = time.time, time.perf_counter, time.thread_time, time.sleep, os.urandom, threading.Thread.start
    before = time.perf_counter()
    first, least, most = simulate(main, 3).result
    assert 0 <= first < 1
    assert 300 <= least <= most < 301
    assert time.perf_counter() - before < 30
    assert real == (time.time, time.perf_counter, time.thread_time, time.sleep, os.urandom, threading.Thread.start)


def test_a_module_that_is_imported_inside_has_a_clock_that_works_outside() -> None:
    async def main() -> Any:
        return time.perf_counter  # as `from time import perf_counter` would take it

    clock = simulate(main, 1).result
    assert abs(clock() - time.perf_counter()) < 5


def test_who_else_looks_at_a_clock_decides_nothing() -> None:
    """A library that was imported early has the real clock, one that was imported late has ours: psutil, for one."""
    looks = 0

    async def main() -> list[Any]:
        for _ in range(looks):
            time.perf_counter()
        return await whole_flow()

    before = [simulate(main, seed) for seed in range(5)]
    looks = 7
    assert [simulate(main, seed) for seed in range(5)] == before


def test_other_threads_have_the_real_world() -> None:
    go, seen = threading.Event(), []

    def look() -> None:
        go.wait()
        seen.append((time.time(), os.urandom(4)))
        looked.set()

    looked = threading.Event()
    thread = threading.Thread(target=look)
    thread.start()

    async def main() -> None:
        go.set()
        looked.wait()

    now = time.time()
    simulate(main, 1)
    thread.join()
    assert abs(seen[0][0] - now) < 60


def test_what_is_random_is_the_seeds_and_nobody_elses() -> None:
    async def main() -> tuple[Any, ...]:
        return random.random(), secrets.token_hex(4), uuid.uuid4(), os.urandom(3)

    random.seed(5)
    expected = random.random()
    random.seed(5)
    assert simulate(main, 1).result == simulate(main, 1).result != simulate(main, 2).result
    assert random.random() == expected


def test_threads_are_refused_and_calls_on_them_are_performed_by_the_loop() -> None:
    async def main() -> int:
        assert await asyncio.to_thread(threading.get_ident) == threading.get_ident()
        await asyncio.sleep(0)
        threading.Thread(target=print, name="mine").start()
        return 0

    with check_leaks(), pytest.raises(NotSimulated, match="thread 'mine' cannot run in a simulation"):
        simulate(main, 1)

    async def elsewhere() -> None:
        await sf.flow(range(3)).map(abs, on="thread").collect()

    with pytest.raises(NotSimulated):
        simulate(elsewhere, 1)


def test_one_simulation_holds_no_other() -> None:
    async def nothing() -> None: ...

    async def main() -> None:
        simulate(nothing, 2)

    with pytest.raises(NotSimulated):
        simulate(main, 1)
    simulate(nothing, 1)


def test_what_is_left_behind_or_unseen_fails_it() -> None:
    kept = []

    async def leaves_a_task() -> None:
        kept.append(asyncio.create_task(asyncio.sleep(5), name="left"))

    async def leaves_a_thread() -> None:
        FileThread("left")

    async def fails_unseen() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    async def takes_for_ever() -> None:
        while await asyncio.sleep(1, True):
            pass

    for main, reason in (
        (leaves_a_task, "task 'left'"),
        (leaves_a_thread, "thread 'left' was not closed"),
        (fails_unseen, "ZeroDivisionError"),
    ):
        with pytest.raises(AssertionError, match=reason):
            simulate(main, 1)
    with pytest.raises(sf.StreamflowError, match="nothing but timers is left before the horizon"):
        simulate(takes_for_ever, 1)


@pytest.mark.parametrize("seed", range(12))
def test_a_simulated_thread_does_what_a_real_one_does(seed: int) -> None:
    async def main() -> None:
        done: list[int] = []
        thread = FileThread("file", grace=1.0)
        calls = [thread.submit(done.append, n) for n in range(3)]
        failing = thread.submit(int, "x")
        given_up = thread.submit(done.append, 3)
        given_up.cancel()
        assert thread.waiting == 5
        with pytest.raises(ValueError, match="invalid literal"):
            await failing
        await asyncio.gather(*calls)
        await thread.close()
        assert done == [0, 1, 2, 3]  # in order, and the one whose caller was cancelled as well
        assert thread.waiting == 0
        assert thread.abandoned is None

    simulate(main, seed)


def test_a_simulated_thread_whose_call_hangs_is_given_up() -> None:
    async def main() -> float:
        thread = FileThread("file", grace=2.0)
        slow = thread.submit(time.sleep, 60)
        await thread.close()
        assert thread.abandoned is not None
        assert not slow.done()
        return asyncio.get_running_loop().time()

    assert 2.0 <= simulate(main, 1).result < 2.1


def test_something_may_happen_between_a_call_and_its_answer() -> None:
    """What a call has done is done, though nobody knows it yet: an order that only some seeds show."""

    async def main() -> bool:
        done: list[int] = []
        thread = FileThread("file")
        answer = thread.submit(done.append, 1)
        while not await asyncio.sleep(1e-5, done):
            pass
        seen = answer.done()
        await thread.close()
        return seen

    assert {simulate(main, seed).result for seed in range(20)} == {True, False}


def test_the_loop_says_what_it_does() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        await asyncio.sleep(5)
        return len(loop.steps)

    found = simulate(main, 1)
    assert [step.split()[0] for step in found.steps[: found.result]] == ["0.0", "5.0"]
