"""What goes wrong around checkpoints: places, state, flows that were changed, files that were; all of it is told."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import streamflow as sf
from streamflow.model import events
from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.state.checkpoint_file import CheckpointFile

ROOT = Path(__file__).parents[2]
COUNT = 1500


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write("in.jsonl")
    return tmp_path


def write(name: str, begin: int = 0) -> None:
    lines = ({"n": n, "user": f"u{n % 3}", "ts": 1000 + n} for n in range(begin, begin + COUNT))
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def same(item: Any) -> Any:
    return item


def append(name: str, text: str) -> None:
    with open(name, "a") as file:
        file.write(text)


def plain(step: Callable[[Any], Any] = same, source: str = "in.jsonl", sink: str = "out.jsonl") -> sf.Runnable:
    return sf.flow(source).map(step, name="step").to(sink)


Make = Callable[..., sf.Runnable]


class Stop(Exception):
    """End a run as an error of the user's would."""


def half(make: Make = plain) -> None:
    """Run a flow until a checkpoint was taken in its middle, and something has gone wrong after that."""
    live: list[sf.Run] = []
    taken: list[asyncio.Future[Any]] = []

    def step(item: Any) -> Any:
        if item["n"] >= 100:
            if not taken:
                taken.append(asyncio.ensure_future(live[0].checkpoint()))
            if taken[0].done():
                raise Stop
            time.sleep(0.001)  # it takes its time, so that the checkpoint can pass
        return item

    async def main() -> None:
        live.append(make(step).start(checkpoint="x.ckpt", every=60))
        try:
            with suppress(Stop):
                await live[0].wait()
        finally:
            await asyncio.gather(*taken, return_exceptions=True)

    asyncio.run(main())


def go_on(runnable: sf.Runnable | None = None, **options: Any) -> sf.RunReport:
    return (runnable if runnable is not None else plain()).run_sync(checkpoint="x.ckpt", **options)


def written(name: str = "out.jsonl") -> list[int]:
    return [json.loads(line)["n"] for line in Path(name).read_text().splitlines()]


def names() -> list[str]:
    return sorted(os.listdir())


# -- where checkpoints are kept ---------------------------------------------------------------------------------------


def nothing() -> None:
    """Leave all as it is."""


def other_database(name: str) -> None:
    database = sqlite3.connect(name)
    database.execute("CREATE TABLE t (a)")
    database.close()


#: How what is there came to be, checkpoint=, and what is said.
PLACES: dict[str, tuple[Callable[[], object], Any, type[Exception], str]] = {
    "a missing folder": (nothing, "no/x.ckpt", FileNotFoundError, "make it first"),
    "a directory": (lambda: os.mkdir("d"), "d", IsADirectoryError, "name a checkpoint file in it"),
    "the folder itself": (nothing, ".", IsADirectoryError, "name a checkpoint file in it"),
    "another database": (lambda: other_database("o.db"), "o.db", sf.FlowError, "another program's SQLite database"),
    "a diary": (lambda: Path("d.txt").write_text("dear diary\n" * 99), "d.txt", sf.FlowError, "left as it is"),
    "/dev/null": (nothing, "/dev/null", sf.FlowError, "no regular file"),
    "a fifo": (lambda: os.mkfifo("f"), "f", sf.FlowError, "no regular file"),
    "a link to no folder": (lambda: os.symlink("no/x", "l"), "l", FileNotFoundError, "make it first"),
    "a link to itself": (lambda: os.symlink("l", "l"), "l", OSError, "Too many levels"),
    "the input": (nothing, "in.jsonl", sf.FlowError, "give the checkpoints another name"),
    "the input, by a link": (lambda: os.symlink("in.jsonl", "l"), "l", sf.FlowError, "give the checkpoints another"),
    "the output": (nothing, "out.jsonl", sf.FlowError, "give the checkpoints another name"),
    "a number": (nothing, 5, sf.FlowError, "expected the path of a file, as in checkpoint='events.ckpt'"),
    "a truth": (nothing, True, sf.FlowError, "expected the path of a file"),
}


@pytest.mark.parametrize("place", PLACES)
def test_where_no_checkpoints_can_be_kept(place: str, folder: Path) -> None:
    make, path, kind, said = PLACES[place]
    make()
    before = {name: Path(name).read_bytes() if Path(name).is_file() else b"" for name in names()}
    for resume in ("auto", "never"):
        with pytest.raises(kind, match=said):
            plain().run_sync(checkpoint=path, resume=resume)
    assert {name: Path(name).read_bytes() if Path(name).is_file() else b"" for name in names()} == before


