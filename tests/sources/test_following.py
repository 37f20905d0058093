"""Files that are followed: what is read, what a checkpoint means, what is refused, and that nothing remains."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from click.testing import CliRunner

import streamflow as sf
from streamflow.cli.commands import cli
from streamflow.configuration.flow_file import FlowFile
from streamflow.files.local import LocalFiles
from streamflow.model.events import FileChanged
from streamflow.testing import check_leaks, run
from streamflow.testing.conformance.sources import SourceSuite

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
HOWS: list[Any] = ["poll", "notify"]


class TestFollowed(SourceSuite):
    """Hold it to the contract of every source."""

    how: Any = "poll"

    @pytest.fixture(autouse=True)
    def path(self, tmp_path: Path) -> None:
        self.file = tmp_path / "numbers.jsonl"
        self.file.write_text("".join(f"{number}\n" for number in range(45)) + "partial")

    def make_source(self) -> sf.Source[Any]:
        return sf.sources.JsonLines(self.file, chunk=7, follow=self.how)

    def make_waiting_source(self) -> tuple[sf.Source[Any], list[Any]]:
        return self.make_source(), list(range(45))

    def expected(self) -> list[Any]:
        return list(range(20))


class TestNotified(TestFollowed):
    how = "notify"


class Gathered:
    """Take items, and let the test wait until so many have come."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.events: list[Any] = []
        self._came = asyncio.Condition()

    async def take(self, item: Any) -> None:
        self.items.append(item)
        async with self._came:
            self._came.notify_all()

    async def reach(self, items: list[Any]) -> None:
        await self.count(len(items))
        assert self.items == items

    async def count(self, count: int) -> None:
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(lambda: len(self.items) >= count)

    def changes(self) -> list[str]:
        return [event.change for event in self.events if isinstance(event, FileChanged)]


def on(loop: str, main: Callable[[], Awaitable[None]], folder: Path) -> None:
    async def watched() -> None:
        with check_leaks(folder):
            await main()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(watched())


async def rest() -> None:
    """Wait, on a virtual loop, until nobody is looking: what follows happens between two looks."""
    await asyncio.sleep(10.0003)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("loop", LOOPS)
