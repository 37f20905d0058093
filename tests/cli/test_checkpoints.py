"""Checkpoints are listed, looked at and removed; a file that a run has, or that is none, is refused."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamflow.cli.commands import cli
from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.state.checkpoint_file import CheckpointFile


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["checkpoints", *arguments])


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a file with three checkpoints."""
    monkeypatch.chdir(tmp_path)
    store = CheckpointFile("run.ckpt")
    store.open()
    for epoch in (1, 2, 3):
        piece = b"state %d" % epoch * 5000
        store.save(SavedCheckpoint(epoch=epoch, taken_at=1e9 + epoch, items=epoch * 1000, parts={"count": [piece]}))
    store.close()
    return tmp_path / "run.ckpt"


def test_they_are_listed_the_newest_first(file: Path) -> None:
    lines = call("ls", "run.ckpt").stdout.splitlines()
    assert lines[0] == f"run.ckpt: 3 checkpoints, {file.stat().st_size:,} bytes"
    assert lines[1].split() == ["checkpoint", "when", "stand", "items", "bytes", "parts"]
    assert lines[2].split() == ["3", "2001-09-09", "01:46:43", "UTC", "running", "3,000", "35,000", "1"]
    found = json.loads(call("ls", "run.ckpt", "--json").stdout)
    assert [one["epoch"] for one in found["checkpoints"]] == [3, 2, 1]
    assert found["checkpoints"][0]["parts"] == {"count": 1}
    assert found["checkpoints"][0]["fault"] == ""


def test_looking_changes_nothing(file: Path) -> None:
    before = file.read_bytes()
    assert (call("ls", "run.ckpt").exit_code, call("verify", "run.ckpt").exit_code) == (0, 0)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["run.ckpt"]


def test_whole_ones_are_whole(file: Path) -> None:
    assert call("verify", "run.ckpt").stdout == "run.ckpt: 3 checkpoints, nothing is damaged\n"
    assert json.loads(call("verify", "run.ckpt", "--json").stdout) == {"file": "run.ckpt", "whole": 3, "faults": []}


def test_damage_is_told_with_the_code_for_it(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"state 2state 2", b"state 2stale 2", 1))
    result = call("verify", "run.ckpt")
    assert result.exit_code == 65
    assert "run.ckpt: 2 checkpoints whole\n" in result.stdout
    assert "checkpoint 2 (2001-09-09 01:46:42 UTC, at 2,000 items): piece 0 of 'count'" in result.stdout
    result = call("verify", "run.ckpt", "--json")
    assert (result.exit_code, json.loads(result.stdout)["whole"]) == (65, 2)
    assert "damaged: piece 0 of 'count' is not what was written" in call("ls", "run.ckpt").stdout
    file.write_bytes(file.read_bytes()[:5000])
    for verb in ("verify", "ls", "prune"):
        result = call(verb, "run.ckpt")
        assert (result.exit_code, "damaged" in result.stderr) == (65, True), result.output


@pytest.mark.parametrize("vanishes", [False, True])
def test_a_newest_one_that_is_not_to_be_read_is_listed_as_damaged(file: Path, vanishes: bool) -> None:
    if vanishes:
        with closing(sqlite3.connect(file)) as db:
            db.execute("DELETE FROM checkpoints WHERE number=3")
            db.commit()
    else:
        file.write_bytes(file.read_bytes().replace(b'"epoch": 3', b'"epoch": 4', 1))
    fault = "the newest checkpoint" + (
        " is not there any more" if vanishes else ": its description is not what was written"
    )
    assert f"  {fault}\n" in call("verify", "run.ckpt").stdout
    result = call("ls", "run.ckpt")
    lines = result.stdout.splitlines()
    assert (result.exit_code, lines[0].split(",")[0]) == (0, "run.ckpt: 3 checkpoints")
    assert lines[2].split(maxsplit=2) == ["?", "damaged:", fault]
    assert [line.split()[0] for line in lines[3:]] == ["2", "1"]
    assert json.loads(call("ls", "run.ckpt", "--json").stdout)["nameless"] == [fault]


def test_the_last_stays_and_the_space_is_given_back(file: Path) -> None:
    before = file.stat().st_size
    found = json.loads(call("prune", "run.ckpt", "--keep", "2", "--json").stdout)
    assert (found["kept"], found["removed"]) == (2, 1)
    assert found["freed"] == before - file.stat().st_size > 30_000
    assert call("prune", "run.ckpt").stdout.startswith("run.ckpt: 1 checkpoint kept, 1 removed, ")
    assert [one["epoch"] for one in json.loads(call("ls", "run.ckpt", "--json").stdout)["checkpoints"]] == [3]
    assert call("prune", "run.ckpt").stdout == "run.ckpt: 1 checkpoint kept, 0 removed, 0 bytes freed\n"


@pytest.mark.parametrize("verb", ["ls", "verify", "prune"])
def test_a_run_has_its_file_to_itself(file: Path, verb: str) -> None:
    store = CheckpointFile("run.ckpt")
    store.open()
    result = call(verb, "run.ckpt")
    store.close()
    assert (result.exit_code, f"({os.getpid()}) has this checkpoint file" in result.stderr) == (2, True)
    assert call(verb, "run.ckpt").exit_code == 0


@pytest.mark.parametrize("verb", ["ls", "verify", "prune"])
def test_what_is_none_is_left_alone(file: Path, verb: str) -> None:
    result = call(verb, "ran.ckpt")
    assert (result.exit_code, "did you mean 'run.ckpt'?" in result.stderr) == (1, True)
    Path("other").write_text("hello")
    result = call(verb, "other")
    assert (result.exit_code, "this is no checkpoint file" in result.stderr) == (2, True)
    assert sorted(os.listdir()) == ["other", "run.ckpt"]
    Path("empty").touch()
    assert call(verb, "empty").exit_code == 0
