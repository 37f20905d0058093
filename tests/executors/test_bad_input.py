"""What bad input gets in worker processes, and in threads: the right result, or the stage's policy, and why."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import streamflow as sf
from streamflow.memory.segment import Segment
from streamflow.model.errors import FlowError, ItemTimeout, WorkerDied
from streamflow.testing import check_leaks

MIB = 1 << 20
SOON = 10.0  # real seconds for what takes a fraction of one on an idle machine


def run(main: Callable[[], Coroutine[Any, Any, Any]], seconds: float = 60.0) -> Any:
    async def checked() -> Any:
        with check_leaks():
            async with asyncio.timeout(seconds):
                return await main()

    return asyncio.run(checked())


def placed(items: Any, function: Any, on: Any, **options: Any) -> tuple[list[Any], list[Any], Any]:
    """Return what comes out, what was set aside, and the report."""
    out: list[Any] = []
    letters: list[Any] = []
    flow = sf.flow(items).map(function, on=on, on_error=sf.dead_letter(letters), **options)
    report = run(flow.to(out).run)
    assert all(stage.conserved for stage in report.statistics.stages), report.statistics.stages
    return out, letters, report


@contextmanager
def fifo(path: Path) -> Iterator[int]:
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def workers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "streamflow.executors.worker" in " ".join(child.cmdline())]


# -- workers that die -----------------------------------------------------------------------------------------------


def exits(n: int) -> None:
    os._exit(3)


def crashes(n: int) -> None:
    ctypes.string_at(0)


def is_killed(n: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def closes_everything(n: int) -> None:
    os.closerange(3, 1000)


def fork_and_exit(n: int) -> None:
    if os.fork() == 0:
        with suppress(BaseException):
            time.sleep(3)  # it holds the worker's pipe for longer than the worker lives
        os._exit(0)
    os._exit(4)


def at(bad: int, does: Callable[[int], Any]) -> Callable[[int], int]:
    def same(n: int) -> int:
        if n == bad:
            does(n)
        return n

    return same


DEATHS: dict[str, tuple[Callable[[int], None], str]] = {
    "exit": (exits, "exited with code 3"),
    "segfault": (crashes, "SIGSEGV"),
    "kill": (is_killed, "SIGKILL"),
    "closed pipe": (closes_everything, "worker process"),
    "a child holds the pipe": (fork_and_exit, "exited with code 4"),
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_death_costs_the_item_that_caused_it_and_no_other(death: str) -> None:
    does, words = DEATHS[death]
    out, letters, _ = placed(range(200), at(77, does), sf.processes(2))
    assert out == [n for n in range(200) if n != 77]
    [letter] = letters
    assert (letter.item, letter.index, letter.attempts) == (77, 77, 1)
    assert letter.exception == "streamflow.model.errors.WorkerDied"
    assert words in letter.message


def test_a_death_fails_the_run_by_default() -> None:
    out: list[int] = []
    flow = sf.flow(range(50)).map(at(20, exits), on=sf.processes(2)).to(out)
    with pytest.raises(WorkerDied, match="exited with code 3") as caught:
        run(flow.run)
    assert out == list(range(20))
    assert "item 20 " in caught.value.__notes__[0]


def test_an_item_whose_worker_died_is_tried_again(tmp_path: Path) -> None:
    tried = str(tmp_path / "tried")

    def once(n: int) -> int:
        if n == 31 and not os.path.exists(tried):
            Path(tried).touch()
            os._exit(1)
        return n

    out, letters, report = placed(range(100), once, sf.processes(2), retry=sf.Retry(attempts=2, base=0.001))
    assert (out, letters) == (list(range(100)), [])
    assert sum(stage.retried for stage in report.statistics.stages) == 1


def test_one_that_always_dies_is_given_up_after_its_attempts() -> None:
    out, letters, report = placed(range(20), at(5, exits), sf.processes(1), retry=sf.Retry(attempts=3, base=0.001))
    assert out == [n for n in range(20) if n != 5]
    assert [(letter.item, letter.attempts) for letter in letters] == [(5, 3)]
    assert sum(stage.retried for stage in report.statistics.stages) == 2


def deaths(count: int) -> None:
    most: list[int] = []

    async def main() -> None:
        flow = sf.flow(range(count)).map(exits, on=sf.processes(2), on_error=sf.dead_letter(look))
        await flow.to(None).run()

    def look(_: Any) -> None:
        most.append(len(os.listdir("/proc/self/fd")))

    run(main, seconds=3000)
    assert len(most) == count
    assert max(most[count // 2 :]) <= max(most[: count // 2]) + 8


def test_many_deaths_hold_no_descriptors() -> None:
    deaths(20)


@pytest.mark.nightly
def test_a_thousand_deaths_hold_no_descriptors() -> None:
    deaths(1000)


def test_workers_that_cannot_begin_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamflow.executors.worker_process._BOOT", "import sys; sys.exit({path!r} and 7)")
    with pytest.raises(FlowError, match="exited with code 7"):
        run(sf.flow(range(9)).map(str, on=sf.processes(2)).to(None).run)


def test_a_python_that_cannot_be_started_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(FlowError, match="cannot be started"):
        run(sf.flow(range(9)).map(str, on=sf.processes(2)).to(None).run)


# -- killed by hand -------------------------------------------------------------------------------------------------


def test_workers_killed_from_outside_while_idle_are_replaced() -> None:
    async def main() -> None:
        inbox = sf.inbox(10)
        async with sf.flow(inbox).map(lambda n: (n, os.getpid()), on=sf.processes(2)).to(inbox.answers).start():
            for n in range(4):
                assert (await inbox.ask(n))[0] == n
                killed = workers()  # the spare one too, once it is there
                for worker in killed:
                    worker.kill()
                assert killed
            assert (await inbox.ask(9))[0] == 9
            inbox.close()

    run(main)


def test_one_killed_from_outside_at_work_costs_its_item(tmp_path: Path) -> None:
    pids = str(tmp_path / "pids")

    def tell_and_sleep(n: int) -> int:
        if n == 3:
            with open(pids, "wb", buffering=0) as pipe:
                pipe.write(b"%d\n" % os.getpid())
            time.sleep(100)
        return n

    def kill(descriptor: int) -> None:
        os.kill(int(os.read(descriptor, 100)), signal.SIGKILL)

    with fifo(tmp_path / "pids") as descriptor:
        killer = threading.Thread(target=kill, args=(descriptor,))
        killer.start()
        out, letters, _ = placed(range(30), tell_and_sleep, sf.processes(2))
        killer.join()
    assert out == [n for n in range(30) if n != 3]
    assert [letter.item for letter in letters] == [3]
    assert "SIGKILL" in letters[0].message


# -- time -----------------------------------------------------------------------------------------------------------


def sleeps(n: int) -> None:
    time.sleep(100)


@pytest.mark.parametrize(
    ("on", "options"), [(sf.processes(2), {"timeout": 0.2}), (sf.processes(2, timeout=0.2), {})], ids=["own", "default"]
)
def test_a_call_that_takes_too_long_costs_its_item(on: Any, options: dict[str, float]) -> None:
    began = time.monotonic()
    out, letters, _ = placed(range(100), at(40, sleeps), on, **options)
    assert out == [n for n in range(100) if n != 40]
    assert [letter.item for letter in letters] == [40]
    assert "timeout=0.2" in letters[0].message
    assert time.monotonic() - began < 2 * SOON


def test_a_call_that_takes_too_long_in_c_code_costs_its_item() -> None:
    def holds_the_gil(n: int) -> int:
        if n == 4:
            ctypes.PyDLL(None).sleep(100)
        return n

    out, letters, _ = placed(range(10), holds_the_gil, sf.processes(2, timeout=0.3))
    assert out == [n for n in range(10) if n != 4]
    assert [letter.exception for letter in letters] == ["streamflow.model.errors.ItemTimeout"]


def test_a_call_that_takes_too_long_in_a_thread_is_given_up() -> None:
    free = threading.Event()

    async def main() -> None:
        letters: list[Any] = []
        before = set(threading.enumerate())
        flow = sf.flow(range(20)).map(
            at(7, lambda n: free.wait()), on=sf.threads(2), timeout=0.1, on_error=sf.dead_letter(letters)
        )
        assert await flow.collect() == [n for n in range(20) if n != 7]
        assert [letter.exception for letter in letters] == ["streamflow.model.errors.ItemTimeout"]
        free.set()
        for thread in set(threading.enumerate()) - before:
            thread.join(SOON)

    run(main)


def test_every_item_too_slow_is_every_item_failed() -> None:
    out, letters, _ = placed(range(6), sleeps, sf.processes(2, timeout=0.1))
    assert (out, sorted(letter.item for letter in letters)) == ([], list(range(6)))
    assert all(ItemTimeout.__name__ in letter.exception for letter in letters)


# -- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bytearray", "numpy"])
def test_too_much_memory_fails_the_item_and_the_worker_lives(kind: str) -> None:
    def allocate(n: int) -> int:
        if n == 6:
            held = bytearray(8 << 30) if kind == "bytearray" else np.ones(1 << 30)
            assert held is not None
        return os.getpid()

    out, letters, _ = placed(range(20), allocate, sf.processes(1, memory=1 << 30))
    assert (len(out), len(set(out))) == (19, 1)
    assert [letter.item for letter in letters] == [6]
    assert "MemoryError" in letters[0].exception


def no_room(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_no_shared_memory_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Segment, "grow", no_room)
    with pytest.raises(FlowError, match="shared memory"):
        run(sf.flow(range(9)).map(str, on=sf.processes(2)).to(None).run)


def test_no_shared_memory_for_another_worker_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        inbox = sf.inbox(10)
        with pytest.raises(FlowError, match="shared memory"):
            async with sf.flow(inbox).map(at(1, exits), on=sf.processes(1), on_error="skip").to(inbox.answers).start():
                assert await inbox.ask(0) == 0
                monkeypatch.setattr(Segment, "grow", no_room)
                for _ in range(5):  # perhaps a spare one is there already
                    await inbox.send(1)
                inbox.close()

    run(main)


@pytest.mark.parametrize("side", ["parent", "worker", "both"])
def test_a_full_shared_memory_is_gone_round(monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    def double(array: Any) -> Any:
        if side != "parent":
            from streamflow.memory import segment

            def refuse(*_: Any) -> None:
                raise OSError(28, "No space left on device")

            segment.Segment.grow = refuse  # type: ignore[method-assign]
        return array * 2

    arrays = [np.full(MIB, n, dtype=np.float64) for n in range(6)]  # 8 MiB each

    async def main() -> None:
        inbox = sf.inbox(10)
        async with sf.flow(inbox).map(double, on=sf.processes(1, arena=MIB)).to(inbox.answers).start():
            await inbox.ask(np.zeros(1))
            if side != "worker":
                monkeypatch.setattr(Segment, "grow", no_room)
            for n, array in enumerate(arrays):
                found = await inbox.ask(array)
                assert found.dtype == array.dtype
                assert (found == 2 * n).all()
            inbox.close()

    run(main)


def test_arrays_larger_than_the_arena_pass() -> None:
    arrays = [np.full(MIB, n, dtype=np.float64) for n in range(12)]
    for views in (True, False):
        flow = sf.flow(arrays).map(lambda a: a + 1, on=sf.processes(2, arena=MIB, views=views))
        for n, found in enumerate(run(lambda flow=flow: flow.collect())):
            assert (found == n + 1).all()


# -- arrays ---------------------------------------------------------------------------------------------------------


def read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array


def arrays(size: int) -> dict[str, Any]:
    plain = np.arange(size, dtype=np.float64)
    pairs = np.zeros(size, dtype=[("n", "<i4"), ("x", ">f8"), ("s", "S3")])
    pairs["n"], pairs["s"] = np.arange(size), b"abc"
    return {
        "plain": plain,
        "strided": np.arange(2 * size)[::2],
        "backwards": plain[::-1],
        "transposed": np.arange(6 * size).reshape(2, 3, size).T,
        "fortran": np.asfortranarray(np.arange(4 * size).reshape(4, size)),
        "zero-length": np.empty((0, size), dtype=np.int16),
        "scalar": np.array(7.5),
        "objects": np.array([None, "text", {"a": 1}, *range(size)], dtype=object),
        "read-only": read_only(np.arange(size)),
        "read-only strided": read_only(np.arange(4 * size))[::2],
        "big-endian": np.arange(size, dtype=">i8"),
        "structured": pairs,
        "datetime64": np.arange(size).astype("datetime64[s]"),
        "timedelta64": read_only(np.arange(size).astype("timedelta64[ms]")),
        "bool": np.arange(size) % 2 == 0,
        "text": np.array(["é" * 9] * size),
        "broadcast": np.broadcast_to(np.arange(3.0), (size, 3)),
        "masked": np.ma.masked_greater(np.arange(size), 3),
    }


@pytest.mark.parametrize("size", [5, 50_000], ids=["small", "large"])
@pytest.mark.parametrize(
    "on",
    [sf.processes(2), sf.processes(1, views=False, arena=MIB), sf.threads(2), sf.joblib("loky", 2)],
    ids=["views", "copies", "threads", "loky"],
)
def test_arrays_of_every_kind_arrive_as_they_were(on: Any, size: int) -> None:
    def look(array: Any) -> Any:
        return array, array.dtype, array.flags.writeable, array.shape, array.sum() if array.dtype.kind in "if" else None

    given = arrays(size)
    found = asyncio.run(sf.flow(given.values()).map(look, on=on).collect())  # views hold the memory in which they lie
    for name, array, (back, dtype, writeable, shape, total) in zip(given, given.values(), found, strict=True):
        for one in (dtype, back.dtype):
            assert one == array.dtype, name
        assert shape == back.shape == array.shape, name
        assert writeable == back.flags.writeable == array.flags.writeable, name
        assert total is None or total == array.sum(), name
        assert type(back) is type(array), name
        assert np.array_equal(back, array), name


def test_inputs_that_a_function_keeps_are_never_overwritten() -> None:
    def keep(array: Any) -> bool:
        import builtins

        kept = builtins.__dict__.setdefault("kept", [])
        kept.append((array, int(array[0])))
        return all((one == number).all() for one, number in kept)

    numbers = (np.full(MIB // 8, n) for n in range(60))  # 1 MiB each, into an arena of 4
    for views in (True, False):
        flow = sf.flow([*numbers]).map(keep, on=sf.processes(2, arena=4 * MIB, views=views))
        assert all(run(lambda flow=flow: flow.collect()))


def test_results_that_are_kept_for_ever_stay_right() -> None:
    def fill(n: int) -> Any:
        return np.full(MIB // 8, n)

    async def main() -> None:
        found = await sf.flow(range(200)).map(fill, on=sf.processes(2, arena=16 * MIB)).collect()
        assert [int(array[0]) for array in found] == list(range(200))
        assert all((array == n).all() for n, array in enumerate(found))
        del found
        gc.collect()  # a run that is over is a circle, and holds its sink

    run(main)


def test_results_may_be_views_of_the_inputs() -> None:
    given = [np.arange(n, n + MIB // 8) for n in range(30)]

    async def main() -> None:
        flow = sf.flow(given).map(lambda a: (a[::2], a[5:], a), on=sf.processes(2, arena=4 * MIB))
        for array, (evens, rest, whole) in zip(given, await flow.collect(), strict=True):
            assert np.array_equal(evens, array[::2])
            assert np.array_equal(rest, array[5:])
            assert np.array_equal(whole, array)

    run(main)


# -- functions that behave badly ------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [sf.processes(2), sf.threads(2), sf.joblib("threading", 2)], ids=str)
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, asyncio.CancelledError])
def test_errors_that_end_processes_fail_their_item(on: Any, error: type[BaseException]) -> None:
    def raises(n: int) -> int:
        if n == 4:
            raise error("now")
        return os.getpid()

    out, letters, _ = placed(range(30), raises, on)
    assert (len(out), [letter.item for letter in letters]) == (29, [4])
    assert error.__name__ in letters[0].message + letters[0].exception


def test_a_child_that_outlives_the_function_holds_nobody_up(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def fork(n: int) -> int:
        if n == 3:
            pid = os.fork()
            if pid == 0:
                time.sleep(100)
                os._exit(0)
            pids.write_text(str(pid))
        return n

    began = time.monotonic()

    async def main() -> None:
        assert await sf.flow(range(20)).map(fork, on=sf.processes(2)).collect() == list(range(20))

    try:
        run(main)
    finally:
        os.kill(int(pids.read_text()), signal.SIGKILL)
    assert time.monotonic() - began < SOON


def test_a_parent_with_busy_threads_gets_its_workers() -> None:
    stop, lock = threading.Event(), threading.Lock()

    def work() -> None:
        while not stop.is_set():
            with lock:
                sum(range(100))

    busy = [threading.Thread(target=work) for _ in range(3)]
    for thread in busy:
        thread.start()
    try:
        flow = sf.flow(range(50)).map(lambda n: n + 1, on=sf.processes(2))
        assert run(flow.collect) == list(range(1, 51))
    finally:
        stop.set()
        for thread in busy:
            thread.join()


def test_a_module_that_exists_here_only_is_said() -> None:
    module = types.ModuleType("only_here")
    exec("def double(n): return 2 * n", module.__dict__)
    sys.modules["only_here"] = module
    try:
        with pytest.raises(FlowError, match="only_here"):
            run(sf.flow(range(9)).map(module.double, on=sf.processes(2), on_error="skip").to(None).run)
    finally:
        del sys.modules["only_here"]


def test_an_item_of_a_module_that_exists_here_only_fails_alone() -> None:
    module = types.ModuleType("only_here")
    exec("class Thing: pass", module.__dict__)
    module.Thing.__module__ = "only_here"
    sys.modules["only_here"] = module
    try:
        items: list[Any] = [n if n != 5 else module.Thing() for n in range(12)]
        out, letters, _ = placed(items, lambda n: n, sf.processes(2))
    finally:
        del sys.modules["only_here"]
    assert out == [n for n in range(12) if n != 5]
    assert [letter.index for letter in letters] == [5]
    assert "only_here" in letters[0].message


def test_a_lock_in_a_closure_is_refused() -> None:
    lock = threading.Lock()
    with pytest.raises(FlowError, match="resource="):
        run(sf.flow(range(9)).map(lambda n: (n, lock), on=sf.processes(2)).to(None).run)


def test_items_that_cannot_be_read_on_the_other_side_fail_alone() -> None:
    class Mine:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    items: list[Any] = [n if n != 5 else Mine() for n in range(12)]
    out, letters, _ = placed(items, lambda n: n, sf.processes(2))
    assert (out, [letter.index for letter in letters]) == ([n for n in range(12) if n != 5], [5])
    out, letters, _ = placed(range(12), lambda n: n if n != 5 else Mine(), sf.processes(2))
    assert (out, [letter.index for letter in letters]) == ([n for n in range(12) if n != 5], [5])


# -- pools that are kept, and recycled ------------------------------------------------------------------------------


def test_workers_are_recycled() -> None:
    out, _, _ = placed(range(40), lambda n: (n, os.getpid()), sf.processes(2, recycle_after=5))
    assert [n for n, _ in out] == list(range(40))
    assert len({pid for _, pid in out}) >= 3


def test_a_kept_pool_keeps_its_workers_and_leaves_none() -> None:
    with check_leaks(), sf.processes(2) as pool:
        flow = sf.flow(range(100)).map(lambda n: (n, os.getpid()), on=pool)
        first, second = asyncio.run(flow.collect()), asyncio.run(flow.collect())
        assert [n for n, _ in first] == [n for n, _ in second] == list(range(100))
        assert {pid for _, pid in second} <= {pid for _, pid in first} | {worker.pid for worker in workers()}
        for worker in workers():
            worker.kill()
            worker.wait(SOON)
        third = asyncio.run(flow.collect())
        assert [n for n, _ in third] == list(range(100))
        assert not {pid for _, pid in third} & {pid for _, pid in first}


def test_a_kept_pool_survives_a_run_that_fails_and_one_that_is_cancelled() -> None:
    with check_leaks(), sf.processes(2) as pool:
        for _ in range(2):
            with pytest.raises(WorkerDied):
                asyncio.run(sf.flow(range(20)).map(at(9, exits), on=pool).to(None).run())
            with pytest.raises(TimeoutError):
                asyncio.run(asyncio.wait_for(sf.flow(range(20)).map(sleeps, on=pool).to(None).run(), 0.3))
            assert asyncio.run(sf.flow(range(20)).map(lambda n: n, on=pool).collect()) == list(range(20))


# -- scripts: `__main__`, signals, and the parent's own death -------------------------------------------------------


MAIN = """
import os, sys
import streamflow as sf

