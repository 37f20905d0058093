"""What a hostile tester found in worker processes: each a hang, a lost item, a leak or a wrong value once."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamflow as sf
from streamflow.executors import process_lane, process_pool


def _module(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> Any:
    """Make a module that is here already, and that a worker imports."""
    (folder / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(folder)
    module = type(sys)(name)
    exec("def work(item): return item", module.__dict__)
    module.work.__module__ = name
    monkeypatch.setitem(sys.modules, name, module)
    return module.work


def test_a_module_whose_import_ends_the_process_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = _module(tmp_path, monkeypatch, "sf_ends_it", "import os; os._exit(7)")
    with pytest.raises(sf.FlowError, match="exited with code 7 while it loaded the functions"):
        list(sf.flow(range(3)).map(work, on=sf.processes(1)))


def test_a_module_whose_import_never_ends_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_lane, "LOAD_WITHIN", 0.3)
    work = _module(tmp_path, monkeypatch, "sf_never_ends", "import time; time.sleep(1000)")
    with pytest.raises(sf.FlowError, match="while it loaded the functions"):
        list(sf.flow(range(3)).map(work, on=sf.processes(1)))


@pytest.mark.parametrize("spare", [True, False])
def test_no_descriptor_for_another_worker(spare: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spare worker can be done without; one that is needed is told, at once."""
    monkeypatch.setattr(process_pool, "SPARE_AFTER", 0.0 if spare else 1000.0)

    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    def die(item: int) -> int:
        time.sleep(0.6)  # the spare one is looked for meanwhile
        if item == 2 and not spare:
            os._exit(1)
        return item

    def items() -> Any:
        yield 1
        monkeypatch.setattr(socket, "socketpair", refuse)
        yield 2
        yield 3

    flow = sf.flow(items).map(die, on=sf.processes(1), on_error="skip")
    if spare:
        assert list(flow) == [1, 2, 3]
    else:
        with pytest.raises(sf.FlowError, match="no pipe for a worker"):
            list(flow)


class Raising:
    """Be a result that raises when it is read by who did not make it."""

    maker = 0

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return _raise, (self.error, os.getpid())


def _raise(error: type[BaseException], maker: int) -> None:
    if os.getpid() != maker:
        raise error("on the way")


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, SystemExit, ValueError])
def test_a_result_that_cannot_be_read_is_a_failure_of_its_item(error: type[BaseException]) -> None:
    flow = sf.flow(range(6)).map(lambda n: Raising(error) if n == 3 else n, on=sf.processes(1), on_error="skip")
    assert list(flow) == [0, 1, 2, 4, 5]


class Closed(Exception):
    """Refuse all attributes."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)

    def __reduce__(self) -> Any:
        return Closed, self.args


def test_an_exception_that_takes_no_attribute_comes_over() -> None:
    def work(n: int) -> int:
        if n == 1:
            raise Closed(n)
        return n

    letters: list[sf.DeadLetter] = []
    flow = sf.flow(range(3)).map(work, on=sf.processes(1), on_error=sf.dead_letter(letters))
    assert list(flow) == [0, 2]
    assert letters[0].exception.endswith("Closed")


def test_a_function_that_forks_and_returns_twice_answers_once() -> None:
    def work(n: int) -> int:
        os.fork()
        return n

    assert list(sf.flow(range(5)).map(work, on=sf.processes(2))) == list(range(5))


class Once:
    """Fail to be pickled at first, by either way."""

    tries = 0

    def __reduce__(self) -> Any:
        Once.tries += 1
        if Once.tries <= 2:
            raise RuntimeError("not now")
        return int, (5,)


def test_an_item_that_can_be_pickled_the_second_time_does_not_go_round_for_ever() -> None:
    assert list(sf.flow([Once()]).map(lambda n: n, on=sf.processes(1), on_error="skip")) == []


def test_a_kept_pool_keeps_no_memory_of_runs_that_were_broken_off() -> None:
    arrays = [np.ones(1 << 18, dtype=np.float32) for _ in range(12)]
    with sf.processes(1) as pool:
        for _ in range(3):
            for number, _result in enumerate(sf.flow(arrays).map(lambda array: array * 2, on=pool)):
                if number == 2:
                    break
        del _result
        gc.collect()  # a run that is over is a circle, and holds what had not left yet
        (kept,) = pool.kept
        for worker in kept._idle:
            worker.reclaim()
            assert worker.inbox.used == 0
            assert len(worker.freed) == len(set(worker.freed))


class Leaving:
    """Take long to leave, or never come back."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> Leaving:
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        time.sleep(self.seconds)


