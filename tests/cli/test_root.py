"""With `--root`, nothing outside of it is read or written, whatever leads there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamflow.cli.commands import cli


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "inside"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "in.jsonl").write_text("1\n2\n")
    (tmp_path / "secret.jsonl").write_text('"secret"\n')
    (folder / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (folder / "way-out").symlink_to(tmp_path)
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["run", "--root", ".", *arguments])


def test_what_is_inside_runs(inside: Path) -> None:
    assert run("--from", "in.jsonl", "--to", "out.jsonl").exit_code == 0
    assert (inside / "out.jsonl").read_text() == "1\n2\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--from", "../secret.jsonl", "--to", "out.jsonl"),
        ("--from", "link.jsonl", "--to", "out.jsonl"),
        ("--from", "way-out/secret.jsonl", "--to", "out.jsonl"),
        ("--from", "in.jsonl", "--to", "../out.jsonl"),
        ("--from", "in.jsonl", "--to", "way-out/out.jsonl"),
        ("--from", "in.jsonl", "--to", "out.jsonl", "--map", "str.upper", "--on-error", "../bad.jsonl"),
        ("--from", "/etc/hostname.txt", "--to", "-"),
        ("--from", "../secret.jsonl", "--follow", "--to", "-"),
        ("--from", "in.jsonl", "--to", "out.jsonl", "--report", "../report.json"),
    ],
    ids=" ".join,
)
def test_what_leads_out_is_refused_before_anything_runs(inside: Path, arguments: tuple[str, ...]) -> None:
    before = sorted(os.listdir(inside.parent)), sorted(os.listdir(inside))
    result = run(*arguments)
    assert (result.exit_code, "outside of" in result.stderr) == (2, True), result.output
    assert (sorted(os.listdir(inside.parent)), sorted(os.listdir(inside))) == before


def test_what_a_pattern_finds_outside_is_refused_when_it_is_opened(inside: Path) -> None:
    result = run("--from", "*n*.jsonl", "--to", "out.txt", "--map", "str")
    assert (result.exit_code, "secret.jsonl" in result.stderr) == (2, True), result.output
    assert not (inside / "out.txt").exists()


def test_parts_and_flows_in_files_too(inside: Path) -> None:
    flow = inside / "flow.toml"
    text = 'source = "in.jsonl"\nsink = { type = "rolling", parts = "%s/{n}.jsonl", items = 1 }\n'
    flow.write_text(text % "parts")
    assert run("flow.toml").exit_code == 0
    assert sorted(os.listdir(inside / "parts")) == ["0.jsonl", "1.jsonl"]
    flow.write_text(text % "../parts")
    result = run("flow.toml")
    assert (result.exit_code, "outside of" in result.stderr) == (2, True), result.output
    assert not (inside.parent / "parts").exists()


def test_a_key_that_leads_out_is_refused_with_the_same_code(inside: Path) -> None:
    flow = inside / "flow.toml"
    flow.write_text(
        'source = "in.jsonl"\nsink = { type = "rolling", parts = "{key}/x-{n}.jsonl", key = "keys:way_out" }\n'
    )
    (inside / "keys.py").write_text("def way_out(item): return 'way-out'\n")
    result = run("flow.toml")
    assert (result.exit_code, "outside of" in result.stderr) == (2, True), result.output
    assert not list(inside.parent.glob("x-*"))