def test_it_survives_what_happens_to_logs(loop: str, how: Any, tmp_path: Path) -> None:
    path, rotated = tmp_path / "app.log.jsonl", tmp_path / "app.log.jsonl.1"

    async def main() -> None:
        seen = Gathered()
        flow = sf.flow(path, follow=how).to(seen.take)
        async with flow.start(on_event=seen.events.append) as handle:
            append(path, "1\n2")
            await seen.reach([1])
            append(path, "\n")
            await seen.reach([1, 2])
            path.rename(rotated)
            append(rotated, "3\n4")  # by a writer that had it open; its last line is never ended
            append(path, "5\n")
            await seen.reach([1, 2, 3, 4, 5])
            path.write_text("")
            append(path, "6\n")
            await seen.reach([1, 2, 3, 4, 5, 6])
            path.unlink()
            append(path, "7\n8")
            await seen.reach([1, 2, 3, 4, 5, 6, 7])
            report = await handle.drain()
        assert seen.items == [1, 2, 3, 4, 5, 6, 7]
        assert report.state == "drained"
        assert seen.changes()[0] == "missing"
        assert [change for change in seen.changes() if change != "missing"] == ["rotated", "truncated", "rotated"]

    on(loop, main, tmp_path)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("rotations", [300, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_no_line_is_lost_or_doubled_by_rotations(rotations: int, how: Any, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    seen: list[int] = []
    room = threading.Semaphore(30)  # rotated files at once: those that are removed have been read

    def write() -> None:
        line = 0
        for turn in range(rotations):
            room.acquire()
            with path.open("ab", buffering=0) as file:
                for _ in range(turn % 7):
                    file.write(b"%d\n" % line)
                    line += 1
                path.rename(tmp_path / f"app.log-{turn:08}")
                file.write(b"%d\nend\n" % line)
                line += 1
        path.write_text("all\n")

    async def main() -> None:
        done = asyncio.Event()
        ended = iter(range(rotations))

        def take(text: str) -> None:
            if text == "end":
                (tmp_path / f"app.log-{next(ended):08}").unlink()
                room.release()
            elif text == "all":
                done.set()
            else:
                seen.append(int(text))

        writer = threading.Thread(target=write)
        async with sf.flow(sf.sources.TextLines(path, follow=how)).to(take).start() as handle:
            writer.start()
            await done.wait()
            await handle.drain()
        writer.join()

    on("asyncio", main, tmp_path)
    assert seen == list(range(sum(turn % 7 + 1 for turn in range(rotations))))
    assert next(tmp_path.glob("app.log-*"), None) is None


@pytest.mark.parametrize("turns", range(0, 60, 4))
@pytest.mark.parametrize("gear", ["cancel", "drain"])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", HOWS)
def test_cut_anywhere_it_leaves_nothing_behind(turns: int, gear: str, loop: str, how: Any, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("a\nb\n")

    async def main() -> None:
        out: list[str] = []
        handle = sf.flow(path, follow=how).to(out).start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await (handle.cancel() if gear == "cancel" else handle.drain())
        assert out == ["a", "b"][: len(out)]

    on(loop, main, tmp_path)


def test_a_run_that_waits_for_a_file_ends_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        seen = Gathered()
        handle = sf.flow(tmp_path / "app.log", follow="poll").to(seen.take).start(on_event=seen.events.append)
        await asyncio.sleep(20)
        assert seen.changes() == ["missing"]
        await handle.drain()
        assert asyncio.get_running_loop().time() == pytest.approx(20, abs=0.5)

    run(main)


class Resumed:
    """Run a followed flow, take a checkpoint, and go on from it."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.source = sf.sources.TextLines(path, follow="poll", **options)

    async def first(self, count: int) -> tuple[list[str], sf.Checkpoint]:
        seen = Gathered()
        async with sf.flow(self.source).to(seen.take).start() as handle:
            await seen.count(count)
            checkpoint = await handle.checkpoint()
            await handle.drain()
        return seen.items, checkpoint

    async def then(self, checkpoint: sf.Checkpoint) -> tuple[list[str], list[str]]:
        seen = Gathered()
        flow = sf.flow(self.source).to(seen.take)
        async with flow.start(resume=checkpoint, on_event=seen.events.append) as handle:
            await asyncio.sleep(10)
            await handle.drain()
        return seen.items, seen.changes()


def test_a_line_that_is_not_ended_stays_for_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("a\nhal")

    async def main() -> None:
        flow = Resumed(path)
        items, checkpoint = await flow.first(1)
        assert items == ["a"]
        append(path, "f\n")
        assert await flow.then(checkpoint) == (["half"], [])

    run(main)


@pytest.mark.parametrize("names", [["app.log.1"], ["app.log.2", "app.log.1"], ["app-20261121.log", "app-20261122.log"]])
def test_a_checkpoint_is_taken_up_in_the_file_that_was_rotated_away(names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    (tmp_path / names[0].replace("2026", "2025").replace("log.", "log.1")).write_text("old\n")
    path.write_text("a\nb\n")

    async def main() -> None:
        flow = Resumed(path)
        assert (await flow.first(2))[0] == ["a", "b"]
        _, checkpoint = await flow.first(2)
        expected = []
        for n, name in enumerate(names):
            append(path, f"{n}\n")
            path.rename(tmp_path / name)
            expected.append(f"{n}")
        append(path, "now\n")
        assert await flow.then(checkpoint) == ([*expected, "now"], ["rotated"] * len(names))

    run(main)


def test_a_checkpoint_whose_file_is_gone_says_which_one(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("a\n")

    async def main() -> None:
        flow = Resumed(path)
        _, checkpoint = await flow.first(1)
        path.unlink()
        with check_leaks(tmp_path), pytest.raises(sf.RecordError, match=r"byte 2 .*app\.log.*inode \d+.*begin anew"):
            await flow.then(checkpoint)
        path.write_text("another\n")  # often of the same inode
        with pytest.raises(sf.RecordError, match="neither there nor under another name"):
            await flow.then(checkpoint)

    run(main)


def test_a_checkpoint_of_a_file_that_was_emptied_goes_on_in_the_copy_if_there_is_one(tmp_path: Path) -> None:
    path, copy = tmp_path / "app.log", tmp_path / "app.log.1"
    lines = [f"line {n} of a file of some length" for n in range(20)]
    path.write_text("".join(f"{line}\n" for line in lines))

    async def main() -> None:
        flow = Resumed(path)
        _, checkpoint = await flow.first(20)
        append(path, "late\n")
        copy.write_bytes(path.read_bytes())
        path.write_text("new\n")
        assert await flow.then(checkpoint) == (["late", "new"], ["rotated"])
        path.write_text(lines[0] * 10 + "\n")
        copy.unlink()
        with pytest.raises(sf.RecordError, match="neither"):
            await flow.then(checkpoint)

    run(main)


def test_lines_that_came_before_a_file_was_emptied_are_read_in_its_copy(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("a\n")

    async def main() -> None:
        seen = Gathered()
        async with sf.flow(path, follow="poll").to(seen.take).start(on_event=seen.events.append) as handle:
            await seen.reach(["a"])
            await rest()
            append(path, "b\n")
            (tmp_path / "app.log.1").write_bytes(path.read_bytes())
            path.write_text("c\n")
            await seen.reach(["a", "b", "c"])
            await rest()
            path.unlink()
            append(path, "d\n")
            await seen.reach(["a", "b", "c", "d"])
            await handle.drain()
        assert seen.changes() == ["truncated", "rotated", "rotated"]

    run(main)


def test_each_csv_file_has_its_header(tmp_path: Path) -> None:
    path = tmp_path / "app.csv"
    path.write_text('a,b\n1,"two\nlines')

    async def main() -> None:
        seen = Gathered()
        async with sf.flow(path, follow="poll").to(seen.take).start() as handle:
            append(path, '"\n3,4\n')
            await seen.reach([{"a": "1", "b": "two\nlines"}, {"a": "3", "b": "4"}])
            checkpoint = await handle.checkpoint()
            path.rename(tmp_path / "app.1.csv")
            append(path, "b,a\n5,6\n")
            await seen.reach([*seen.items[:2], {"b": "5", "a": "6"}])
            await handle.drain()
        again = Gathered()
        async with sf.flow(path, follow="poll").to(again.take).start(resume=checkpoint) as handle:
            await again.reach(seen.items[2:])
            await handle.drain()

    run(main)


def test_lines_that_come_to_a_file_which_was_left_are_told(tmp_path: Path) -> None:
    path, old = tmp_path / "app.log", tmp_path / "app.log.1"
    path.write_text("a\n")

    async def main() -> None:
        seen = Gathered()
        async with sf.flow(path, follow="poll").to(seen.take).start(on_event=seen.events.append) as handle:
            await seen.reach(["a"])
            await rest()
            path.rename(old)
            append(path, "b\n")
            await seen.reach(["a", "b"])
            await rest()
            append(old, "too late\n")
            path.rename(tmp_path / "app.log.0")
            append(path, "c\n")
            await seen.reach(["a", "b", "c"])
            await handle.drain()
        assert seen.changes() == ["rotated", "late", "rotated"]
        assert "9 bytes" in next(event.detail for event in seen.events if getattr(event, "change", "") == "late")

    run(main)


class Locked(LocalFiles):
    """Refuse to open what is locked."""

    def __init__(self) -> None:
        self.locked: set[int] = set()

    def open_to_read(self, path: str) -> Any:
        if os.stat(path).st_ino in self.locked:
            raise PermissionError(13, "Permission denied", path)
        return super().open_to_read(path)


def test_a_next_file_that_cannot_be_opened_yet_is_waited_for(tmp_path: Path) -> None:
    path, files = tmp_path / "app.log", Locked()
    path.write_text("a\n")

    async def main() -> None:
        seen = Gathered()
        flow = sf.flow(sf.sources.TextLines(path, follow="poll", files=files)).to(seen.take)
        async with flow.start(on_event=seen.events.append) as handle:
            await seen.reach(["a"])
            await rest()
            (tmp_path / "next").write_text("b\n")
            files.locked.add((tmp_path / "next").stat().st_ino)
            (tmp_path / "next").rename(path)
            await asyncio.sleep(3)
            assert seen.changes() == ["unreadable"]
            files.locked.clear()
            await seen.reach(["a", "b"])
            await handle.drain()
        files.locked.add(path.stat().st_ino)
        with pytest.raises(PermissionError):
            await flow.run()

    run(main)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: sf.flow(folder / "app.log.gz", follow=True), "compressed"),
        (lambda folder: sf.flow(folder / "*.log", follow=True), "one file can be followed"),
        (lambda folder: sf.sources.TextLines(["a.log", "b.log"], follow=True), "one file can be followed"),
        (lambda folder: sf.sources.TextLines(folder / "a.log", follow="yes"), "expected True, 'notify', 'poll'"),
        (lambda folder: sf.flow("-", follow=True), "leave follow out"),
        (lambda folder: sf.flow([1, 2], follow=True), "only a file of lines can be followed"),
        (lambda folder: sf.sources.TextLines(folder, follow=True), "this is a directory"),
        (lambda folder: sf.sources.TextLines(folder / "pipe", follow=True), "a named pipe .* leave follow out"),
        (lambda folder: sf.sources.TextLines("/dev/null", follow=True), "this is a device"),
    ],
)
def test_what_cannot_be_followed_is_refused_when_described(make: Any, message: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(sf.FlowError, match=message):
        make(tmp_path)


def test_a_folder_that_is_not_there_is_no_folder_to_wait_for(tmp_path: Path) -> None:
    with check_leaks(tmp_path), pytest.raises(FileNotFoundError, match="no directory"):
        sf.flow(tmp_path / "lgos" / "app.log", follow=True).to(None).run_sync()


def test_a_name_that_becomes_a_directory_ends_the_run_plainly(tmp_path: Path) -> None:
    path = tmp_path / "app.log"

    async def main() -> None:
        handle = sf.flow(path, follow="poll").to(None).start()
        await asyncio.sleep(1)
        path.mkdir()
        with check_leaks(), pytest.raises(sf.FlowError, match="this is a directory"):
            await handle.wait()

    run(main)


def test_without_watchfiles_it_polls_and_notify_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles._rust_notify", None)
    path = tmp_path / "app.log"
    path.write_text("a\n")
    with pytest.raises(sf.FlowError, match=r"streamflow-engine\[daemon\]"):
        sf.flow(path, follow="notify")

    async def main() -> None:
        seen = Gathered()
        async with sf.flow(path, follow=True).to(seen.take).start() as handle:
            await seen.reach(["a"])
            assert "streamflow-watch" not in {thread.name for thread in threading.enumerate()}
            await handle.drain()

    run(main)


def test_a_system_without_watches_left_is_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(*_: Any) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("watchfiles._rust_notify.RustNotify", none_left)
    path = tmp_path / "app.log"

    async def main() -> None:
        seen = Gathered()
        async with sf.flow(path, follow=True).to(seen.take).start() as handle:
            append(path, "a\n")
            await seen.reach(["a"])
            await handle.drain()

    with caplog.at_level(logging.WARNING):
        on("asyncio", main, tmp_path)
    assert "watch limit reached" in caplog.text


def test_the_plan_says_that_it_never_ends(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    flow = sf.flow(path, follow=True).to(None)
    assert not flow.plan.bounded
    assert "source, endless" in flow.explain()
    assert "endless" not in sf.flow(path).to(None).explain()


def test_a_checkpoint_of_a_file_that_grew_shorter_is_taken_up_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    head = "x" * 300 + "\n"
    path.write_text(head + "a\n")

    async def main() -> None:
        flow = Resumed(path)
        _, checkpoint = await flow.first(2)
        path.write_text(head)
        items, changes = await flow.then(checkpoint)
        assert [item[:1] for item in items] == ["x"]
        assert changes == ["truncated"]

    run(main)


def test_the_how_to_runs_as_it_stands(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "follow.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "[1, 2, 3]\n"), done.stderr


@pytest.mark.parametrize(("written", "how"), [("true", True), ('"poll"', "poll"), ("false", False)])
def test_a_flow_file_says_it_as_python_does(written: str, how: Any, tmp_path: Path) -> None:
    (tmp_path / "flow.toml").write_text(
        f'source = {{ type = "text", path = "app.log", follow = {written} }}\nsink = "out.txt"\n'
    )
    flow = FlowFile(tmp_path / "flow.toml").runnable
    source = flow.plan.stages[0].source
    assert isinstance(source, sf.sources.TextLines)
    assert source.follow == how
    assert flow.plan.bounded is not bool(how)


@pytest.mark.parametrize("arguments", [["app.log", "--follow"], ["--from", "app.log", "--follow"]])
def test_the_command_line_follows_until_it_is_told_to_stop(arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("a\n")
    command = [sys.executable, "-c", "from streamflow.cli import main; main()", "run", *arguments]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "a\n"
        append(path, "b\n")
        assert process.stdout.readline() == "b\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 0


def test_the_command_line_refuses_what_cannot_be_followed(tmp_path: Path) -> None:
    (tmp_path / "app.log.gz").write_text("")
    for arguments in (["--from", str(tmp_path / "app.log.gz")], ["--from", "-"], [str(tmp_path / "flow.toml")], []):
        result = CliRunner().invoke(cli, ["run", *arguments, "--follow"])
        assert result.exit_code == 2, result.output
        assert "error" in result.output