OPTIONS: list[tuple[dict[str, Any], str]] = [
    *(({"resume": wrong}, "expected 'never', 'auto', 'require'") for wrong in ("yes", True, None, 5, "Auto", "")),
    *(({"every": wrong}, "every=...*: .*above 0") for wrong in (0, -1, float("nan"), float("inf"), 10**400, None)),
    ({"every": "5 parsecs"}, "'5 parsecs' is no stretch of time; write it as in '5s'"),
    ({"every": 1e-9}, "at least 0.01 seconds"),
    ({"resume": "require"}, "there is no checkpoint to go on from"),
]


@pytest.mark.parametrize(("options", "said"), OPTIONS)
def test_nonsense_is_refused_before_anything_is_made(options: dict[str, Any], said: str, folder: Path) -> None:
    with pytest.raises(sf.FlowError, match=said):
        go_on(**options)
    assert [name for name in names() if "out" in name] == []


def test_a_path_is_what_it_was_when_the_run_began(folder: Path) -> None:
    os.mkdir("elsewhere")
    os.symlink("elsewhere/real.ckpt", "x.ckpt")

    def leave(item: Any) -> Any:
        if item["n"] == 10:
            os.chdir(folder / "elsewhere")
        return item

    go_on(plain(leave))
    os.chdir(folder)
    assert written() == list(range(COUNT))
    assert names() == ["elsewhere", "in.jsonl", "out.jsonl", "x.ckpt"]
    assert os.listdir("elsewhere") == ["real.ckpt"]
    assert Path("x.ckpt").is_symlink()


# -- two runs, and files that others touch ----------------------------------------------------------------------------


def test_the_same_flow_twice_at_once_on_one_checkpoint(folder: Path) -> None:
    flow = plain()

    async def main() -> list[Any]:
        runs = (flow.run(checkpoint="x.ckpt"), flow.run(checkpoint="x.ckpt"))
        return await asyncio.gather(*runs, return_exceptions=True)

    first, second = sorted(asyncio.run(main()), key=lambda one: isinstance(one, Exception))
    assert isinstance(first, sf.RunReport)
    assert isinstance(second, sf.FlowError)
    assert f"this process ({os.getpid()}) has this checkpoint file: wait for that run to end" in str(second)
    assert written() == list(range(COUNT))


