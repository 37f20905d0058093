"""`show`: what a file says, with every default written out, is the same flow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from streamflow.configuration.flow_file import FlowFile
from streamflow.sinks.registry import SINKS
from streamflow.sources.registry import SOURCES


def shown(folder: Path, text: str, **options: Any) -> dict[str, Any]:
    (folder / "flow.toml").write_text(text)
    return FlowFile(folder / "flow.toml", imports=False, **options).normalised()


def test_paths_become_tables_with_all_options(tmp_path: Path) -> None:
    found = shown(tmp_path, 'sink = "-"\nstages = [{ map = "steps:f" }]\nsource = "in.csv.gz"\n')
    assert list(found) == ["source", "stages", "sink"]
    assert found["source"]["type"] == "csv"
    assert (found["source"]["path"], found["source"]["header"]) == ("in.csv.gz", True)
    assert found["stages"][0]["concurrency"] == 1
    assert found["stages"][0]["on_error"] == "fail"
    assert found["sink"]["type"] == "stdout"


def test_a_place_becomes_a_table_with_all_its_arguments(tmp_path: Path) -> None:
    found = shown(tmp_path, 'sink = "-"\nstages = [{ map = "steps:f", on = { processes = 2 } }]\nsource = "-"\n')
    assert found["stages"][0]["on"] == {"processes": {"count": 2, "views": True, "arena": 64 << 20}}


SOURCES_IN_TEXT = [f'"in{suffix}"' for name in SOURCES.names() for suffix in SOURCES.texts_of(name) if suffix[0] == "."]
SINKS_IN_TEXT = [f'"out{suffix}"' for name in SINKS.names() for suffix in SINKS.texts_of(name) if suffix[0] == "."]
STAGES = [
    *(f"{{ {word} = 'steps:f' }}" for word in ("map", "filter", "flat_map", "tap", "take_while", "drop_while")),
    *(
        "{ take = 1 }",
        "{ skip = 1 }",
        "{ distinct = true }",
        "{ distinct = 'steps:f' }",
        "{ batch = 3, within = '1s' }",
    ),
    *("{ unbatch = true }", "{ throttle = 5 }", "{ debounce = 1.5 }", "{ timeout = 1 }", "{ buffer = 10 }"),
    *("{ via = 'steps:f' }", "{ scan = 'steps:f', initial = 0 }"),
    *("{ map = 'steps:f', on = 'process' }", "{ tap = 'steps:f', on = { threads = 4 } }"),
    "{ filter = 'steps:f', on = { processes = { count = 2, timeout = '5s', memory = '1GB' } }, ordered = false }",
    "{ map = 'steps:f', timeout = 2, on_error = { dead_letter = 'bad.jsonl' }, retry = { attempts = 2 } }",
]


@pytest.mark.parametrize("source", SOURCES_IN_TEXT)
@pytest.mark.parametrize("sink", SINKS_IN_TEXT)
def test_what_is_shown_of_any_end_is_the_same_flow_again(tmp_path: Path, source: str, sink: str) -> None:
    once = shown(tmp_path, f"source = {source}\nsink = {sink}\n")
    assert shown(tmp_path, tomli_w.dumps(once)) == once


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_shown_of_any_stage_is_the_same_flow_again(tmp_path: Path, stage: str) -> None:
    once = shown(tmp_path, f'source = "-"\nstages = [{stage}]\nsink = "-"\n')
    assert shown(tmp_path, tomli_w.dumps(once)) == once


def test_checkpoints_become_a_table_with_all_options(tmp_path: Path) -> None:
    ends = 'source = "in.jsonl"\nsink = "out.jsonl"\n'
    for text in ('checkpoint = "a.ckpt"\n', 'checkpoint = { path = "a.ckpt" }\n'):
        once = shown(tmp_path, text + ends)
        assert list(once) == ["source", "sink", "checkpoint"]
        assert once["checkpoint"] == {"path": "a.ckpt", "every": 1.0, "resume": "auto"}
        assert shown(tmp_path, tomli_w.dumps(once)) == once


def test_variables_stay_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFLOW_SECRET", "hunter2")
    found = shown(tmp_path, 'source = "-"\nsink = "${STREAMFLOW_SECRET}.jsonl"\n')
    assert found["sink"]["path"] == "${STREAMFLOW_SECRET}.jsonl"
    assert "hunter2" not in str(found)


def test_passwords_in_urls_are_masked(tmp_path: Path) -> None:
    found = shown(tmp_path, 'source = "-"\nsink = { type = "jsonl", path = "ftp://me:hunter2@host/x.jsonl" }\n')
    assert found["sink"]["path"] == "ftp://me:***@host/x.jsonl"


def test_a_named_flow_stays_a_name(tmp_path: Path) -> None:
    assert shown(tmp_path, 'flow = "app:flow"\n') == {"flow": "app:flow"}
