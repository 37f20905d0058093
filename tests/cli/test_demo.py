"""The main job: every line is accounted for, whatever stops it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamflow.cli.access_log import write_access_log
from streamflow.cli.commands import cli
from streamflow.model.errors import FlowError

# Signals that follow one another are several here, however close.
CODE = "import streamflow.cli.stopping as s; s.TOGETHER = 0; from streamflow.cli import main; main()"
COMMAND = [sys.executable, "-c", CODE]


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def test_the_demo_accounts_for_every_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["demo", "--lines", "20000", "--dir", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    stages = {stage["name"]: stage for stage in report["statistics"]["stages"]}
    dropped = sum(stage["dropped"] for stage in stages.values())
    bad, enriched = lines_of(tmp_path / "bad.jsonl"), lines_of(tmp_path / "enriched.jsonl")
    assert bad > 100
    assert enriched + bad + dropped == 20_001
    assert {path.name for path in tmp_path.iterdir()} == {"access.log", "bad.jsonl", "enriched.jsonl", "demo.ckpt"}


def test_dead_letters_of_the_demo_name_line_and_offset(tmp_path: Path) -> None:
    CliRunner().invoke(cli, ["demo", "--lines", "3000", "--dir", str(tmp_path), "--json"])
    log = (tmp_path / "access.log").read_bytes()
    for text in (tmp_path / "bad.jsonl").read_text().splitlines():
        letter = json.loads(text)
        offset, line = letter["position"]["offset"], letter["position"]["line"]
        raw = log[offset : log.index(b"\n", offset)]
        assert log[:offset].count(b"\n") == line - 1
        assert letter["item"].rstrip("\n") == raw.decode("utf-8", "backslashreplace")


def test_the_demo_says_what_it_did(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["demo", "--lines", "2000", "--dir", str(tmp_path)])
    assert result.exit_code == 0
    for words in ("The plan", "fused:", "bottleneck:", "0 lost", "Next"):
        assert words in result.stderr


def test_the_demo_overwrites_no_foreign_file(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text("mine\n")
    result = CliRunner().invoke(cli, ["demo", "--lines", "100", "--dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "is not a log of this demo" in result.stderr
    assert (tmp_path / "access.log").read_text() == "mine\n"


def test_the_log_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_access_log(tmp_path / name, 500, 7, lambda written: None)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with pytest.raises(FlowError):
        (tmp_path / "three").write_text("x")
        write_access_log(tmp_path / "three", 500, 7, lambda written: None)


#: The demo, which gets a signal at its so-and-so-many-th record.
STRUCK = """
import os, sys
import streamflow.cli.demo_flow as demo
from streamflow.cli import main
number, at, seen, with_country = int(sys.argv.pop()), int(sys.argv.pop()), 0, demo.with_country
def counted(record, country):
    global seen
    seen += 1
    if seen == at: os.kill(os.getpid(), number)
    return with_country(record, country)
demo.with_country = counted
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_demo_goes_on_where_it_was_broken_off(tmp_path: Path, number: signal.Signals) -> None:
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    demo = ["demo", "--lines", "20000", "--dir"]
    command = [sys.executable, "-c", STRUCK, *demo, str(broken), "7000", str(int(number))]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert not (broken / "enriched.jsonl").exists()
    again = CliRunner().invoke(cli, [*demo, str(broken)])
    assert again.exit_code == 0, again.output
    found = re.search(r"resumed at ([0-9,]+): 0 lost, 0 twice", again.stderr)
    assert found, again.stderr
    if number == signal.SIGINT:
        assert done.returncode == 128 + number, done.stderr
        assert "suspending: a last checkpoint is being taken" in done.stderr
        assert f"suspended at {found[1]} items; the same command goes on from there" in done.stderr
        assert 7_000 < int(found[1].replace(",", "")) < 20_001
        assert f"resumed at {found[1]} items (checkpoint " in again.stderr
    CliRunner().invoke(cli, [*demo, str(whole), "--json"])
    assert (broken / "enriched.jsonl").read_bytes() == (whole / "enriched.jsonl").read_bytes()
    assert lines_of(broken / "bad.jsonl") == lines_of(whole / "bad.jsonl")


