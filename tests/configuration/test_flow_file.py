"""A flow in a file is the flow that Python would have described."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import streamflow as sf
from streamflow.configuration.flow_file import FlowFile
from streamflow.configuration.problem import ConfigurationError

STEPS = """\
from dataclasses import dataclass
import streamflow as sf

@dataclass
class Event:
    n: int

class Bad(Exception): pass

def double(item): return {"n": item["n"] * 2}
async def slowly(item): return item
def refuse(item):
    if item["n"] > 2: raise Bad(item)
    return item
def of_event(event): return {"n": event.n, "kind": type(event).__name__}
def halves(flow): return flow.map(lambda item: {"n": item["n"] / 2})
def add(total, item): return total + item["n"]
described = sf.flow("in.jsonl").map(double)
def make(): return described.to("made.jsonl")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "conf_steps", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "conf_steps.py").write_text(STEPS)
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n}}}\n' for n in range(1, 4)))
    return tmp_path


def run(folder: Path, text: str, **options: Any) -> list[Any]:
    (folder / "flow.toml").write_text(text)
    output = next(word for word in ("made.jsonl", "out.jsonl") if word in text or word == "out.jsonl")
    FlowFile(folder / "flow.toml", **options).runnable.run_sync()
    return [json.loads(line) for line in (folder / output).read_text().splitlines()]


def stages(*tables: str) -> str:
    return 'source = "in.jsonl"\nstages = [\n' + ",\n".join(tables) + '\n]\nsink = "out.jsonl"\n'


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('{ map = "conf_steps:double" }', [2, 4, 6]),
        ('{ map = "conf_steps:slowly", concurrency = 2, timeout = "5s", ordered = true }', [1, 2, 3]),
        ('{ map = "conf_steps:slowly", concurrency = "auto", retry = { attempts = 2, on = ["OSError"] } }', [1, 2, 3]),
        ('{ map = "conf_steps:refuse", on_error = "skip" }', [1, 2]),
        ('{ map = "conf_steps:refuse", on_error = "skip", max_failures = 1 }', [1, 2]),
        ('{ via = "conf_steps:halves" }', [0.5, 1, 1.5]),
        ("{ take = 2 }", [1, 2]),
        ("{ skip = 2 }", [3]),
        ('{ distinct = "str" }', [1, 2, 3]),
        ("{ batch = 2 }, { unbatch = true }", [1, 2, 3]),
        ('{ batch = 2, within = "1s" }, { unbatch = true }', [1, 2, 3]),
        ('{ buffer = 10, overflow = "block" }', [1, 2, 3]),
        ('{ buffer = 10, bytes = "1MB", overflow = "spill", path = "." }', [1, 2, 3]),
        ('{ timeout = "10s" }', [1, 2, 3]),
        ('{ throttle = 1000, per = "1ms" }', [1, 2, 3]),
        ('{ map = "conf_steps:double", on = "loop" }', [2, 4, 6]),
        ('{ map = "conf_steps:double", on = "thread", timeout = "5s" }', [2, 4, 6]),
        ('{ map = "conf_steps:double", on = { threads = { count = 2 } } }', [2, 4, 6]),
        ('{ map = "conf_steps:double", on = { processes = 1 } }', [2, 4, 6]),
    ],
)
def test_every_operator_and_its_options(folder: Path, table: str, expected: list[float]) -> None:
    assert [item["n"] for item in run(folder, stages(table))] == expected


def test_a_place_is_what_its_function_describes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFLOW_WORKERS", "3")
    place = '{ count = "${STREAMFLOW_WORKERS}", timeout = "5s", recycle_after = 1000, memory = "1GB", views = false }'
    (folder / "flow.toml").write_text(stages(f'{{ map = "conf_steps:double", on = {{ processes = {place} }} }}'))
    (operator,) = FlowFile(folder / "flow.toml").runnable.plan.stages[1].placed
    assert operator.on == sf.processes(3, timeout=5.0, recycle_after=1000, memory=10**9, views=False)
    (folder / "flow.toml").write_text(stages('{ map = "len", on = { threads = "${STREAMFLOW_WORKERS}" } }'))
    (operator,) = FlowFile(folder / "flow.toml").runnable.plan.stages[1].placed
    assert operator.on == sf.threads(3)


