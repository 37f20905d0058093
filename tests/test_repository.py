"""What the repository itself promises: its commands, its checks, its documents."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_cmdline_main

ROOT = Path(__file__).parents[1]

DEMO = "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/streamflow demo"
TEST = "python3 -m venv .venv && .venv/bin/pip install -e '.[all,test]' && .venv/bin/python -m pytest"

TOOLS = ("pip", "python", "ruff", "mypy", "lint-imports")
SUMMARY = "======== 1 failed, 3 passed in 0.12s ========"
#: Stands for every tool of a virtual environment: notes its call, fails if it is told to.
TOOL = f"""#!/usr/bin/env bash
name=$(basename "$0")
echo "$name${{*:+ $*}}" >> "$CALLS"
[[ $name == python ]] && echo "{SUMMARY}"
[[ " $FAILING " != *" $name "* ]]
"""
#: Stands for python3: makes a virtual environment of such tools.
PYTHON = """#!/usr/bin/env bash
echo "python3 $*" >> "$CALLS"
mkdir -p "$3/bin"
for name in {tools}; do cp "{tool}" "$3/bin/$name"; done
"""

#: Calls that every check makes once its environment stands.
STEPS = [
    "python -m pytest --color=no",
    "ruff check",
    "ruff format --check",
    "mypy --strict streamflow",
    "lint-imports",
]


@pytest.mark.parametrize("command", [DEMO, TEST], ids=["demo", "tests"])
def test_the_readme_has_the_two_commands(command: str) -> None:
    assert command in (ROOT / "README.md").read_text().splitlines()


class Checked:
    """A run of one of the scripts over a copy of them, with tools that only note what they are asked."""

    def __init__(self, folder: Path, script: str, *arguments: str, failing: str = "") -> None:
        self.folder = folder
        for name in (".ci/run", "scripts/check"):
            (folder / name).parent.mkdir()
            shutil.copy(ROOT / name, folder / name)
        calls = folder / "calls"
        fakes = folder / "fakes"
        fakes.mkdir()
        _program(fakes / "tool", TOOL)
        _program(fakes / "python3", PYTHON.format(tools=" ".join(TOOLS), tool=fakes / "tool"))
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        done = subprocess.run(
            [folder / script, *arguments],
            env={
                "PATH": f"{fakes}{os.pathsep}{os.environ['PATH']}",
                "TMPDIR": str(self.temporary),
                "CALLS": str(calls),
                "FAILING": failing,
            },
            cwd=folder.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.status = done.returncode
        self.last = done.stdout.splitlines()[-1]
        self.calls = calls.read_text().splitlines()


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_ci_runs_the_test_command_in_a_fresh_environment(tmp_path: Path) -> None:
    checked = Checked(tmp_path, ".ci/run")
    assert checked.status == 0
    assert checked.last == SUMMARY
    venv, install, *steps = checked.calls
    assert re.fullmatch(rf"python3 -m venv {re.escape(str(checked.temporary))}/\S+", venv)
    assert re.fullmatch(r"pip install (--\S+ )*-e \.\[all,test\]", install)
    assert steps == STEPS
    assert list(checked.temporary.iterdir()) == []
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("script", [".ci/run", "scripts/check"])
@pytest.mark.parametrize("failing", [*TOOLS, " ".join(TOOLS)])
def test_every_step_runs_though_one_before_it_failed(tmp_path: Path, script: str, failing: str) -> None:
    checked = Checked(tmp_path, script, failing=failing)
    assert checked.calls[2:] == STEPS
    assert checked.status != 0
    assert checked.last == SUMMARY


def test_a_working_tree_is_checked_in_its_own_environment(tmp_path: Path) -> None:
    checked = Checked(tmp_path, "scripts/check", "tests/model", "-k", "one or two")
    assert checked.calls[0] == "python3 -m venv .venv"
    assert checked.calls[2] == "python -m pytest --color=no tests/model -k one or two"
    assert (tmp_path / ".venv").is_dir()


@pytest.mark.parametrize(("flags", "outcome"), [([], "1 skipped"), (["--nightly"], "1 passed")])
def test_nightly_tests_wait_for_their_flag(tmp_path: Path, flags: list[str], outcome: str) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    nightly: takes long\n")
    (tmp_path / "test_it.py").write_text("import pytest\n\n@pytest.mark.nightly\ndef test_it(): pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "-rs", "--color=no", *flags],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcome in done.stdout.splitlines()[-1]
    assert ("run with --nightly" in done.stdout) == (not flags)


@pytest.mark.parametrize(
    ("argument", "worker", "capture", "shared"),
    [(".", False, "fd", True), (".", True, "fd", False), (".", False, "no", False), (__file__, False, "fd", False)],
    ids=["a folder", "in a process that has its share", "not captured", "a file"],
)
def test_folders_are_shared_out_once(
    argument: str, worker: bool, capture: str, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    if worker:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    option = SimpleNamespace(numprocesses=None, dist="no", usepdb=False, capture=capture)
    config: Any = SimpleNamespace(args=[argument], option=option, getoption=lambda name, _: getattr(option, name))
    pytest_cmdline_main(config)
    assert (option.numprocesses is not None, option.dist == "worksteal") == (shared, shared)


def test_no_file_names_a_place_on_the_machine_that_wrote_it() -> None:
    place = re.compile(rb"(?<![\w.~-])/(work|root)/")
    named = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in _files()
        for match in [place.search(path.read_bytes())]
        if match
    ]
    assert named == []


def _files() -> list[Path]:
    """Return the files that are in the repository or would be added to it."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("only a git checkout tells which files are the repository's")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_every_public_name_has_a_docstring() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{found.lineno} {found.name}"
        for path in sorted((ROOT / "streamflow").rglob("*.py"))
        for found in ast.parse(path.read_text()).body
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not found.name.startswith("_")
        and not _is_overload(found)
        and not ast.get_docstring(found)
    ]
    assert bare == []


def _is_overload(found: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return any(ast.unparse(decorator).split(".")[-1] == "overload" for decorator in found.decorator_list)
