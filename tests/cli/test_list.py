"""`streamflow list` says what there is: it is read off the code, so that it cannot be out of date."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

import streamflow as sf
from streamflow.cli.commands import cli

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


def test_the_tables_fit_what_there_is() -> None:
    result = CliRunner().invoke(cli, ["list"])
    assert result.exit_code == 0, result.output
    for word in ("sources", "sinks", "operators", "places", "recycle_after", ".jsonl", "flat_map", ".zst"):
        assert word in result.output


def test_the_table_of_the_readme_is_what_there_is() -> None:
    table = CliRunner().invoke(cli, ["list", "--markdown"]).stdout
    assert f"<!-- ends: streamflow list --markdown -->\n\n{table}\n<!-- /ends -->" in README.read_text()