def test_joblib_is_described_by_its_backend_or_by_all_arguments(folder: Path) -> None:
    try:
        expected = sf.joblib("threading", n_jobs=2)
    except NotImplementedError:
        pytest.skip("joblib has no place yet")
    table = '{ map = "conf_steps:double", on = { joblib = { backend = "threading", n_jobs = 2 } } }'
    (folder / "flow.toml").write_text(stages(table))
    (operator,) = FlowFile(folder / "flow.toml").runnable.plan.stages[1].placed
    assert operator.on == expected
    (folder / "flow.toml").write_text(stages('{ map = "conf_steps:double", on = { joblib = 2 } }'))
    with pytest.raises(ConfigurationError, match=r"joblib: expected .* \(backend\) or a table of backend"):
        FlowFile(folder / "flow.toml")


def test_scan_begins_with_what_is_written(folder: Path) -> None:
    assert run(folder, stages('{ scan = "conf_steps:add", initial = 10 }')) == [11, 13, 16]


def test_dead_letters_go_where_the_file_says(folder: Path) -> None:
    table = '{ map = "conf_steps:refuse", on_error = { dead_letter = "bad.jsonl" } }'
    assert [item["n"] for item in run(folder, stages(table))] == [1, 2]
    assert json.loads((folder / "bad.jsonl").read_text())["item"] == {"n": 3}


def test_the_type_of_items_is_called_item_type(folder: Path) -> None:
    text = (
        'source = { type = "jsonl", path = "in.jsonl", item_type = "conf_steps:Event" }\n'
        'stages = [{ map = "conf_steps:of_event" }]\nsink = "out.jsonl"'
    )
    assert run(folder, text)[0] == {"n": 1, "kind": "Event"}


def test_fields_of_csv_are_converted_by_builtins(folder: Path) -> None:
    (folder / "in.csv").write_text("n,name\n1,a\n2,b\n")
    text = 'sink = "out.jsonl"\n[source]\npath = "in.csv"\ntypes = { n = "int" }\n'
    assert run(folder, text) == [{"n": 1, "name": "a"}, {"n": 2, "name": "b"}]


def test_paths_and_modules_are_relative_to_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert [item["n"] for item in run(folder, stages('{ map = "conf_steps:double" }'))] == [2, 4, 6]
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("name", ["described", "make"])
def test_a_flow_of_python_is_named(folder: Path, name: str) -> None:
    sink = 'sink = "out.jsonl"' if name == "described" else "# made.jsonl"
    assert [item["n"] for item in run(folder, f'flow = "conf_steps:{name}"\n{sink}\n')] == [2, 4, 6]


@pytest.mark.parametrize(
    "text",
    [
        'flow = "conf_steps:make"\nsink = "out.jsonl"',
        'flow = "conf_steps:described"\nsource = "in.jsonl"',
        'flow = "conf_steps:Event"',
        'flow = "conf_steps:slowly"',
        'flow = "conf_steps:nothing"',
        "flow = 5",
    ],
)
def test_a_named_flow_that_cannot_be_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        run(folder, text)


def test_variables_stand_in_values_only_and_only_allowed_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFLOW_COUNT", "2")
    monkeypatch.setenv("IN", 'in.jsonl", evil = "')
    monkeypatch.setenv("NAME", "in")
    text = 'source = "${NAME}.jsonl"\nstages = [{ take = "${STREAMFLOW_COUNT}", name = "$$5 ${STREAMFLOW_NO:-x}" }]\n'
    text += 'sink = "out.jsonl"'
    assert len(run(folder, text, allowed=["NAME"])) == 2
    assert FlowFile(folder / "flow.toml", allowed=["NAME"]).runnable.plan.stages[0].fused[1].label == "$5 x"
    with pytest.raises(ConfigurationError, match="the variable NAME may not be used here"):
        run(folder, text)
    with pytest.raises(FileNotFoundError):  # what a variable holds is never more than a text
        run(folder, text.replace("NAME", "IN"), allowed=["IN"])


