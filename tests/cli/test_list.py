"""`streamflow list` says what there is: it is read off the code, so that it cannot be out of date."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import streamflow as sf
from streamflow.cli.commands import cli
from streamflow.sinks.registry import SINKS
from streamflow.sources.registry import SOURCES

README = Path(__file__).parents[2] / "README.md"


def test_everything_that_can_be_named_is_listed_with_its_options() -> None:
    result = CliRunner().invoke(cli, ["list", "--json"])
    assert result.exit_code == 0, result.output
    listed = json.loads(result.output)
    sources = {one["name"]: one for one in listed["sources"]}
    assert set(sources) >= {"csv", "jsonl", "stdin", "text", "ticks"}
    assert sources["csv"]["suffixes"] == [".csv", ".tsv"]
    assert {"path", "header", "types", "compression", "on_error"} <= set(sources["csv"]["options"])
    assert sources["stdin"]["suffixes"] == ["-"]
    assert {one["name"] for one in listed["sinks"]} >= {"csv", "jsonl", "null", "rolling", "stdout", "text"}
    assert {one["name"] for one in listed["sources"] if one["extra"] == "tables"} <= {"arrow", "parquet"}
    assert all(one["guarantee"] for kind in ("sources", "sinks") for one in listed[kind])
    operators = {one["name"]: one for one in listed["operators"]}
    assert {"map", "filter", "flat_map", "batch", "throttle", "buffer", "branch", "route"} <= set(operators)
    assert all(hasattr(sf.Flow, name) for name in operators)
    assert not {"to", "run", "run_sync", "start", "explain", "collect"} & set(operators)
    assert {"concurrency", "on"} <= set(operators["map"]["options"])
    places = {one["name"]: one for one in listed["places"]}
    assert set(places) == {"threads", "processes", "joblib"}
    assert {"count", "timeout", "recycle_after", "memory"} <= set(places["processes"]["options"])
    assert all(one["about"] for kind in listed.values() for one in kind)


#: How parts are made that take no path.
MADE = {
    "stdin": sf.sources.Stdin,
    "stdout": sf.sinks.Stdout,
    "null": sf.sinks.Null,
    "ticks": lambda: sf.sources.Ticks(1.0),
    "sqlite": lambda: SINKS.load("sqlite")(path="x.db", table="t"),
    "rolling": lambda: sf.sinks.Rolling("part-{n}.jsonl", items=1),
}


@pytest.mark.parametrize("name", SINKS.names())
def test_what_is_said_of_a_sink_with_checkpoints_is_so(name: str, tmp_path: Path) -> None:
    kind = SINKS.load(name)
    if kind.extra is not None:
        pytest.importorskip("pyarrow")
    sink = MADE[name]() if name in MADE else kind(str(tmp_path / "x"))
    if sink.unresumable:
        assert "no checkpoints" in kind.guarantee
    elif name != "null":  # of which nobody sees anything
        assert f"{sink.delivery} with checkpoints" in kind.guarantee


@pytest.mark.parametrize("name", SOURCES.names())
def test_what_is_said_of_a_source_with_checkpoints_is_so(name: str, tmp_path: Path) -> None:
    kind = SOURCES.load(name)
    if kind.extra is not None:
        pytest.importorskip("pyarrow")
    source = MADE[name]() if name in MADE else kind(str(tmp_path / "x"))
    assert ("any position" in kind.guarantee) == source.replayable
    assert ("at most once with checkpoints" in kind.guarantee) == (not source.replayable)


def test_the_tables_fit_what_there_is() -> None:
    result = CliRunner().invoke(cli, ["list"])
    assert result.exit_code == 0, result.output
    for word in ("sources", "sinks", "operators", "places", "recycle_after", ".jsonl", "flat_map", ".zst"):
        assert word in result.output


def test_the_table_of_the_readme_is_what_there_is() -> None:
    table = CliRunner().invoke(cli, ["list", "--markdown"]).stdout
    assert f"<!-- ends: streamflow list --markdown -->\n\n{table}\n<!-- /ends -->" in README.read_text()