@pytest.mark.parametrize("copied", [False, True])
def test_another_process_has_the_checkpoints(copied: bool, folder: Path) -> None:
    """It stays so if that process makes a copy of the file: closing one ends all locks that POSIX knows of."""
    script = (
        "import shutil, sys, streamflow as sf\n"
        "def step(item):\n"
        "    if item['n'] == 50:\n"
        f"        {copied} and shutil.copy('x.ckpt', 'y.ckpt')\n"
        "        print('at work', flush=True)\n"
        "        sys.stdin.read()\n"
        "    return item\n"
        "sf.flow('in.jsonl').map(step, name='step').to('out.jsonl').run_sync(checkpoint='x.ckpt')\n"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"at work\n"
        with pytest.raises(sf.FlowError, match="has this checkpoint file: wait for that run to end, stop it, or give"):
            go_on()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert written() == list(range(COUNT))


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_of_checkpoints_that_is_taken_away_under_the_run(replaced: bool, folder: Path) -> None:
    def take_away(item: Any) -> Any:
        if item["n"] == 50:
            os.remove("x.ckpt")
            if replaced:
                Path("x.ckpt").write_text("something else")
        return item

    with pytest.raises(FileNotFoundError, match="the checkpoint file was removed or replaced under the run"):
        go_on(plain(take_away))
    assert "out.jsonl" not in names()


#: What becomes of files between two runs, and what is said; nothing where all comes out as if nothing had been.
BETWEEN: dict[str, tuple[Callable[[str], object], str]] = {
    "the input is shorter": (lambda _: os.truncate("in.jsonl", 100), "replaced or shortened since; put the file back"),
    "the input is empty": (lambda _: os.truncate("in.jsonl", 0), "replaced or shortened since; put the file back"),
    "the input is gone": (lambda _: os.remove("in.jsonl"), "No such file"),
    "the input is another": (lambda _: write("in.jsonl", 7), "replaced or shortened since; put the file back"),
    "the input is a folder": (lambda _: (os.remove("in.jsonl"), os.mkdir("in.jsonl")), "this is a directory"),
    "the input is a copy": (lambda _: (shutil.copy("in.jsonl", "y"), os.replace("y", "in.jsonl")), ""),
    "what is written is gone": (os.remove, "this output was removed .*put back what the checkpoint knows"),
    "what is written is shorter": (lambda part: os.truncate(part, 9), "shortened to 9 of .*put back what"),
    "what is written is longer": (lambda part: append(part, "more\n" * 99), ""),
    "the output is there": (lambda _: Path("out.jsonl").write_text("another's\n"), ""),
    "the output is a folder": (lambda _: os.mkdir("out.jsonl"), "this is a directory: name a file in it"),
    "half of the checkpoints": (
        lambda _: os.truncate("x.ckpt", os.path.getsize("x.ckpt") // 2),
        "the checkpoint file is damaged: .*or begin from the start",
    ),
}


@pytest.mark.parametrize("change", BETWEEN)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_files_that_change_between_two_runs(change: str, folder: Path) -> None:
    half()
    act, said = BETWEEN[change]
    [part] = [name for name in names() if name.endswith(".part")]
    act(part)
    if said:
        with pytest.raises((OSError, sf.StreamflowError), match=said):
            go_on()
        return
    report = go_on()
    assert report.statistics.checkpoints is not None
    assert report.statistics.checkpoints.resumed_at >= 100
    assert written() == list(range(COUNT))
    assert names() == ["in.jsonl", "out.jsonl", "x.ckpt"]


def test_an_input_that_has_grown_is_read_to_its_new_end(folder: Path) -> None:
    half()
    append("in.jsonl", '{"n": 1500}\n')
    go_on()
    assert written() == list(range(COUNT + 1))


def test_checkpoints_that_are_copied_while_the_run_lives_can_be_gone_on_from(folder: Path) -> None:
    half()
    for name in names():
        if name.startswith("x.ckpt"):
            shutil.copy(name, name.replace("x.ckpt", "y.ckpt"))
    plain().run_sync(checkpoint="y.ckpt")
    assert written() == list(range(COUNT))


# -- flows that were changed ------------------------------------------------------------------------------------------


def user(event: Any) -> Any:
    return event["user"]


def person(event: Any) -> Any:
    return event["user"]


def windowed(
    step: Callable[[Any], Any] = same,
    source: str = "in.jsonl",
    sink: str = "out.jsonl",
    lateness: float = 5,
    key: Callable[[Any], Any] = user,
    spec: Any = None,
    before: Callable[[sf.Flow[Any]], sf.Flow[Any]] = same,
    after: Callable[[sf.Flow[Any]], sf.Flow[Any]] = same,
    **aggregations: Any,
) -> sf.Runnable:
    timed = before(sf.flow(source).map(step, name="step")).event_time(lambda e: e["ts"], max_lateness=lateness)
    windows = timed.key_by(key).window(spec if spec is not None else sf.tumbling(10))
    return after(windows.aggregate(**(aggregations or {"n": sf.agg.count()}))).to(sink)


async def later(item: Any) -> Any:
    return item


#: The flow that goes on, and how the difference is named; nothing where it is none.
CHANGES: dict[str, tuple[Callable[[], sf.Runnable], str]] = {
    "nothing": (windowed, ""),
    "another source": (lambda: windowed(source="other.jsonl"), r"'in.jsonl' is no longer there .*'other.jsonl' is new"),
    "another sink": (lambda: windowed(sink="out.csv"), r"'out.jsonl' is no longer there .*'out.csv' is new"),
    "another length": (lambda: windowed(spec=sf.tumbling(20)), r"tumbling\(10 s\).* is no longer .*tumbling\(20 s\)"),
    "sessions": (lambda: windowed(spec=sf.session(10)), r"renamed to 'key_by\(user\).window\(session\(10 s\)\)'"),
    "another lateness": (lambda: windowed(lateness=6), "was event_time.max_lateness=5, .*, and is .*max_lateness=6"),
    "another aggregation": (lambda: windowed(n=sf.agg.first()), r"of n=count\(\) by user, and is .* of n=first\(\)"),
    "another name": (lambda: windowed(m=sf.agg.count()), r"of n=count\(\) by user, and is .* of m=count\(\)"),
    "one more": (lambda: windowed(n=sf.agg.count(), m=sf.agg.first()), r"and is .* of n=count\(\), m=first\(\)"),
    "another key": (lambda: windowed(key=person), r"key_by\(user\).* is no longer there .*key_by\(person\)"),
    "a scan more": (lambda: windowed(after=lambda flow: flow.scan(max, None)), r"'scan\(max\)' is new"),
    "a batch before": (lambda: windowed(before=lambda flow: flow.batch(3).unbatch()), r"'batch\(3\)' is new"),
    "maps and filters": (lambda: windowed(before=lambda flow: flow.map(same).filter(bool)), ""),
    "an async map": (lambda: windowed(before=lambda flow: flow.map(later, concurrency=4)), ""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_flow_that_was_changed(change: str, folder: Path) -> None:
    half(windowed)
    write("other.jsonl")
    make, said = CHANGES[change]
    if said:
        with pytest.raises(sf.CheckpointMismatch, match=said) as caught:
            go_on(make())
        assert "or begin anew with resume='never' or another path" in str(caught.value)
        assert "out.jsonl" not in names()
        return
    go_on(make())
    counts = [json.loads(line)["value"]["n"] for line in Path("out.jsonl").read_text().splitlines()]
    assert sum(counts) == COUNT


# -- state that cannot be written down --------------------------------------------------------------------------------


def made_here() -> Any:
    class Local:
        pass

    return Local()


#: Values, and how they are called.
UNWRITABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "a lambda": (lambda: lambda: 1, "a lambda"),
    "a lock": (threading.Lock, "lock"),
    "a generator": (lambda: (n for n in ()), "generator"),
    "a class of a function": (made_here, "Local is defined in a function: define it at the top"),
    "a database": (lambda: sqlite3.connect(":memory:"), "Connection"),
}
#: Flows that keep a value, and what is said of where it is.
KEEPS: dict[str, tuple[Callable[[sf.Flow[Any], Callable[[], Any]], sf.Flow[Any]], str]] = {
    "scan": (lambda flow, make: flow.scan(lambda _, n: {"of": make()}, None), r"scan\(lambda\): key 'of'"),
    "scan by key": (lambda flow, make: flow.key_by(user).scan(lambda _, n: make(), 0), r"scan\(lambda\): key 'u0'"),
    "map_with_state": (
        lambda flow, make: flow.key_by(user).map_with_state(lambda _, n: (make(), n)),
        r"map_with_state\(lambda\): key 'u0'",
    ),
    "window": (
        lambda flow, make: (
            flow.event_time(lambda _: 5).key_by(user).window(sf.tumbling(10)).aggregate(v=sf.agg.last(lambda _: make()))
        ),
        r"window\(tumbling\(10 s\)\): key 'u0'",
    ),
    "session": (
        lambda flow, make: (
            flow.event_time(lambda _: 5).key_by(user).window(sf.session(10)).aggregate(v=sf.agg.last(lambda _: make()))
        ),
        r"window\(session\(10 s\)\): key 'u0'",
    ),
    "global window": (
        lambda flow, make: flow.key_by(user).window(sf.global_window(10**6)).aggregate(v=sf.agg.last(lambda _: make())),
        r"global_window\(.*: key 'u0'",
    ),
    "aggregate": (lambda flow, make: flow.key_by(user).aggregate(v=sf.agg.last(lambda _: make())), "key 'u0'"),
    "batch": (lambda flow, make: flow.map(lambda _: make()).batch(10**6), r"batch\(1000000\): entry 0"),
}


@pytest.mark.parametrize("keeps", KEEPS)
@pytest.mark.parametrize("what", UNWRITABLE)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # databases that nobody closes
def test_what_cannot_be_written_down_is_named_with_its_key(what: str, keeps: str, folder: Path) -> None:
    make, called = UNWRITABLE[what]
    build, place = KEEPS[keeps]

    def make_flow(step: Callable[[Any], Any]) -> sf.Runnable:
        return build(sf.flow("in.jsonl").map(step, name="step"), make).map(lambda _: None).to(None)

    with pytest.raises(sf.NotSerialisable, match=f"{place}.*{called}.*; keep plain values in state$"):
        half(make_flow)


def test_a_key_that_cannot_be_written_down_is_named(folder: Path) -> None:
    def make_flow(step: Callable[[Any], Any]) -> sf.Runnable:
        return sf.flow("in.jsonl").map(step).key_by(lambda _: same).aggregate(n=sf.agg.count()).to(None)

    with pytest.raises(sf.NotSerialisable, match=r"the key <function same .*: a function"):
        half(make_flow)


def test_what_a_stage_that_has_ended_keeps_fails_the_run_before_its_end(folder: Path) -> None:
    """Hold the end of the flow up: only the stage before it, which is over, cannot write its state down."""

    async def never(item: Any) -> Any:
        await asyncio.Event().wait()

    flow = sf.flow(range(40)).scan(lambda _, n: same, None).buffer(100).map(never)
    with pytest.raises(sf.NotSerialisable, match=r"scan\(lambda\)"):
        flow.to(None).run_sync(checkpoint="x.ckpt", every=0.01)


def test_a_checkpoint_that_cannot_be_kept_for_whatever_reason_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, wrong = CheckpointFile.save, [sf.CheckpointDamaged("no page"), MemoryError(), sf.FlowError("another has it")]
    seen: list[events.Event] = []

    def save_or_not(self: CheckpointFile, checkpoint: SavedCheckpoint) -> None:
        if checkpoint.epoch > 1 and wrong:
            raise wrong.pop(0)
        save(self, checkpoint)

    monkeypatch.setattr(CheckpointFile, "save", save_or_not)

    def step(item: Any) -> Any:
        if sum(isinstance(event, events.CheckpointCommitted) for event in seen) < 1 and item["n"] > 100:
            time.sleep(0.001)
        return item

    go_on(plain(step), every=0.01, on_event=seen.append)
    assert [type(event.error) for event in seen if isinstance(event, events.CheckpointFailed)] == [
        sf.CheckpointDamaged,
        MemoryError,
        sf.FlowError,
    ]
    assert any(isinstance(event, events.CheckpointCommitted) for event in seen)
    assert written() == list(range(COUNT))


# -- ends -------------------------------------------------------------------------------------------------------------


async def streamed(flow: sf.Flow[Any]) -> None:
    async with flow.stream(checkpoint="x.ckpt") as items:
        async for _ in items:
            pass


#: Ends whose result is in memory, which no later run could go on with.
IN_MEMORY: dict[str, Callable[[sf.Flow[Any]], Any]] = {
    "collect": lambda flow: flow.collect(checkpoint="x.ckpt"),
    "count": lambda flow: flow.count(checkpoint="x.ckpt"),
    "first": lambda flow: flow.first(checkpoint="x.ckpt"),
    "reduce": lambda flow: flow.reduce(max, 0, checkpoint="x.ckpt"),
    "stream": streamed,
    "list": lambda flow: flow.to([]).run(checkpoint="x.ckpt"),
}


@pytest.mark.parametrize("end", IN_MEMORY)
def test_what_is_in_memory_only_is_no_end_for_checkpoints(end: str, folder: Path) -> None:
    with pytest.raises(sf.FlowError, match=r"checkpoint.*in no checkpoint.*\.to\("):
        asyncio.run(IN_MEMORY[end](sf.flow("in.jsonl")))
    assert names() == ["in.jsonl"]


@pytest.mark.parametrize("end", ["function", "nowhere"])
def test_a_finished_run_is_a_reported_no_op_whatever_its_end(end: str, folder: Path) -> None:
    kept: list[Any] = []
    ends: dict[str, Any] = {"function": kept.append, "nowhere": None}
    flow = sf.flow("in.jsonl").to(ends[end])
    assert go_on(flow).items_in == COUNT
    before = len(kept)
    report = go_on(flow)
    assert "an earlier run had finished, after 1,500 items; there was nothing to do" in str(report)
    assert len(kept) == before


def test_one_output_for_two_sinks(folder: Path) -> None:
    flow = sf.flow("in.jsonl")
    with pytest.raises(sf.FlowError, match=r"two sinks write .*out.jsonl', .* give each its own"):
        go_on(sf.together(flow.to("out.jsonl"), flow.map(same).to("./out.jsonl")))
    assert names() == ["in.jsonl"]
