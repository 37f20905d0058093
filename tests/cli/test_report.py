"""`run --report FILE`: three forms, whole or not at all, and most of all when the run has failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from streamflow.cli import report_file
from streamflow.cli.commands import cli
from streamflow.files.local import LocalOutput

# Signals that follow one another are several here, however close.
CODE = "import streamflow.cli.stopping as s; s.TOGETHER = 0; from streamflow.cli import main; main()"
COMMAND = [sys.executable, "-c", CODE]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with an input and a module of steps, of which nothing stays imported."""
    (tmp_path / "reportsteps.py").write_text(
        "import asyncio, sys\n"
        "def fails(n):\n"
        "    if n == 3: raise ValueError('no <b>three</b> \\udc80')\n"
        "    return n\n"
        "def exits(n): sys.exit('enough')\n"
        "async def hangs(n):\n"
        "    print('begun', file=sys.stderr, flush=True)\n"
        "    await asyncio.Event().wait()\n"
    )
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(5)))
    monkeypatch.delitem(sys.modules, "reportflow", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "reportsteps", raising=False)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["run", "--from", "in.jsonl", "--to", "out.jsonl", *arguments])


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()} - {"__pycache__"}


def test_the_suffix_names_the_form(folder: Path) -> None:
    for suffix in ("html", "json", "txt", "HTML"):
        result = invoke("--report", f"kept.{suffix}")
        assert result.exit_code == 0, result.output
        assert f"the report is in kept.{suffix}" in result.stderr
    page = ElementTree.fromstring((folder / "kept.html").read_text())
    assert "streamflow run in.jsonl" in "".join(page.itertext())
    assert json.loads((folder / "kept.json").read_text())["state"] == "finished"
    assert (folder / "kept.txt").read_text().startswith("finished after")
    assert (folder / "kept.HTML").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("report.pdf", "--report report.pdf: the suffix says which form it gets: .html, .json, .txt"),
        ("report", "the suffix says which form it gets: .html, .json, .txt"),
        ("nowhere/report.html", "there is no directory"),
        ("folder.html", "this is a directory: name a file in it"),
        ("in.json", "the flow reads or writes this very file"),
        ("link.json", "the flow reads or writes this very file"),
        ("out.txt", "the flow reads or writes this very file"),
    ],
)
def test_what_cannot_be_kept_is_told_before_anything_runs(folder: Path, path: str, says: str) -> None:
    (folder / "folder.html").mkdir()
    (folder / "in.json").write_text('"the input"\n')
    (folder / "link.json").symlink_to(folder / "in.json")
    before = names(folder)
    source = 'sources.JsonLines("in.json")'
    (folder / "reportflow.py").write_text(f"import streamflow as sf\nflow = sf.flow(sf.{source}).to('out.txt')\n")
    result = CliRunner().invoke(cli, ["run", "reportflow.py", "--report", path])
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert names(folder) == before | {"reportflow.py"}
    assert (folder / "in.json").read_text() == '"the input"\n'


@pytest.mark.parametrize("suffix", ["html", "json", "txt"])
def test_a_run_that_failed_leaves_its_report_and_no_output(folder: Path, suffix: str) -> None:
    result = invoke("--map", "reportsteps:fails", "--report", f"kept.{suffix}")
    assert result.exit_code == 1
    assert not (folder / "out.jsonl").exists()
    kept = (folder / f"kept.{suffix}").read_text()
    shown = "".join(ElementTree.fromstring(kept).itertext()) if suffix == "html" else kept
    assert "no <b>three</b>" in shown
    assert "item 3 of its input" in shown
    assert "failed" in shown


def test_one_whose_input_is_missing_does_so_too(folder: Path) -> None:
    result = CliRunner().invoke(cli, ["run", "--from", "im.jsonl", "--to", "out.jsonl", "--report", "kept.json"])
    assert result.exit_code == 1
    kept = json.loads((folder / "kept.json").read_text())
    assert kept["state"] == "failed"
    assert "did you mean 'in.jsonl'?" in kept["error"]


def test_one_whose_function_ends_the_process_does_so_too(folder: Path) -> None:
    assert invoke("--map", "reportsteps:exits", "--report", "kept.json").exit_code == 1
    kept = json.loads((folder / "kept.json").read_text())
    assert kept["state"] == "failed"
    assert "SystemExit: enough" in kept["error"]


def test_one_that_was_cancelled_does_so_too(folder: Path) -> None:
    arguments = [
        "--from",
        "in.jsonl",
        "--map",
        "reportsteps:hangs",
        "--concurrency",
        "1",
        "--to",
        "out.jsonl",
        "--report",
        "kept.json",
    ]
    running = subprocess.Popen(
        [*COMMAND, "run", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert running.stderr is not None
    with running:
        assert running.stderr.readline() == "begun\n"
        running.send_signal(signal.SIGTERM)
        assert "draining" in running.stderr.readline()
        running.send_signal(signal.SIGTERM)
        told = running.stderr.read()
    assert running.returncode == 128 + signal.SIGTERM
    assert "the report is in kept.json" in told
    assert json.loads((folder / "kept.json").read_text())["state"] == "cancelled"


def test_one_that_cannot_be_written_leaves_the_old_one_and_nothing_half(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "kept.html").write_text("the old one")
    write = LocalOutput.write

    def full(self: LocalOutput, data: memoryview) -> None:
        if b"<!DOCTYPE" in bytes(data[:100]):
            write(self, data[:10])
            raise OSError(28, "No space left on device", "kept.html")
        write(self, data)

    monkeypatch.setattr(LocalOutput, "write", full)
    result = invoke("--report", "kept.html")
    assert result.exit_code == 75, "it may go well another time"
    assert "No space left" in result.stderr
    assert (folder / "kept.html").read_text() == "the old one"
    assert names(folder) == {"in.jsonl", "kept.html", "out.jsonl", "reportsteps.py"}
    failing = invoke("--map", "reportsteps:fails", "--report", "kept.html")
    assert failing.exit_code == 1, "why the run failed says more than why its report could not be kept"


def test_json_on_stdout_stays_one_object(folder: Path) -> None:
    result = invoke("--json", "--report", "kept.html")
    assert json.loads(result.stdout)["state"] == "finished"
    assert set(report_file.SUFFIXES) == {".html", ".json", ".txt"}