def test_the_demo_is_done_once_and_sees_what_is_wrong_with_its_output(tmp_path: Path) -> None:
    demo = ["demo", "--lines", "2000", "--dir", str(tmp_path)]
    assert "proof" not in json.loads(CliRunner().invoke(cli, [*demo, "--json"]).stdout)
    again = CliRunner().invoke(cli, demo)
    assert "nothing to do; input that came since is not read (begin anew with --resume never)" in again.stderr
    assert "\nwhat it wrote: 0 lost, 0 twice" in again.stderr
    assert "resumed" not in again.stderr, "nothing was"
    output = tmp_path / "enriched.jsonl"
    first, second, *rest = output.read_bytes().splitlines(keepends=True)
    output.write_bytes(b"".join([second, second, *rest]))
    spoilt = CliRunner().invoke(cli, [*demo, "--json"])
    assert spoilt.exit_code == 1
    assert {name: json.loads(spoilt.stdout)["proof"][name] for name in ("lost", "twice")} == {"lost": 1, "twice": 1}
    anew = CliRunner().invoke(cli, [*demo, "--resume", "never"])
    assert anew.exit_code == 0
    assert output.read_bytes().startswith(first)
    # Another log is begun anew, whatever there was.
    other = CliRunner().invoke(cli, ["demo", "--lines", "1000", "--dir", str(tmp_path), "--json"])
    assert (other.exit_code, json.loads(other.stdout)["statistics"]["checkpoints"]["resumed_from"]) == (0, None)


@pytest.mark.parametrize("name", ["enriched.jsonl", "bad.jsonl"])
def test_an_output_of_the_demo_that_was_removed_is_told_with_the_fix(tmp_path: Path, name: str) -> None:
    demo = ["demo", "--lines", "1000", "--dir", str(tmp_path)]
    assert CliRunner().invoke(cli, demo).exit_code == 0
    (tmp_path / name).unlink()
    again = CliRunner().invoke(cli, demo)
    assert again.exit_code == 2
    assert f"{tmp_path / name} is gone: put it back, or begin anew with resume='never'" in again.stderr
    assert "Errno" not in again.stderr
    assert CliRunner().invoke(cli, [*demo, "--resume", "never"]).exit_code == 0
    assert (tmp_path / name).exists()


def test_the_demo_that_is_stopped_while_it_writes_the_log_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strike(path: Path, lines: int, seed: int, progress: Callable[[int], object]) -> bool:
        return write_access_log(path, lines, seed, lambda written: signal.raise_signal(signal.SIGINT))

    demo = ["demo", "--lines", "20000", "--dir", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr("streamflow.cli.demo.write_access_log", strike)
        struck = CliRunner().invoke(cli, demo)
    assert (struck.exit_code, list(tmp_path.iterdir())) == (130, [])
    assert "nothing is left of it; the same command begins anew" in struck.stderr
    assert CliRunner().invoke(cli, demo).exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("signals", [1, 2], ids=["drains", "cancels"])
def test_signals(tmp_path: Path, signals: int, number: signal.Signals) -> None:
    (tmp_path / "steps.py").write_text(
        "import asyncio, sys\n"
        "async def step(item):\n"
        "    if item == 'go': print('ready', file=sys.stderr, flush=True)\n"
        f"    await asyncio.sleep(0.01 if {signals} == 1 else 1000)\n"
        "    return item\n"
    )
    process = subprocess.Popen(
        [*COMMAND, "run", "--from", "-", "--map", "steps:step", "--to", "out.jsonl"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write('"go"\n')
    process.stdin.flush()
    assert "ready" in process.stderr.readline()
    process.send_signal(number)
    assert "draining" in process.stderr.readline()
    if signals == 2:
        process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number, errors
    assert ("stopped before the end of the input" in errors) == (signals == 1)
    assert "Traceback" not in errors
    assert (tmp_path / "out.jsonl").exists() == (signals == 1)
    if signals == 1:
        assert (tmp_path / "out.jsonl").read_text() == '"go"\n'
    assert not list(tmp_path.glob(".*part*"))