FACTOR = 3

class Odd(Exception):
    pass

class Pair:
    def __init__(self, n):
        self.n = n
    def __eq__(self, other):
        return type(other) is Pair and other.n == self.n

def work(pair):
    if pair.n == 17:
        raise Odd(pair.n)
    return Pair(pair.n * FACTOR)

for on in (sf.processes(2), sf.threads(2), sf.joblib("loky", 2)):
    letters = []
    found = []
    flow = sf.flow(map(Pair, range(20))).map(work, on=on, on_error=sf.dead_letter(letters))
    flow.map(lambda pair: pair, on=on).tap(lambda pair: print("in a worker", flush=True), on=on).to(found).run_sync()
    assert found == [Pair(3 * n) for n in range(20) if n != 17], found
    assert [(one.item.n, one.exception) for one in letters] == [(17, "__main__.Odd")], letters
    try:
        sf.flow([Pair(17)]).map(work, on=on).to(None).run_sync()
    except Odd:
        pass

with sf.processes(2) as pool:
    assert list(sf.flow([Pair(1)]).map(work, on=pool)) == [Pair(3)]
    FACTOR = 5  # as in a notebook: a cell is changed and run again
    class Pair(Pair):
        pass
    Pair.__qualname__ = "Pair"
    def work(pair):
        return Pair(pair.n * FACTOR)
    found = list(sf.flow([Pair(1)]).map(work, on=pool))
    assert type(found[0]) is Pair and found[0].n == 5, found
