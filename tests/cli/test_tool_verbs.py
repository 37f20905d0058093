"""`new`, `doctor` and `completion`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamflow.cli.commands import cli

ROOT = Path(__file__).parents[2]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_a_new_project_runs(project: Path) -> None:
    for reference in ("flow.py", "app.toml"):
        result = call("run", reference, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["state"] == "finished"
        assert len((project / "paid.jsonl").read_text().splitlines()) == 125
        assert len((project / "bad.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    "tool",
    [
        ["pytest", "-q", "-p", "no:cacheprovider", "test_flow.py"],
        ["mypy", "--strict", "flow.py", "test_flow.py"],
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--no-cache", "--check", "--line-length", "120", "."],
    ],
    ids=lambda tool: " ".join(tool[:2]),
)
def test_a_new_project_is_in_order(project: Path, tool: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *tool], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_written_over(project: Path) -> None:
    result = call("new", ".")
    assert (result.exit_code, "has flow.py, app.toml" in result.stderr) == (2, True)
    (project / "file").touch()
    assert "is no folder" in call("new", "file").stderr
    assert "needs a name" in call("new", "").stderr


def test_the_doctor_names_versions_and_what_is_missing() -> None:
    found = json.loads(call("doctor", "--json").stdout)
    assert found["python"].startswith(sys.version.split()[0])
    assert set(found["extras"]) >= {"numeric", "tables", "gpu"}
    assert "numpy" in found["extras"]["numeric"]
    text = call("doctor").stdout
    assert "event loop" in text
    for extra, packages in found["extras"].items():
        if None in packages.values():
            assert f"pip install 'streamflow-engine[{extra}]'" in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_for_each_shell(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = call("completion", shell).stdout
    assert "_STREAMFLOW_COMPLETE" in script
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert call("completion").stdout == script


def test_a_shell_that_is_not_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    result = call("completion", "tcsh")
    assert (result.exit_code, "name one of bash, zsh, fish" in result.stderr) == (2, True)


#: Verbs that are only the beginning of others.
GROUPS = ("dlq", "checkpoints")


def test_every_verb_has_help_with_an_example() -> None:
    names = [[name] for name in cli.commands]
    names += [[group, name] for group in GROUPS for name in cli.commands[group].commands]  # type: ignore[attr-defined]
    for name in names:
        text = call(*name, "--help").stdout
        assert f"streamflow {' '.join(name)}" in text.split("Example", 1)[-1], name


def test_every_verb_speaks_json() -> None:
    verbs = [*cli.commands.items()]
    for group in GROUPS:
        verbs += cli.commands[group].commands.items()  # type: ignore[attr-defined]
    for name, command in verbs:
        flags = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in flags or name in GROUPS, name


def test_what_was_written_and_the_script_as_json(tmp_path: Path) -> None:
    made = json.loads(call("new", str(tmp_path / "made"), "--json").stdout)
    assert {path.name for path in (tmp_path / "made").iterdir()} == set(made["files"])
    assert json.loads(call("completion", "zsh", "--json").stdout)["script"] == call("completion", "zsh").stdout[:-1]
