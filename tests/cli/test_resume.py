"""`run --checkpoint`: stopped, failed and finished runs, and the same command again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamflow.cli.checkpoint_lines import goes_on, in_the_end, stopped
from streamflow.cli.commands import cli
from streamflow.metrics.report import RunReport
from streamflow.model.events import RunGoesOn
from streamflow.model.statistics import CheckpointStatistics, RunStatistics, StageStatistics

# Signals that follow one another are several here, however close.
CODE = "import streamflow.cli.stopping as s; s.TOGETHER = 0; from streamflow.cli import main; main()"
ROOT = Path(__file__).parents[2]
STEPS = """
import asyncio, os, signal, pathlib
def lamed(n):
    if n == 3 and not pathlib.Path("mended").exists(): raise ValueError("no three")
    return n
async def struck(n):
    for name in ("SIGTERM", "SIGINT") if n == 3 else ():
        if pathlib.Path(name).exists():
            pathlib.Path(name).unlink()
            os.kill(os.getpid(), getattr(signal, name))
            await asyncio.sleep(0.05)
    if n == 4 and pathlib.Path("hang").exists():
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
    return n
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with an input, a file of a flow and a module of steps, of which nothing stays imported."""
    (tmp_path / "resumesteps.py").write_text(STEPS)
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(6)))
    (tmp_path / "flow.toml").write_text(
        'source = "in.jsonl"\nstages = [{ map = "resumesteps:lamed" }]\nsink = "out.jsonl"\n'
        'checkpoint = { path = "kept.ckpt", every = "50ms" }\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "resumesteps", raising=False)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["run", *arguments])


LINE = ("--from", "in.jsonl", "--map", "resumesteps:struck", "--to", "out.jsonl", "--checkpoint", "kept.ckpt")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is sent signals in a process of its own."""
    words = [sys.executable, "-c", CODE, "run", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)


def test_a_run_that_is_stopped_is_suspended_and_the_same_command_goes_on(folder: Path) -> None:
    line = (*LINE, "--concurrency", "1")
    (folder / "SIGTERM").touch()
    done = command(*line)
    assert done.returncode == 0, done.stderr  # whoever sent it got what was asked for
    assert "suspending: a last checkpoint is being taken; once more to cancel" in done.stderr
    assert "suspended at 6 items; the same command goes on from there" in done.stderr
    assert not (folder / "out.jsonl").exists()
    (folder / "SIGINT").touch()
    with (folder / "in.jsonl").open("a") as input_:
        input_.write("3\n")
    done = command(*line, "--json")
    assert done.returncode == 128 + signal.SIGINT, done.stderr  # what would follow in a script does not
    report = json.loads(done.stdout)
    assert report["state"] == "suspended"
    assert report["statistics"]["checkpoints"]["resumed_at"] == 6
    done = invoke(*line)  # type: ignore[assignment]
    assert "resumed at 7 items (checkpoint " in done.stderr
    assert "resumed at 7, 7 items in all: 0 lost, 0 twice" in done.stderr
    assert (folder / "out.jsonl").read_text() == (folder / "in.jsonl").read_text()


def test_a_second_signal_cancels_and_the_last_checkpoint_stays(folder: Path) -> None:
    (folder / "hang").touch()
    done = command(*LINE)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert "cancelled: nothing half-written bears its final name" in done.stderr
    assert "checkpoint 1 stays; the same command goes on from there" in done.stderr
    assert not (folder / "out.jsonl").exists()
    (folder / "hang").unlink()
    again = invoke(*LINE)
    assert again.exit_code == 0, again.output
    assert "resumed at 0, 6 items in all: 0 lost, 0 twice" in again.stderr


def test_a_run_that_failed_goes_on_once_that_is_mended_and_is_done_once(folder: Path) -> None:
    failed = invoke("flow.toml")
    assert failed.exit_code == 1
    assert "ValueError: no three" in failed.stderr
    assert "checkpoint 1 stays; the same command goes on from there" in failed.stderr
    (folder / "mended").touch()
    assert invoke("flow.toml", "--resume", "require").exit_code == 0
    assert (folder / "out.jsonl").read_text() == "0\n1\n2\n3\n4\n5\n"
    (folder / "in.jsonl").write_text("7\n")
    again = invoke("flow.toml")
    assert again.exit_code == 0
    assert again.stderr == (
        "an earlier run had finished, after 6 items: nothing to do; input that came since is not read "
        "(begin anew with --resume never)\n"
    )
    assert json.loads(invoke("flow.toml", "--json").stdout)["statistics"]["checkpoints"]["already_done"]
    assert (folder / "out.jsonl").read_text() == "0\n1\n2\n3\n4\n5\n"
    assert "1 items in all: 0 lost, 0 twice" in invoke("flow.toml", "--resume", "never").stderr
    assert (folder / "out.jsonl").read_text() == "7\n"