@pytest.mark.parametrize(("value", "code"), [("many", "SF105"), ("-1", "SF106"), ("0", "SF106"), ("", "SF105")])
def test_a_variable_that_is_no_number_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, value: str, code: str
) -> None:
    monkeypatch.setenv("STREAMFLOW_SIZE", value)
    with pytest.raises(ConfigurationError, match=code):
        run(folder, stages('{ batch = "${STREAMFLOW_SIZE}" }'))


def test_the_ends_of_a_file_can_be_replaced(folder: Path) -> None:
    (folder / "flow.toml").write_text('source = "none.jsonl"\nstages = [{ map = "conf_steps:double" }]\nsink = "-"')
    items: list[Any] = []
    source, sink = sf.sources.Iterable([{"n": 5}]), sf.sinks.ListSink(items)
    FlowFile(folder / "flow.toml", source=source, sink=sink).runnable.run_sync()
    assert items == [{"n": 10}]


@pytest.mark.parametrize("parts", ['"parts/{key}-{n}.csv"', '{ type = "csv", path = "parts/{key}-{n}.csv" }'])
def test_a_rolling_sink_of_a_path_or_of_a_sink(folder: Path, parts: str) -> None:
    (folder / "flow.toml").write_text(
        'source = "in.jsonl"\n'
        f'sink = {{ type = "rolling", parts = {parts}, key = "conf_steps:parity", bytes = "1MiB", every = "1h" }}\n'
    )
    (folder / "conf_steps.py").write_text("def parity(item): return item['n'] % 2\n")
    FlowFile(folder / "flow.toml", imports=False)
    FlowFile(folder / "flow.toml").runnable.run_sync()
    assert {path.name: path.read_text().split() for path in (folder / "parts").iterdir()} == {
        "0-0.csv": ["n", "2"],
        "1-0.csv": ["n", "1", "3"],
    }


@pytest.mark.parametrize(
    ("text", "every", "resume"),
    [
        ('checkpoint = "kept/events.ckpt"', 1.0, "auto"),
        ('checkpoint = { path = "kept/events.ckpt", every = "50ms", resume = "never" }', 0.05, "never"),
        ('[checkpoint]\npath = "kept/events.ckpt"\nevery = 2', 2.0, "auto"),
    ],
)
def test_checkpoints_are_kept_beside_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, every: float, resume: str
) -> None:
    (folder / "flow.toml").write_text(stages() + text)
    monkeypatch.chdir("/")
    file = FlowFile(folder / "flow.toml")
    assert file.checkpoints is not None
    path = str(folder / "kept/events.ckpt")
    assert file.checkpoints.options == {"checkpoint": path, "every": every, "resume": resume}
    assert [one.promise for one in file.guarantees] == ["exactly once"]


def test_a_named_flow_has_checkpoints_too_and_a_flow_without_them_promises_nothing(folder: Path) -> None:
    (folder / "flow.toml").write_text('flow = "conf_steps:make"\ncheckpoint = "a.ckpt"\n')
    (found,) = FlowFile("flow.toml").guarantees
    assert (found.source, found.sink, found.promise) == ("in.jsonl", "made.jsonl", "exactly once")
    assert FlowFile("flow.toml", imports=False).guarantees == ()
    (folder / "flow.toml").write_text(stages())
    assert (FlowFile("flow.toml").checkpoints, FlowFile("flow.toml").guarantees) == (None, ())


def test_a_sink_that_cannot_be_gone_on_with_has_no_checkpoints(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    (folder / "flow.toml").write_text('source = "in.jsonl"\nsink = "out.parquet"\ncheckpoint = "a.ckpt"\n')
    with pytest.raises(ConfigurationError, match="its file has one end only") as caught:
        FlowFile("flow.toml")
    assert [(problem.code, problem.place.line) for problem in caught.value.problems] == [("SF110", 3)]
