"""`streamflow run`: flows that are named, flows that are typed, and what mistakes are told."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamflow.cli.commands import cli

COMMAND = [sys.executable, "-c", "from streamflow.cli import main; main()"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with a module of steps, of which nothing stays imported."""
    (tmp_path / "mysteps.py").write_text(
        "import streamflow as sf\n"
        "def double(n): return n * 2\n"
        "def is_big(n): return n > 4\n"
        "def twice(n): return [n, n]\n"
        "async def slowly(n): return n + 1\n"
        "def boom(n): raise ValueError('no ' + str(n))\n"
        "flow = sf.flow([1, 2, 3]).map(double)\n"
        "def make(): return flow.to('made.jsonl')\n"
        "ended = flow.to('ended.jsonl')\n"
        "number = 5\n"
    )
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(5)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mysteps", raising=False)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["run", *arguments])


def test_steps_run_in_the_order_in_which_they_are_typed(folder: Path) -> None:
    for order, expected in (("map filter", [6, 8]), ("filter map", [])):
        steps = {"map": ["--map", "mysteps:double"], "filter": ["--filter", "mysteps:is_big"]}
        typed = [word for step in order.split() for word in steps[step]]
        result = invoke("--from", "in.jsonl", *typed, "--to", f"{len(expected)}.jsonl")
        assert result.exit_code == 0, result.output
        lines = (folder / f"{len(expected)}.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == expected


def test_async_and_flat_steps(folder: Path) -> None:
    result = invoke("--from=in.jsonl", "--map=mysteps:slowly", "--flat-map=mysteps:twice", "--to", "out.jsonl")
    assert result.exit_code == 0, result.output
    assert [int(line) for line in (folder / "out.jsonl").read_text().split()] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize(("name", "output"), [("make", "made.jsonl"), ("ended", "ended.jsonl")])
def test_a_named_flow(folder: Path, name: str, output: str) -> None:
    assert invoke(f"mysteps:{name}").exit_code == 0
    assert (folder / output).read_text() == "2\n4\n6\n"


def test_a_flow_without_an_end_goes_where_it_is_sent(folder: Path) -> None:
    assert invoke("mysteps:flow", "--to", "sent.jsonl").exit_code == 0
    assert (folder / "sent.jsonl").read_text() == "2\n4\n6\n"


def test_json_is_one_object_on_stdout(folder: Path) -> None:
    result = invoke("mysteps:ended", "--json")
    report = json.loads(result.stdout)
    assert report["state"] == "finished"
    assert report["bottleneck"]


def test_a_failure_names_stage_item_and_position_and_leaves_no_output(folder: Path) -> None:
    result = invoke("--from", "in.jsonl", "--map", "mysteps:boom", "--to", "out.jsonl")
    assert result.exit_code == 1
    assert "ValueError: no 0" in result.stderr
    assert "in.jsonl, line 1, byte 0" in result.stderr
    assert "Traceback" not in result.stderr
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == {"in.jsonl", "mysteps.py"}
    assert "Traceback" in invoke("--from", "in.jsonl", "--map", "mysteps:boom", "--to", "o.jsonl", "--traceback").stderr


def test_dead_letters_from_the_command_line(folder: Path) -> None:
    result = invoke("--from", "in.jsonl", "--map", "mysteps:boom", "--to", "out.jsonl", "--on-error", "bad.jsonl")
    assert result.exit_code == 0, result.output
    assert len((folder / "bad.jsonl").read_text().splitlines()) == 5


def test_a_bad_line_follows_the_policy_too(folder: Path) -> None:
    (folder / "in.jsonl").write_bytes(b"1\n\xff\n3\n")
    assert invoke("--from", "in.jsonl", "--to", "out.jsonl").exit_code == 1
    assert invoke("--from", "in.jsonl", "--to", "out.jsonl", "--on-error", "bad.jsonl").exit_code == 0
    assert (folder / "out.jsonl").read_text() == "1\n3\n"
    letter = json.loads((folder / "bad.jsonl").read_text())
    assert (letter["position"]["line"], letter["position"]["offset"], letter["item"]) == (2, 2, "\\xff\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mysteps:flwo"], "did you mean 'flow'?"),
        (["mystep:flow"], "there is no module 'mystep'"),
        (["mysteps"], "expected MODULE:NAME"),
        (["mysteps:number"], "mysteps:number is int"),
        (["mysteps:ended", "--to", "x.jsonl"], "has an end already"),
        ([], "there is nothing to run"),
        (["--from", "in.xyz"], "'.xyz'"),
        (["mysteps:flow", "--from", "in.jsonl"], "not both"),
    ],
)
def test_a_mistake_is_told_with_its_fix(folder: Path, arguments: list[str], says: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_reader_that_leaves_ends_the_run_quietly(folder: Path) -> None:
    (folder / "many.jsonl").write_text("".join(f"{n}\n" for n in range(200_000)))
    with subprocess.Popen(
        [*COMMAND, "run", "--from", "many.jsonl", "--to", "-"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=30) == 0, errors
    assert errors == b""


def test_the_other_streamflow_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.2.0")
    result = CliRunner().invoke(cli, ["demo"])
    assert result.exit_code == 2
    assert "pip uninstall -y streamflow" in result.stderr


def test_help_is_quick_and_shows_an_example() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom streamflow.cli.commands import cli\n"
        "print(CliRunner().invoke(cli, ['run', '--help']).output)\n"
        "heavy = {'numpy', 'rich', 'psutil', 'uvloop', 'orjson'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "streamflow run --from in.jsonl" in done.stdout
