"""Every page of the documentation does what it says: its files are written, its code and its commands run.

```jsonl orders.jsonl      a file with this content (any language, a name behind it)
```python                  runs, in the order of the page, in one namespace
```toml                    a flow in a file, which must be valid
```console                 `$ streamflow …` runs, and prints what stands below it, where … is anything;
                           a command that fails is followed by `# exits with N`
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from streamflow.cli.commands import cli
from streamflow.configuration.flow_file import FlowFile
from streamflow.configuration.problem import CODES
from streamflow.model import errors

DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.parent / "README.md"
PAGES = sorted(DOCS.rglob("*.md"))
_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


class Fence(NamedTuple):
    language: str
    name: str
    text: str


def fences(page: Path) -> Iterator[Fence]:
    for language, name, text in _FENCE.findall(page.read_text()):
        yield Fence(language, name, text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_does_what_it_says(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, object] = {"__name__": "docs"}
    for fence in fences(page):
        if fence.name:
            path = Path(fence.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fence.text)
            for cached in path.parent.glob("__pycache__/*"):
                cached.unlink()
            sys.modules.pop(path.stem, None)
        elif fence.language == "python":
            exec(compile(fence.text, page.name, "exec", dont_inherit=True), names)
        elif fence.language == "toml":
            Path("page.toml").write_text(fence.text)
            FlowFile("page.toml", imports=False)
        elif fence.language == "console":
            for command, expected in commands(fence.text):
                perform(command, expected, monkeypatch)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command with the lines that are to come of it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.rstrip("\n").split("\n")
        yield command, lines


def perform(command: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code = 0
    if expected and (found := re.fullmatch(r"# exits with (\d+)", expected[-1])):
        code = int(found[1])
        expected = expected[:-1]
    word, *arguments = shlex.split(command, comments=True)
    if word == "cd":
        monkeypatch.chdir(arguments[0])
        return
    if word in ("head", "cat"):
        count = int(arguments[0][1:]) if word == "head" else None
        printed = "\n".join(Path(arguments[-1]).read_text().splitlines()[:count])
    else:
        assert word == "streamflow", command
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == code, (command, result.output)
        printed = result.output
    wanted = [re.escape(line.rstrip()).replace("…", ".*") for line in expected]
    pattern = "\n".join(wanted).replace("\n.*\n", "\n(?:.*\n)*?")
    assert not wanted or re.search(f"^{pattern}", printed, re.MULTILINE), f"$ {command}\n{printed}"


def test_the_windows_of_the_readme(folder: Path) -> None:
    Path("events.jsonl").write_text(
        "".join(f'{{"ts": {ts}, "user": "{user}", "amount": 2}}\n' for ts, user in [(10, "a"), (62, "b"), (58, "a")])
    )
    [text] = [fence.text for fence in fences(README) if ".event_time(" in fence.text]
    exec(compile(text, README.name, "exec", dont_inherit=True), {"__name__": "readme"})
    assert [json.loads(line) for line in Path("per-minute.jsonl").read_text().splitlines()] == [
        {"key": "a", "start": 0.0, "end": 60.0, "value": {"n": 2, "total": 4}},
        {"key": "b", "start": 60.0, "end": 120.0, "value": {"n": 1, "total": 2}},
    ]


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        assert (page.parent / link).exists(), link


def test_every_error_has_its_place_on_the_page_of_errors() -> None:
    text = (DOCS / "errors.md").read_text()
    kinds = [
        name for name, kind in vars(errors).items() if isinstance(kind, type) and kind.__module__ == errors.__name__
    ]
    assert [name for name in [*CODES, *kinds, "ConfigurationError"] if f"`{name}`" not in text] == []