def test_options_are_put_over_the_file(folder: Path) -> None:
    (folder / "mended").touch()
    result = invoke("flow.toml", "--checkpoint", "other.ckpt", "--every", "2s", "--json")
    assert json.loads(result.stdout)["statistics"]["checkpoints"]["path"] == "other.ckpt"
    assert not (folder / "kept.ckpt").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("flow.toml", "--every", "soon"),
            "--every: 'soon' is no stretch of time; write it as in '5s' (us, ms, s, m, h, d)",
        ),
        (("flow.toml", "--every", "1ms"), "give at least 0.01 seconds"),
        (("flow.toml", "--resume", "perhaps"), "'perhaps' is not one of 'auto', 'never', 'require'"),
        (("flow.toml", "--resume", "require"), "there is no checkpoint to go on from"),
        (("flow.toml", "--root", ".", "--checkpoint", "../kept.ckpt"), "this is outside of"),
        (("--from", "in.jsonl", "--to", "out.jsonl", "--resume", "auto"), "say where they are kept"),
        (("--from", "in.jsonl", "--to", "out.jsonl", "--every", "1s"), "say where they are kept"),
        (("--from", "in.jsonl", "--to", "out.jsonl", "--checkpoint", "./out.jsonl"), "this very file"),
        (("--from", "in.jsonl", "--to", "out.jsonl", "--checkpoint", "in.jsonl"), "this very file"),
        (("--from", "in.jsonl", "--to", "out.jsonl", "--checkpoint", "-"), "is no file"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_what_cannot_be_meant_is_told_before_anything_runs(folder: Path, arguments: tuple[str, ...], says: str) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr
    assert not (folder / "out.jsonl").exists()
    assert (folder / "in.jsonl").read_text().startswith("0\n1\n")


def test_validate_says_what_is_promised_of_each_pair(folder: Path) -> None:
    promised = "in.jsonl → out.jsonl: exactly once"
    assert CliRunner().invoke(cli, ["validate", "flow.toml"]).stdout == f"flow.toml: valid\n  {promised}\n"
    flow = folder / "flow.toml"
    letters = '{ map = "resumesteps:lamed", on_error = { dead_letter = "bad.jsonl" } }'
    flow.write_text(flow.read_text().replace('{ map = "resumesteps:lamed" }', letters).replace('"out.jsonl"', '"-"'))
    assert CliRunner().invoke(cli, ["validate", "flow.toml"]).stdout.splitlines()[1:] == [
        "  in.jsonl → stdout: at least once (the sink cannot take back what it was given)",
        "  in.jsonl → bad.jsonl: exactly once",
        "  in all: at least once",
    ]
    (found,) = json.loads(CliRunner().invoke(cli, ["validate", "flow.toml", "--json"]).stdout)["files"]
    assert found["weakest"] == "at least once"
    assert [pair["promise"] for pair in found["guarantees"]] == ["at least once", "exactly once"]


def test_validate_says_what_checkpoints_would_promise_where_there_are_none(folder: Path) -> None:
    flow = folder / "flow.toml"
    flow.write_text("\n".join(line for line in flow.read_text().splitlines() if not line.startswith("checkpoint")))
    said = "valid\n  with checkpoint=: exactly once\n"
    assert CliRunner().invoke(cli, ["validate", "flow.toml"]).stdout == f"flow.toml: {said}"
    (folder / "flow.py").write_text(
        "import streamflow as sf\n"
        "bad = sf.dead_letter('bad.jsonl')\n"
        "flow = sf.flow('in.jsonl').map(str, on_error=bad).to('out.jsonl')\n"
    )
    lines = CliRunner().invoke(cli, ["validate", "--imports", "flow.py"]).stdout.splitlines()
    assert lines == [
        "flow.py: valid",
        "  with checkpoint=: exactly once",
        "     in.jsonl → out.jsonl: exactly once",
        "     in.jsonl → bad.jsonl: exactly once",
    ]
    (found,) = json.loads(CliRunner().invoke(cli, ["validate", "flow.toml", "--json"]).stdout)["files"]
    assert (found["with_checkpoints"], "guarantees" in found) == (["with checkpoint=: exactly once"], False)


# -- in words -----------------------------------------------------------------------------------------------------


def figures(promise: str = "exactly once", **checkpoints: Any) -> RunStatistics:
    source = StageStatistics(name="in", kind="source", state="done", received=1_000)
    found = CheckpointStatistics(path="a.ckpt", **{"epoch": 5, **checkpoints})
    return RunStatistics(state="", elapsed=1.0, stages=(source,), edges=(), checkpoints=found, promise=promise)


def test_where_a_run_goes_on() -> None:
    assert goes_on(RunGoesOn(epoch=2, items=1_500, stand="finishing")).endswith("its output gets its name")
    assert "nothing to do" in goes_on(RunGoesOn(epoch=2, items=1_500, stand="done"))


def test_what_is_not_promised_is_not_said() -> None:
    resumed = {"resumed_from": 4, "resumed_at": 2_000}
    assert in_the_end("finished", figures(**resumed)) == "resumed at 2,000, 3,000 items in all: 0 lost, 0 twice"
    for promise in ("at least once", "at most once"):
        said = in_the_end("finished", figures(promise, **resumed))
        assert promise in said
        assert "0 " not in said.partition("all: ")[2]
    for state in ("failed", "cancelled", "suspended"):
        assert in_the_end(state, figures(**resumed)) == ""


def test_the_report_calls_a_checkpoint_what_all_others_call_it() -> None:
    found = figures(resumed_from=4, resumed_at=2_000, saved=57, failed=1, bytes=2048, seconds=0.002)
    said = str(RunReport("finished", found)).partition("checkpoints in a.ckpt: ")[2]
    assert said.startswith("resumed at 2,000 items (checkpoint 4), 57 taken, the last (checkpoint 5) of 2 KiB, written")
    assert ", 1 could not be kept, " in said


def test_where_there_is_nothing_to_go_on_from_none_is_promised() -> None:
    assert stopped("cancelled", figures(epoch=0)) == ""
    assert stopped("suspended", figures()) == "suspended at 1,000 items; the same command goes on from there"
    assert stopped("failed", RunStatistics(state="", elapsed=0.0, stages=(), edges=())) == ""
