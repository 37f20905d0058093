"""The leak check finds each kind of thing, names it, and finds nothing where nothing is."""

from __future__ import annotations

import asyncio
import doctest
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from multiprocessing import shared_memory
from pathlib import Path

import pytest

from streamflow.testing import check_leaks, leaks, no_leaks, run


@pytest.fixture
def later() -> Iterator[ExitStack]:
    """Undo after the test what it leaves behind on purpose."""
    with ExitStack() as stack:
        yield stack


def left_by(make: Callable[[], object], *directories: Path) -> str:
    with pytest.raises(AssertionError) as caught, check_leaks(*directories):
        make()
    return str(caught.value)


def test_the_examples_run() -> None:
    assert doctest.testmod(leaks).failed == 0


def test_a_clean_block_passes(tmp_path: Path) -> None:
    with check_leaks(tmp_path):
        (tmp_path / "final.txt").write_text("kept")
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        subprocess.run([sys.executable, "-c", ""], check=True)
        segment = shared_memory.SharedMemory(create=True, size=16)
        segment.close()
        segment.unlink()
        asyncio.run(asyncio.sleep(0))


def test_a_task_is_named_with_where_it_stands() -> None:
    async def forgotten() -> None:
        await asyncio.Event().wait()

    async def main() -> str:
        with pytest.raises(AssertionError) as caught, check_leaks():
            task = asyncio.create_task(forgotten(), name="Forgotten")
            await asyncio.sleep(0)
        task.cancel()
        return str(caught.value)

    found = run(main)
    assert "task 'Forgotten'" in found
    assert "test_leaks.py" in found
    assert "forgotten" in found
    assert "locks.py" in found, "the innermost await is what tells"


def test_a_thread_is_named_with_where_it_stands(later: ExitStack) -> None:
    release = threading.Event()

    def waits_here() -> None:
        release.wait()

    def make() -> None:
        thread = threading.Thread(target=waits_here, name="Left", daemon=True)
        thread.start()
        later.callback(thread.join)
        later.callback(release.set)

    found = left_by(make)
    assert "thread 'Left' (daemon)" in found
    assert "waits_here" in found


def test_a_child_is_named(later: ExitStack) -> None:
    def make() -> None:
        command = [sys.executable, "-c", "print(flush=True); input()"]
        child = later.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        later.callback(child.kill)
        assert child.stdout is not None
        child.stdout.readline()  # before that, it may not have its command line yet

    found = left_by(make)
    assert "process " in found
    assert "input()" in found


def test_a_child_that_nobody_waited_for_is_named(later: ExitStack) -> None:
    def make() -> None:
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        later.callback(os.waitpid, pid, 0)

    assert "(zombie)" in left_by(make)


def test_a_descriptor_is_named(later: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "open.txt"

    def make() -> None:
        later.enter_context(path.open("w"))

    assert "open.txt" in left_by(make)


def test_a_second_descriptor_of_the_same_file_is_found_and_a_moved_one_is_not(tmp_path: Path) -> None:
    with (tmp_path / "one.txt").open("w") as file:
        copies: list[int] = []
        assert "one.txt" in left_by(lambda: copies.append(os.dup(file.fileno())))
        with check_leaks():
            moved = os.dup(copies[0])
            os.close(copies[0])
        os.close(moved)


def test_a_segment_is_named(later: ExitStack) -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("this system does not show its shared memory")

    def make() -> None:
        segment = shared_memory.SharedMemory(create=True, size=16)
        later.callback(segment.unlink)
        later.callback(segment.close)

    assert "shared memory /dev/shm/psm_" in left_by(make)


def test_a_segment_of_another_living_process_is_not_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(leaks, "_SHARED_MEMORY", tmp_path)
    with check_leaks():
        (tmp_path / f"streamflow-{os.getppid()}-1").touch()
    assert "streamflow-" in left_by((tmp_path / f"streamflow-{os.getpid()}-1").touch)
    assert "streamflow-" in left_by((tmp_path / "streamflow-999999999-1").touch), "nobody living owns it"


def test_a_segment_that_another_process_has_mapped_is_not_ours() -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("this system does not show its shared memory")
    code = (
        "import os; from multiprocessing.shared_memory import SharedMemory as S\n"
        "os.setsid(); os.fork() and os._exit(0)\n"  # an orphan: nobody's child, as another test run would be
        "s = S(create=True, size=16); print(s.name, flush=True); input(); s.close(); s.unlink()\n"
        "print('gone', flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as stranger:
        assert stranger.stdin is not None
        assert stranger.stdout is not None
        stranger.wait()
        with check_leaks():
            assert stranger.stdout.readline().startswith("psm_")
        stranger.stdin.write("\n")
        stranger.stdin.flush()
        assert stranger.stdout.readline() == "gone\n"


def test_a_temporary_file_is_named_below_the_directory_too(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    assert ".out.jsonl.part" in left_by((tmp_path / ".out.jsonl.part").touch, tmp_path)
    assert ".out.part" in left_by((tmp_path / "deep" / ".out.part").touch, tmp_path)


def test_what_was_there_before_does_not_count(tmp_path: Path) -> None:
    (tmp_path / ".old.part").touch()
    with check_leaks(tmp_path), (tmp_path / "x").open("w"):
        pass


def test_everything_left_is_named_at_once(later: ExitStack, tmp_path: Path) -> None:
    def make() -> None:
        later.enter_context((tmp_path / ".x.part").open("w"))

    assert left_by(make, tmp_path).startswith("2 left behind")


def test_a_block_that_raises_is_checked_too(later: ExitStack, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="left behind") as caught, check_leaks():
        later.enter_context((tmp_path / "x").open("w"))
        raise KeyError("the real one")
    assert isinstance(caught.value.__context__, KeyError)
    with pytest.raises(KeyError), check_leaks():
        raise KeyError("the real one")


def test_threads_of_the_default_executor_belong_to_the_loop() -> None:
    async def main() -> None:
        with check_leaks():
            await asyncio.to_thread(int)

    run(main)
    asyncio.run(main())


def test_no_leaks_gives_the_loop_some_turns() -> None:
    async def numbers() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)

    async def main() -> None:
        async with no_leaks():
            async for _ in numbers():
                break  # the loop finalises the generator in a task of its own

    run(main)


def test_no_leaks_still_finds_what_stays() -> None:
    tasks: list[asyncio.Task[None]] = []

    async def main() -> None:
        async with no_leaks():
            tasks.append(asyncio.create_task(asyncio.sleep(60)))

    with pytest.raises(AssertionError, match="task"):
        run(main)
