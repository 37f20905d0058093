"""Dead letters are listed, shown, and sent through the flow again from where they failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamflow.cli.commands import cli

FLOW = """\
import streamflow as sf
calls = []
bad = sf.dead_letter("bad.jsonl")
def first(item):
    if item.get("n") == 1: raise KeyError("one")
    return {**item, "first": True}
def second(item):
    if item["n"] == 2: raise ValueError("two")
    return {**item, "second": True}
def third(item): return {**item, "third": True} if item["n"] != 3 else {3}
flow = (
    sf.flow(sf.sources.JsonLines("in.jsonl", on_error=bad))
    .map(first, on_error=bad).map(second, on_error=bad).map(third)
    .to(sf.sinks.JsonLines("out.jsonl", on_error=bad))
)
"""
MENDED = FLOW.replace("== 1", "== -1").replace("== 2", "== -1").replace("!= 3", "!= -1")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def failed(project: Path) -> Path:
    """Be where a run has left four dead letters, of two operators, a decoder and an encoder."""
    (project / "flow.py").write_text(FLOW)
    (project / "in.jsonl").write_text('{"n":1}\n{"n":2}\n{"n":3}\n{"n":\n{"n":5}\n')
    assert call("run", "flow.py").exit_code == 0
    assert len(read(project / "bad.jsonl")) == 4
    return project


def mend(project: Path, flow: str = MENDED) -> None:
    """Mend the flow; Python would take the old bytecode of a file written in the same second."""
    import sys

    (project / "flow.py").write_text(flow)
    for cached in project.glob("__pycache__/*"):
        cached.unlink()
    sys.modules.pop("flow", None)


def test_letters_are_grouped_by_what_failed(failed: Path) -> None:
    found = json.loads(call("dlq", "ls", "bad.jsonl", "--json").stdout)
    assert found["total"] == 4
    kinds = {(group["operator"], group["exception"]): group["place"] for group in found["groups"]}
    assert kinds["map(second)", "ValueError"] == "in.jsonl, line 2"
    assert {operator for operator, _ in kinds} == {"map(first)", "map(second)", "decode", "encode"}
    text = call("dlq", "ls", "bad.jsonl").stdout
    assert "map(second): ValueError: two" in text


def test_letters_of_one_kind_are_told_apart_by_their_messages(failed: Path) -> None:
    [letter] = [letter for letter in read(failed / "bad.jsonl") if letter["operator"] == "map(second)"]
    said = ["one", "two", "two", "three", "four", "five", "six", "seven", "two", "six"]
    (failed / "many.jsonl").write_text("".join(json.dumps(letter | {"message": text}) + "\n" for text in said))
    text = call("dlq", "ls", "many.jsonl").stdout
    assert text.splitlines()[1:6] == [
        "         10  map(second): ValueError",
        "             3  two",
        "                first: letter 2, of in.jsonl, line 2",
        "             1  one",
        "                first: letter 1, of in.jsonl, line 2",
    ]
    assert "and 3 others\n" in text
    assert "six" not in text
    [group] = json.loads(call("dlq", "ls", "many.jsonl", "--json").stdout)["groups"]
    assert {one["message"]: one["count"] for one in group["messages"]} == dict.fromkeys(said[:6], 1) | {"two": 3}
    assert (group["message"], group["count"], group["others"]) == ("one", 10, 3)


def test_one_is_shown_with_its_traceback(failed: Path) -> None:
    number = 1 + [letter["operator"] for letter in read(failed / "bad.jsonl")].index("map(second)")
    text = call("dlq", "show", "bad.jsonl", str(number)).stdout
    assert "ValueError: two" in text
    assert 'raise ValueError("two")' in text
    assert json.loads(call("dlq", "show", "bad.jsonl", str(number), "--json").stdout)["item"]["n"] == 2
    assert "has fewer than 9 dead letters: 4" in call("dlq", "show", "bad.jsonl", "9").stderr


def test_each_goes_on_from_where_it_failed(failed: Path) -> None:
    mend(failed)
    before = (failed / "bad.jsonl").read_bytes(), (failed / "out.jsonl").read_bytes()
    result = call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl")
    assert result.exit_code == 0, result.stderr
    assert sorted(read(failed / "again.jsonl"), key=lambda item: item["n"]) == [
        {"n": 1, "first": True, "second": True, "third": True},
        {"n": 2, "first": True, "second": True, "third": True},
    ]
    assert "1 not sent, they stay there: their items could not be written" in result.stderr
    again = read(failed / "bad.failed.jsonl")
    assert [(letter["operator"], letter["item"]) for letter in again] == [("decode", '{"n":\n')]
    assert ((failed / "bad.jsonl").read_bytes(), (failed / "out.jsonl").read_bytes()) == before


def test_what_is_mended_in_the_file_goes_through(failed: Path) -> None:
    mend(failed)
    letters = read(failed / "bad.jsonl")
    for letter in letters:
        if letter["operator"] == "decode":
            letter["item"] = '{"n": 4}'
        if letter["form"] == "repr":
            letter.update(item={"n": 3}, form="value")
    (failed / "bad.jsonl").write_text("".join(json.dumps(letter) + "\n" for letter in letters))
    result = call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl")
    assert "4 sent, 0 failed again" in result.stderr
    assert sorted(item["n"] for item in read(failed / "again.jsonl")) == [1, 2, 3, 4]
    assert not (failed / "bad.failed.jsonl").exists() or read(failed / "bad.failed.jsonl") == []


def test_what_fails_again_is_set_aside_again_and_can_be_replayed(failed: Path) -> None:
    mend(failed, FLOW)
    assert "3 sent, 3 failed again" in call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl").stderr
    mend(failed)
    letters = [letter for letter in read(failed / "bad.failed.jsonl") if letter["operator"].startswith("map")]
    (failed / "once.jsonl").write_text("".join(json.dumps(letter) + "\n" for letter in letters))
    assert "2 sent, 0 failed again" in call("dlq", "replay", "once.jsonl", "flow.py", "--to", "again.jsonl").stderr
    assert sorted(item["n"] for item in read(failed / "again.jsonl")) == [1, 2]


def test_what_fails_again_is_told_with_the_first_reason_and_the_next_command(failed: Path) -> None:
    mend(failed, FLOW)
    result = call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl", "--failed", "a b.jsonl")
    assert result.exit_code == 65
    first = read(failed / "a b.jsonl")[0]
    assert f"the first: {first['operator']}: {first['exception']}: {first['message']}\n" in result.stderr
    assert "streamflow dlq ls 'a b.jsonl' shows them all" in result.stderr
    assert call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl", "--json").exit_code == 65
    mend(failed)
    result = call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl")
    assert (result.exit_code, "3 sent, 1 failed again" in result.stderr) == (0, True), result.stderr


def test_another_flow_is_refused_with_what_is_near(failed: Path) -> None:
    mend(failed, MENDED.replace("second", "seconds"))
    result = call("dlq", "replay", "bad.jsonl", "flow.py")
    assert result.exit_code == 2
    assert "this flow has none such; did you mean to give 'map(seconds)' that name=...?" in result.stderr


def test_two_operators_of_one_name_cannot_be_told_apart(failed: Path) -> None:
    mend(failed, MENDED.replace(".map(second, on_error=bad)", ".map(second, on_error=bad).map(second, on_error=bad)"))
    assert "stands 2 times in this flow" in call("dlq", "replay", "bad.jsonl", "flow.py").stderr


def test_what_is_no_dead_letter_is_told_with_its_line(failed: Path) -> None:
    with (failed / "bad.jsonl").open("a") as file:
        file.write('{"n": 1}\n')
    for verb in (["ls"], ["replay"]):
        result = CliRunner().invoke(cli, ["dlq", *verb, "bad.jsonl", *(["flow.py"] if verb == ["replay"] else [])])
        assert result.exit_code == 65
        assert "item" in result.stderr
        assert "line 5" in result.stderr


@pytest.mark.parametrize("odd", [{"position": {"line": "x"}}, {"time": 1e30}, {"position": {"first": {}}}])
def test_letters_that_were_edited_to_nonsense_are_shown_all_the_same(failed: Path, odd: dict[str, Any]) -> None:
    letter = read(failed / "bad.jsonl")[0] | odd
    (failed / "odd.jsonl").write_text(json.dumps(letter) + "\n")
    assert call("dlq", "ls", "odd.jsonl").exit_code == 0
    assert call("dlq", "show", "odd.jsonl").exit_code == 0


def test_items_that_json_changes_are_sent_only_if_asked(project: Path) -> None:
    (project / "flow.py").write_text(
        "import streamflow as sf\n"
        "def fail(pair): raise ValueError(pair)\n"
        "bad = sf.dead_letter('bad.jsonl')\n"
        "flow = sf.flow('in.jsonl').map(tuple).map(fail, name='f', on_error=bad).to('o.jsonl')\n"
    )
    (project / "in.jsonl").write_text("[1,2]\n")
    assert call("run", "flow.py").exit_code == 0
    assert read(project / "bad.jsonl")[0]["form"] == "encoded"
    mend(project, (project / "flow.py").read_text().replace("raise ValueError(pair)", "return type(pair).__name__"))
    result = call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl")
    assert (result.exit_code, "--plain sends these" in result.stderr) == (0, True)
    assert call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl", "--plain").exit_code == 0
    assert read(project / "again.jsonl") == ["list"]


def test_several_sinks_are_named(project: Path) -> None:
    (project / "flow.py").write_text(
        "import streamflow as sf\n"
        "def check(n): return 1 // n if n < 5 else n\n"
        "low, high = sf.flow('in.jsonl').map(check, on_error=sf.dead_letter('bad.jsonl')).branch(lambda n: n < 5)\n"
        "flow = sf.together(low.to('low.jsonl'), high.to('high.jsonl'))\n"
    )
    (project / "in.jsonl").write_text("1\n0\n9\n")
    assert call("run", "flow.py").exit_code == 0
    result = call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl")
    assert (result.exit_code, "--to low.jsonl=PATH --to high.jsonl=PATH" in result.stderr) == (2, True)
    mend(project, (project / "flow.py").read_text().replace("1 // n", "n"))
    named = ["--to", "low.jsonl=a.jsonl", "--to", "high.jsonl=b.jsonl"]
    assert call("dlq", "replay", "bad.jsonl", "flow.py", *named).exit_code == 0
    assert read(project / "a.jsonl") == [0]


def test_a_bad_row_is_mended_to_an_object(project: Path) -> None:
    (project / "flow.py").write_text(
        "import streamflow as sf\n"
        "flow = sf.flow(sf.sources.Csv('in.csv', on_error=sf.dead_letter('bad.jsonl'))).to('out.jsonl')\n"
    )
    (project / "in.csv").write_text("a,b\n1,2\n3\n")
    assert call("run", "flow.py").exit_code == 0
    [letter] = read(project / "bad.jsonl")
    assert (letter["item"], letter["form"]) == (["3"], "value")
    result = call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl")
    assert "1 sent, 1 failed again" in result.stderr
    assert "mend the item to an object" in (project / "bad.failed.jsonl").read_text()
    letter["item"] = {"a": "3", "b": "4"}
    (project / "bad.jsonl").write_text(json.dumps(letter) + "\n")
    assert call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl").exit_code == 0
    assert read(project / "again.jsonl") == [{"a": "3", "b": "4"}]


@pytest.fixture
def rows(project: Path) -> Path:
    """Be where a run has left two rows: one too short, and one with a field that does not convert."""
    (project / "c.csv").write_text("a,b\n1,2\n3\n4,z\n")
    typed(project, "int")
    assert call("run", "c.toml").exit_code == 0
    assert [letter["item"] for letter in read(project / "bad.jsonl")] == [["3"], ["4", "z"]]
    return project


def typed(project: Path, kind: str, options: str = "") -> None:
    (project / "c.toml").write_text(
        f'source = {{ type = "csv", path = "c.csv", types = {{ b = "{kind}" }}, '
        f'on_error = {{ dead_letter = "bad.jsonl" }}{options} }}\nsink = "out.jsonl"\n'
    )


def replayed(project: Path, *items: Any) -> tuple[list[Any], list[Any]]:
    """Mend the letters to `items`, and return what came out of them, and the messages of what did not."""
    letters = read(project / "bad.jsonl")
    for letter, item in zip(letters, items, strict=False):
        letter["item"] = item
    (project / "mended.jsonl").write_text("".join(json.dumps(letter) + "\n" for letter in letters))
    result = call("dlq", "replay", "mended.jsonl", "c.toml", "--to", "again.jsonl")
    failed = project / "mended.failed.jsonl"
    messages = [letter["message"] for letter in read(failed)] if failed.exists() else []
    assert f"{len(letters)} sent, {len(messages)} failed again" in result.stderr, result.stderr
    return read(project / "again.jsonl"), messages


def test_a_row_is_decoded_again_when_the_flow_was_mended(rows: Path) -> None:
    typed(rows, "str")
    came, [message] = replayed(rows)
    assert came == [{"a": "4", "b": "z"}]
    assert message.startswith("1 fields, where the header has 2")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["3", "1"], ["4", "9"]),
        ({"a": "3", "b": "1"}, {"a": "4", "b": 9}),
        ("3,1", '"4",9\r\n'),
    ],
)
def test_a_mended_row_has_its_types_in_each_form(rows: Path, first: Any, second: Any) -> None:
    assert replayed(rows, first, second) == ([{"a": "3", "b": 1}, {"a": "4", "b": 9}], [])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("3", "1 fields, where the header has 2"),
        ("3,1\n5,6", "2 rows in a text"),
        ('3,"1', "never closed"),
        ("", "0 rows"),
        ("x" * 200_000, "field larger than field limit"),
        (["3", "1", "2"], "3 fields, where the header has 2"),
        ({"a": "3", "b": "y"}, "field 'b': invalid literal"),
        (3, "int is no record"),
        (None, "NoneType is no record"),
    ],
)
def test_what_is_still_no_row_fails_alone(rows: Path, item: Any, message: str) -> None:
    came, [failed] = replayed(rows, item, ["4", "9"])
    assert came == [{"a": "4", "b": 9}]
    assert message in failed


def test_a_row_has_the_names_of_the_file_it_came_from(rows: Path) -> None:
    (rows / "c.csv").rename(rows / "d.csv")
    (rows / "c.csv").write_text("x,b\n")
    letters = read(rows / "bad.jsonl")
    letters[0]["position"]["source"] = "d.csv"
    letters[1]["position"]["source"] = "gone.csv"
    (rows / "bad.jsonl").write_text("".join(json.dumps(letter) + "\n" for letter in letters))
    assert replayed(rows, ["3", "1"], "4,9") == ([{"a": "3", "b": 1}, {"x": "4", "b": 9}], [])


def test_a_row_whose_header_cannot_be_read_says_so(rows: Path) -> None:
    (rows / "c.csv").unlink()
    came, [failed] = replayed(rows, ["3", "1"], {"a": "4", "b": "9"})
    assert came == [{"a": "4", "b": 9}]
    assert "fields without their names: mend the item to an object" in failed


def test_a_row_has_the_names_and_the_dialect_of_the_source(rows: Path) -> None:
    typed(rows, "int", ', header = ["p", "b"], delimiter = ";"')
    assert replayed(rows, ["3", "1"], "4;9") == ([{"p": "3", "b": 1}, {"p": "4", "b": 9}], [])


def test_one_letter_does_not_end_the_replay_of_the_others(failed: Path) -> None:
    mend(
        failed, MENDED.replace('return {**item, "third": True} if', 'return {**item, "third": 1 // (item["n"] - 2)} if')
    )
    result = call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl")
    assert "3 sent, 2 failed again" in result.stderr
    assert [item["n"] for item in read(failed / "again.jsonl")] == [1]
    assert {letter["operator"] for letter in read(failed / "bad.failed.jsonl")} == {"map(third)", "decode"}


def test_before_a_zip_nothing_is_let_go_that_the_flow_does_not_let_go(project: Path) -> None:
    (project / "flow.py").write_text(
        "import streamflow as sf\n"
        "def check(n): return 1 // n\n"
        "checked = sf.flow('in.jsonl').map(check, on_error=sf.dead_letter('bad.jsonl'))\n"
        "flow = sf.zip(checked.map(str), checked.map(float)).to('out.jsonl')\n"
    )
    (project / "in.jsonl").write_text("1\n0\n")
    assert call("run", "flow.py").exit_code == 0
    mend(project, (project / "flow.py").read_text().replace("1 // n", "n"))
    result = call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl")
    assert (result.exit_code, result.stderr) == (0, "1 sent, 0 failed again\n")
    assert read(project / "again.jsonl") == [["0", 0.0]]


@pytest.mark.parametrize("target", ["out.jsonl", "in.jsonl", "bad.jsonl", "./out.jsonl"])
def test_nothing_of_the_flow_is_replaced(failed: Path, target: str) -> None:
    before = (failed / target).read_bytes()
    for arguments in (["--to", target], ["--to", "again.jsonl", "--failed", target]):
        result = call("dlq", "replay", "bad.jsonl", "flow.py", *arguments)
        assert (result.exit_code, "would replace" in result.stderr) == (2, True), result.stderr
    assert (failed / target).read_bytes() == before


def test_what_cannot_be_decoded_again_stays_what_it_was(failed: Path) -> None:
    """It is set aside under its own operator and place, so that it can be mended and sent from there."""
    mend(failed)
    assert call("dlq", "replay", "bad.jsonl", "flow.py", "--to", "again.jsonl").exit_code == 0
    [old] = [letter for letter in read(failed / "bad.jsonl") if letter["operator"] == "decode"]
    [letter] = read(failed / "bad.failed.jsonl")
    for name in ("item", "operator", "stage", "index", "position"):
        assert letter[name] == old[name]
    assert (failed / "bad.failed.jsonl").rename(failed / "once.jsonl")
    assert call("dlq", "replay", "once.jsonl", "flow.py", "--to", "again.jsonl").exit_code == 65
    [letter] = read(failed / "once.failed.jsonl")
    (failed / "once.jsonl").write_text(json.dumps(letter | {"item": '{"n":7}'}) + "\n")
    assert call("dlq", "replay", "once.jsonl", "flow.py", "--to", "again.jsonl").exit_code == 0
    assert read(failed / "again.jsonl") == [{"n": 7, "first": True, "second": True, "third": True}]