def test_a_resource_that_is_not_left_in_time_is_told_and_all_are_given_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process_pool, "GRACE", 0.5)
    began = time.monotonic()
    flow = sf.flow(range(40)).map(lambda n, _: time.sleep(0.02), on=sf.processes(4), resource=Leaving(1000))
    with pytest.raises(sf.WorkerDied, match="while it left its resources"):
        list(flow)
    assert time.monotonic() - began < 10


def test_a_thread_that_a_function_has_left_behind_holds_up_nothing() -> None:
    def work(n: int) -> int:
        threading.Thread(target=time.sleep, args=(1000,)).start()
        return n

    began = time.monotonic()
    assert list(sf.flow(range(4)).map(work, on=sf.processes(2))) == [0, 1, 2, 3]
    assert time.monotonic() - began < 10


def test_a_signal_to_the_whole_group_does_not_fail_what_the_parent_drains() -> None:
    """The functions send it themselves, each to its worker."""

    def work(n: int) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        return n

    assert list(sf.flow(range(5)).map(work, on=sf.processes(1))) == list(range(5))


def test_what_a_function_starts_can_be_terminated() -> None:
    def work(_: int) -> int:
        with subprocess.Popen(["sleep", "1000"]) as started:
            started.terminate()
            return started.wait(10)

    assert list(sf.flow([0]).map(work, on=sf.processes(1))) == [-signal.SIGTERM]


def test_an_odd_entry_of_the_path_and_a_long_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, Path("/nowhere")])
    monkeypatch.setattr(sys, "argv", ["script", *map(str, range(100_000))])
    assert list(sf.flow([0]).map(lambda _: len(sys.argv), on=sf.processes(1))) == [100_001]


@pytest.mark.parametrize("length", [10, 20_000])
def test_an_array_that_is_used_again_for_each_result_gives_each_result(length: int) -> None:
    class Reusing:
        def __init__(self) -> None:
            self.buffer: Any = None

        def __call__(self, n: int) -> Any:
            if self.buffer is None:
                self.buffer = np.zeros(length)
            self.buffer[:] = n
            return self.buffer

    results = list(sf.flow(range(50)).map(Reusing(), on=sf.processes(1)))
    assert [int(result[0]) for result in results] == list(range(50))


def test_a_resource_that_exits_fails_the_run_as_any_error() -> None:
    class Exiting:
        def __enter__(self) -> None:
            raise SystemExit(3)

        def __exit__(self, *_: object) -> None: ...

    for place in (sf.processes(1), sf.threads(1)):
        with pytest.raises(RuntimeError, match="SystemExit"):
            list(sf.flow([0]).map(lambda n, _: n, on=place, resource=Exiting))


def test_an_open_file_does_not_cross_as_a_copy_of_its_text(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("one\ntwo\n")
    with path.open() as file:
        with pytest.raises(sf.FlowError, match=r"cannot pickle an open file .*resource="):
            list(sf.flow(range(2)).map(lambda _: file.readline(), on=sf.processes(1)))
        with pytest.raises(sf.NotTransferable, match="open file"):
            list(sf.flow([file]).map(lambda one: type(one).__name__, on=sf.processes(1)))


def test_the_limit_of_a_workers_memory_is_named() -> None:
    with pytest.raises(MemoryError, match="may allocate 1,000,000,000 bytes, by memory= of"):
        list(sf.flow([8 << 30]).map(lambda size: len(bytearray(size)), on=sf.processes(1, memory="1GB")))


def test_what_was_meant_by_a_place_is_said() -> None:
    with pytest.raises(sf.FlowError, match="did you mean 'process'"):
        sf.flow([1]).map(str, on="processes")  # type: ignore[arg-type]
    with pytest.raises(sf.FlowError, match=r"as in on=sf\.threads\(2\)"):
        sf.flow([1]).map(str, on=sf.threads)  # type: ignore[arg-type]
