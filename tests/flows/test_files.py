"""Files at both ends of a flow: pipes, devices, the same file twice, and what is left when a run fails."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

import streamflow as sf
from streamflow.files.local import LocalFiles
from streamflow.testing import no_leaks


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe.jsonl")
    return tmp_path / "pipe.jsonl"


@pytest.mark.parametrize("gear", ["cancel", "drain", "task"])
def test_a_named_pipe_without_a_writer_holds_up_nothing(pipe: Path, gear: str) -> None:
    async def main() -> None:
        async with no_leaks():
            handle = sf.flow(pipe).to([]).start()
            waiting = asyncio.ensure_future(handle.wait())
            async with handle:  # the run has begun: nobody waits for a writer to open a file
                if gear == "cancel":
                    await handle.cancel(timeout=5)
                elif gear == "drain":
                    await handle.drain(timeout=5)
                else:
                    waiting.cancel()
                    await asyncio.wait([waiting])
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(main())


def test_a_named_pipe_is_read_as_it_is_written_and_ends_with_its_last_writer(pipe: Path) -> None:
    async def main() -> None:
        seen: asyncio.Queue[Any] = asyncio.Queue()
        handle = sf.flow(pipe).to(seen.put).start()
        async with handle:
            writer = await asyncio.to_thread(open, pipe, "wb", 0)
            for n in range(3):
                writer.write(b"%d\n" % n)
                assert await seen.get() == n
            writer.close()
            report = await handle.wait()
        assert report.items_in == 3

    asyncio.run(main())


@pytest.mark.parametrize("name", ["pipe.jsonl", "pipe.arrows"])
@pytest.mark.parametrize("gear", ["cancel", "drain"])
def test_a_sink_waits_for_a_reader_of_its_pipe_until_the_run_is_stopped(name: str, gear: str, tmp_path: Path) -> None:
    if name.endswith(".arrows"):
        pytest.importorskip("pyarrow", reason="the extra tables is not installed")
    os.mkfifo(tmp_path / name)

    async def main() -> None:
        async with no_leaks():
            handle = sf.flow(itertools.count()).to(tmp_path / name).start()
            await asyncio.sleep(0)
            report = await (handle.cancel() if gear == "cancel" else handle.drain(timeout=8))
        assert report.state in ("cancelled", "drained")

    asyncio.run(main())


def test_a_reader_may_come_to_a_pipe_after_its_writer(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        looked = asyncio.Event()
        loop = asyncio.get_running_loop()
        opened = LocalFiles.open_to_append

        def looking(*arguments: Any, **options: Any) -> Any:
            try:
                return opened(*arguments, **options)
            except OSError:
                loop.call_soon_threadsafe(looked.set)
                raise

        monkeypatch.setattr(LocalFiles, "open_to_append", looking)
        handle = sf.flow([1, 2]).to(pipe).start()
        waiting = asyncio.ensure_future(handle.wait())
        await looked.wait()
        with await asyncio.to_thread(open, pipe, "rb") as reader:
            assert await asyncio.to_thread(reader.read) == b"1\n2\n"
        await waiting

    asyncio.run(main())


def test_output_for_a_pipe_is_not_held_back_until_there_is_more(pipe: Path) -> None:
    async def main() -> None:
        inbox: sf.Inbox[int] = sf.inbox(10)

        async def numbers() -> Any:
            yield await asks.get()
            yield await asks.get()

        asks: asyncio.Queue[int] = asyncio.Queue()
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reader, True)
        async with sf.flow(numbers).to(pipe).start() as handle:  # bounded, as far as anybody knows
            for n in range(2):
                await asks.put(n)
                assert await asyncio.to_thread(os.read, reader, 100) == b"%d\n" % n
            await handle.wait()
        os.close(reader)
        del inbox

    asyncio.run(main())


def test_two_sinks_of_one_file_and_a_file_that_is_read_and_written_are_refused(tmp_path: Path) -> None:
    here, there = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    here.write_text("1\n")
    numbers = sf.flow(here)
    with pytest.raises(sf.FlowError, match="two sinks write"):
        sf.together(numbers.to(there), numbers.map(str).to(str(there))).run_sync()
    with pytest.raises(sf.FlowError, match="two sinks write"):
        numbers.map(str, on_error=sf.dead_letter(there)).to(there).run_sync()
    with pytest.raises(sf.FlowError, match="read and written"):
        numbers.to(here).run_sync()
    with pytest.raises(sf.FlowError, match="read and written"):
        numbers.map(str, on_error=sf.dead_letter(here)).to(there).run_sync()
    assert here.read_text() == "1\n"
    null = sf.sinks.JsonLines("/dev/null")
    sf.together(numbers.to(null), numbers.map(str).to(sf.sinks.TextLines("/dev/null"))).run_sync()


@pytest.mark.parametrize("bad", [3, 40])
def test_a_run_that_fails_keeps_what_it_has_set_aside(tmp_path: Path, bad: int) -> None:
    async def check(n: int) -> int:
        await asyncio.sleep(0)
        if n < bad:
            raise ValueError(f"no {n}")
        return n

    letters = tmp_path / "bad.jsonl"
    flow = sf.flow(range(1000)).map(check, concurrency=5, on_error=sf.dead_letter(letters), max_failures=bad - 1)
    with pytest.raises(sf.TooManyFailures):
        flow.to(tmp_path / "out.jsonl").run_sync()
    assert [json.loads(line)["item"] for line in letters.read_text().splitlines()][: bad - 1] == list(range(bad - 1))
    assert not (tmp_path / "out.jsonl").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]


@pytest.mark.parametrize("name", [b"o\xff.jsonl", b"\xff" * 240 + b".jsonl", "ä".encode() * 120 + b".jsonl"])
def test_a_file_name_need_not_be_utf_8(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    sf.flow([1, 2]).to(path).run_sync()
    assert os.listdir(os.fsencode(tmp_path)) == [name]
    assert list(sf.flow(path)) == [1, 2]


def test_what_is_bad_in_a_file_whose_name_is_not_utf_8_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"w\xff.jsonl")).write_text("1\nno\n2\n")
    out: list[Any] = []
    aside = sf.dead_letter(tmp_path / "bad.jsonl")
    sf.flow(sf.sources.JsonLines(tmp_path / "w*.jsonl", on_error=aside)).to(out).run_sync()
    (letter,) = sf.flow(tmp_path / "bad.jsonl")
    assert out == [1, 2]
    assert (letter["item"], letter["position"]["source"]) == ("no\n", str(tmp_path / "w\\udcff.jsonl"))


def test_a_run_that_fails_with_nothing_to_set_aside_leaves_the_old_file(tmp_path: Path) -> None:
    letters = tmp_path / "bad.jsonl"
    letters.write_text("of yesterday\n")
    bad = sf.dead_letter(letters)
    with pytest.raises(FileNotFoundError):
        sf.flow(tmp_path / "missing.jsonl").map(str, on_error=bad).to([]).run_sync()
    with pytest.raises(ZeroDivisionError):
        sf.flow([1, 0]).map(str, on_error=bad).map(lambda n: 1 / int(n)).to([]).run_sync()
    assert letters.read_text() == "of yesterday\n"


def test_an_item_of_several_lines_is_no_line(tmp_path: Path) -> None:
    flow = sf.flow(["a", "b\nc"])
    with pytest.raises(ValueError, match="more than one line"):
        flow.to(tmp_path / "out.txt").run_sync()
    assert sf.flow(["a", "b\nc"]).flat_map(str.splitlines).to(tmp_path / "out.txt").run_sync().items_in == 2
    assert (tmp_path / "out.txt").read_text() == "a\nb\nc\n"


class FullDisk(LocalFiles):
    """Have room for nothing."""

    def create(self, path: str, like: str | None = None) -> Any:
        output: Any = super().create(path, like)

        def fail(data: memoryview) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        output.write = fail
        return output


@pytest.mark.parametrize("make", [sf.sinks.JsonLines, sf.sinks.Csv], ids=lambda make: make.__name__)
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_full_disk_is_the_fault_of_no_item(make: Any, attempts: int, tmp_path: Path) -> None:
    """Skipping what the disk did not take would be a loss that nobody asked for."""
    retry = sf.Retry(attempts=attempts, base=0, jitter=False)
    target = make(tmp_path / "out", files=FullDisk(), on_error="skip", retry=retry)
    with pytest.raises(OSError, match="No space left"):
        sf.flow({"n": n} for n in range(10)).to(target).run_sync()
    assert not list(tmp_path.iterdir())