print("done")
"""


@pytest.mark.parametrize("how", ["script", "notebook"])
def test_functions_and_classes_of_main_work(tmp_path: Path, how: str) -> None:
    path = tmp_path / "program.py"
    path.write_text(MAIN if how == "script" else f"exec(compile({MAIN!r}, '<cell 1>', 'exec'))")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        capture_output=True,
        timeout=90,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["."])},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.count(b"in a worker") == 3 * 19
    assert done.stdout.endswith(b"done\n")
    assert not done.stderr, done.stderr.decode()


LONG = """
import ctypes, os, sys, time
import streamflow as sf

def work(n):
    os.write(1, b"%d\\n" % os.getpid())
    ctypes.PyDLL(None).sleep(60) if HOW == "c" else time.sleep(60)

sf.flow(range(10)).map(work, on=sf.processes(2)).to(None).run_sync()
"""


def begin(how: str) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """Start a program, and wait until its two workers are at work."""
    program = subprocess.Popen(
        [sys.executable, "-c", f"HOW = {how!r}\n{textwrap.dedent(LONG)}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert program.stdout is not None
    pids = [int(program.stdout.readline()) for _ in range(2)]
    return program, [psutil.Process(pid) for pid in pids]


@pytest.mark.parametrize("how", ["python", "c"])
def test_ctrl_c_ends_a_program_and_its_workers(how: str) -> None:
    program, at_work = begin(how)
    children = psutil.Process(program.pid).children(recursive=True)
    os.killpg(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=SOON)
    assert program.returncode == -signal.SIGINT, errors.decode()
    assert b"KeyboardInterrupt" in errors
    assert not [child for child in {*children, *at_work} if lives(child)]


def lives(process: psutil.Process) -> bool:
    """Tell whether a process is at all; one that has ended waits, in a container, for who would reap it."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("how", ["python", "c"])
def test_workers_end_with_a_parent_that_is_killed(how: str) -> None:
    before = set(os.listdir("/dev/shm"))
    program, at_work = begin(how)
    everybody = {*psutil.Process(program.pid).children(recursive=True), *at_work}
    program.kill()
    program.communicate()
    deadline = time.monotonic() + 1.0
    while any(map(lives, everybody)) and time.monotonic() < deadline:
        os.sched_yield()
    assert not [process for process in everybody if lives(process)]
    assert set(os.listdir("/dev/shm")) <= before
