"""`validate`, `show`, `graph`, `test` and `bench`, in a project as `streamflow new` makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamflow.cli.commands import cli


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def plain(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    return json.loads(result.stdout)


def replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


# -- validate -----------------------------------------------------------------------------------------------------


def test_right_files_are_valid_and_nothing_of_them_is_imported(project: Path) -> None:
    (project / "flow.py").write_text("raise SystemExit('imported')")
    result = call("validate", "app.toml", "app.test.toml")
    assert (result.exit_code, result.stdout) == (
        0,
        "app.toml: valid\n  with checkpoint=: exactly once\n"
        "     sample.jsonl → paid.jsonl: exactly once\n"
        "     sample.jsonl → bad.jsonl: exactly once\n"
        "app.test.toml: valid\n",
    )


def test_each_mistake_is_told_and_the_exit_code_is_that_of_a_configuration(project: Path) -> None:
    replace(project / "app.toml", "{ filter =", "{ fliter =")
    replace(project / "app.toml", 'path = "paid.jsonl"', 'paths = "paid.jsonl"')
    result = call("validate", "app.toml")
    assert result.exit_code == 78
    assert "app.toml:4:5" in result.stderr
    assert "did you mean 'filter'?" in result.stderr
    assert "did you mean 'path'?" in result.stderr
    assert result.stdout == "app.toml: 2 mistakes\n"
    found = plain("validate", "app.toml")
    assert not found["valid"]
    assert [problem["line"] for problem in found["files"][0]["problems"]] == [4, 7]


def test_what_only_an_import_shows_is_told_if_asked(project: Path) -> None:
    replace(project / "app.toml", "flow:is_paid", "flow:is_payed")
    assert call("validate", "app.toml").exit_code == 0
    result = call("validate", "--imports", "app.toml")
    assert (result.exit_code, "did you mean 'is_paid'?" in result.stderr) == (78, True)


def test_python_is_looked_at_if_asked(project: Path) -> None:
    for python in ("flow.py", "flow.py:flow", "flow:flow"):
        result = call("validate", "app.toml", python)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{python} is Python" in result.stderr
        assert "add --imports" in result.stderr
    assert call("validate", "--imports", "flow.py").exit_code == 0


@pytest.mark.parametrize(
    ("before", "after", "line", "fix"),
    [
        ("output = []", "outputs = []", 13, "did you mean 'output'?"),
        ("output = []\n", "", 10, "add output ="),
        ("failed = [", "failed = 3 # [", 14, "failed = [{ amount = 0 }]"),
        ('name = "an amount that is no number is set aside"', "name = 3", 11, 'as in name = "what is shown here"'),
        ("output = []", 'output = "no-such.jsonl"', 13, "no-such.jsonl"),
    ],
)
def test_mistakes_in_a_file_of_tests(project: Path, before: str, after: str, line: int, fix: str) -> None:
    replace(project / "app.test.toml", before, after)
    result = call("test")
    assert result.exit_code == 78
    assert f"app.test.toml:{line}:" in result.stderr
    assert fix in result.stderr


# -- show and graph -----------------------------------------------------------------------------------------------


def test_what_is_shown_runs_as_the_file_does(project: Path) -> None:
    (project / "shown.toml").write_text(call("show", "app.toml").stdout)
    assert call("validate", "--imports", "shown.toml").exit_code == 0
    assert plain("show", "shown.toml") == plain("show", "app.toml")
    for file in ("app.toml", "shown.toml"):
        assert call("run", file).exit_code == 0
    assert len((project / "paid.jsonl").read_text().splitlines()) == 125


def test_python_is_not_shown_but_drawn(project: Path) -> None:
    assert "`streamflow graph` draws" in call("show", "flow.py").stderr
    assert "fused: sample.jsonl → decode → filter(is_paid)" in call("graph", "flow.py").stdout


def test_a_graph_as_text_mermaid_and_json(project: Path) -> None:
    assert call("graph", "app.toml", "--mermaid").stdout.startswith("flowchart LR\n")
    found = plain("graph", "flow:flow")
    assert found["stages"][0]["parts"][0] == "sample.jsonl"
    assert [edge["dead_letters"] for edge in found["edges"]] == [False, True]
    assert found["bounded"]
    assert {(one["sink"], one["promise"]) for one in found["with_checkpoints"]} == {
        ("paid.jsonl", "exactly once"),
        ("bad.jsonl", "exactly once"),
    }


def test_the_checkpoints_of_the_template_may_be_used(project: Path) -> None:
    replace(project / "app.toml", "# checkpoint =", "checkpoint =")
    assert "paid.jsonl: exactly once" in call("validate", "app.toml").stdout


# -- test ---------------------------------------------------------------------------------------------------------


def test_the_tests_of_the_template_pass(project: Path) -> None:
    result = call("test")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "2 passed, 0 failed")
    assert not (project / "paid.jsonl").exists()
    assert not (project / "bad.jsonl").exists()


def test_a_difference_is_shown_line_by_line(project: Path) -> None:
    replace(project / "app.test.toml", "amount = 9.5 }", "amount = 9.6 }")
    result = call("test", "app.test.toml")
    assert result.exit_code == 1
    assert "FAIL  app.test.toml: orders that are not paid are left out" in result.stdout
    assert '- {"amount": 9.6' in result.stdout.replace("-{", "- {")
    assert '+ {"amount": 9.5' in result.stdout.replace("+{", "+ {")
    found = plain("test")
    assert (found["passed"], found["failed"]) == (1, 1)


def test_an_item_that_fails_and_was_not_expected_to_is_a_failure(project: Path) -> None:
    (project / "app.test.toml").write_text('[[test]]\ninput = [{ status = "paid", amount = "x" }]\noutput = []\n')
    result = call("test")
    assert result.exit_code == 1
    assert "failed: 0 expected (-), 1 found (+)" in result.stdout
    assert "could not convert string to float" in result.stdout


def test_a_flow_that_fails_fails_the_test_with_its_error(project: Path) -> None:
    replace(project / "app.toml", ', on_error = { dead_letter = "bad.jsonl" } },\n]', " },\n]")
    result = call("test")
    assert result.exit_code == 1
    assert "the run failed: ValueError: could not convert string to float: 'ten'" in result.stdout


def test_a_function_that_ends_the_process_fails_the_test(project: Path) -> None:
    replace(project / "flow.py", "return {**order", "import sys; sys.exit(0); return {**order")
    result = call("test")
    assert result.exit_code == 1
    assert "the run failed: SystemExit: 0" in result.stdout


@pytest.mark.parametrize("verb", [["run"], ["graph"], ["bench"], ["validate", "--imports"]])
def test_a_module_that_ends_the_process_is_told(project: Path, verb: list[str]) -> None:
    (project / "flow.py").write_text("import sys\nsys.exit(0)\n")
    result = call(*verb, "flow.py")
    assert result.exit_code in (2, 78)
    assert "SystemExit: 0" in result.output
    assert "line 2" in result.output


def test_a_file_that_cannot_be_a_module_is_told(project: Path) -> None:
    for name, says in (("json.py", "rename it"), ("my-flow.py", "no name for a module")):
        (project / name).write_text((project / "flow.py").read_text())
        result = call("run", name)
        assert (result.exit_code, says in result.output) == (2, True), result.output


def test_order_counts_unless_the_test_says_otherwise(project: Path) -> None:
    items = '{ status = "paid", amount = %d }'
    for ordered, code in (("true", 1), ("false", 0)):
        (project / "app.test.toml").write_text(
            f"[[test]]\nordered = {ordered}\ninput = [{items % 1}, {items % 2}]\noutput = [{items % 2}, {items % 1}]\n"
        )
        assert call("test").exit_code == code


def test_input_and_output_in_files_and_a_flow_of_python(project: Path) -> None:
    (project / "given.jsonl").write_text('{"status":"paid","amount":"1"}\n')
    (project / "wanted.jsonl").write_text('{"status":"paid","amount":1.0}\n')
    (project / "app.test.toml").write_text(
        'flow = "flow.py"\n[[test]]\ninput = "given.jsonl"\noutput = "wanted.jsonl"\n'
    )
    assert call("test").exit_code == 0


def test_several_sinks_go_by_their_names(project: Path) -> None:
    (project / "flow.py").write_text(
        "import streamflow as sf\n"
        "even, odd = sf.flow('in.jsonl').branch(lambda n: n % 2 == 0)\n"
        "flow = sf.together(even.to('even.jsonl'), odd.to('odd.jsonl'))\n"
    )
    test = project / "flow.test.toml"
    test.write_text('[[test]]\ninput = [1, 2]\noutput = { "even.jsonl" = [2], "odd.jsonl" = [1] }\n')
    assert call("test", "flow.test.toml").exit_code == 0
    test.write_text("[[test]]\ninput = [1, 2]\noutput = [2]\n")
    result = call("test", "flow.test.toml")
    assert (result.exit_code, "has the sinks 'even.jsonl', 'odd.jsonl'" in result.stderr) == (2, True)


def test_what_is_missing_is_named(project: Path) -> None:
    assert "ends in .test.toml" in call("test", "app.toml").stderr
    (project / "app.test.toml").rename(project / "other.test.toml")
    assert "neither other.toml nor other.py is there" in call("test").stderr
    (project / "other.test.toml").unlink()
    assert "there is no file *.test.toml" in call("test").stderr


@pytest.mark.parametrize("verb", ["run", "show", "graph", "bench"])
def test_a_file_of_tests_is_no_flow(project: Path, verb: str) -> None:
    result = call(verb, "app.test.toml")
    assert result.exit_code == 2
    assert "app.test.toml is a file of tests: streamflow test app.test.toml" in result.stderr


# -- bench --------------------------------------------------------------------------------------------------------


def test_a_bench_measures_and_writes_nothing(project: Path) -> None:
    before = sorted(path.name for path in project.iterdir())
    found = plain("bench", "flow.py", "--rounds", "2")
    assert len(found["rounds"]) == 2
    assert found["median"] > 0
    assert "round 1: " in call("bench", "app.toml", "--rounds", "1").stdout
    assert sorted(path.name for path in project.iterdir() if path.name != "__pycache__") == before


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ("sf.flow('-').to(None)", "standard input can be read once only"),
        ("sf.flow(sf.ticks(1)).to(None)", "has no end"),
        ("sf.flow(iter([1])).to(None)", "read once only"),
    ],
)
def test_what_cannot_be_benched_is_refused(project: Path, flow: str, message: str) -> None:
    (project / "flow.py").write_text(f"import streamflow as sf\nflow = {flow}\n")
    result = call("bench", "flow.py")
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_an_endless_flow_that_takes_some_is_benched(project: Path) -> None:
    (project / "flow.py").write_text("import streamflow as sf\nflow = sf.flow(sf.ticks(0.001)).take(3).to(None)\n")
    assert call("bench", "flow.py", "--rounds", "1").exit_code == 0
