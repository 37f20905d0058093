"""Records that are written are those that Python's own reader finds."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from tests.sinks.test_file_lines import FaultyFiles

FIELD = st.one_of(st.text(max_size=6), st.integers(), st.none())


@settings(max_examples=80)
@given(rows=st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=40), dicts=st.booleans())
def test_what_is_written_is_read_again(
    rows: list[tuple[Any, Any]], dicts: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    items: list[Any] = [{"a": a, "b": b} for a, b in rows] if dicts else rows
    sf.flow(items).to(path).run_sync()
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file))
    expected = [["" if value is None else str(value) for value in row] for row in rows]
    assert found == ([["a", "b"]] * dicts + expected)


def test_a_carriage_return_stays_within_its_field(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    sf.flow([["a\rb", None, 1], ["\r", "x", "y\r\n"]]).to(path).run_sync()
    assert list(sf.flow(sf.sources.Csv(path, header=False))) == [["a\rb", "", "1"], ["\r", "x", "y\r\n"]]


def test_a_dict_of_other_fields_is_a_bad_item_and_nothing_is_left_out_silently(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    letters: list[sf.DeadLetter] = []
    items = [{"a": 1, "b": 2}, {"a": 3}, {"b": 4, "a": 5}, {"a": 6, "c": 7}, {"a": 8, "b": 9, "c": 10}, 11]
    sf.flow(items).to(sf.sinks.Csv(path, on_error=sf.dead_letter(letters))).run_sync()
    assert path.read_text() == "a,b\n1,2\n5,4\n"
    assert [letter.item for letter in letters] == [items[1], items[3], items[4], 11]
    assert "missing: ['b'], unknown: ['c']" in letters[1].message


def test_columns_choose_the_order_and_a_header_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    sink = sf.sinks.Csv(path, columns=["b", "a"])
    sf.flow([{"a": 1, "b": 2}]).to(sink).run_sync()
    assert path.read_text() == "b,a\n2,1\n"
    sf.flow([{"x": 1}]).to(sf.sinks.Csv(path, header=False)).run_sync()
    assert path.read_text() == "1\n"
    for options in ({"columns": []}, {"columns": ["a", "a"]}, {"delimiter": "ab"}):
        with pytest.raises(sf.FlowError):
            sf.sinks.Csv(path, **options)


def test_what_is_appended_has_one_header(tmp_path: Path) -> None:
    from streamflow.testing import run

    path = tmp_path / "out.csv"

    async def main() -> None:
        for n in range(2):
            inbox: sf.Inbox[Any] = sf.inbox(5)
            async with sf.flow(inbox).to(path).start() as handle:
                await inbox.send({"n": n})
                await handle.drain()

    run(main)
    assert path.read_text() == "n\n0\n1\n"


class Flaky:
    """Have no text the first times it is asked for it."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def __str__(self) -> str:
        if self.failures:
            self.failures -= 1
            raise OSError("not yet")
        return "text"


def letters_of(items: list[Any], path: Path, **options: Any) -> tuple[list[str], list[Any]]:
    """Write `items`, and return the lines of the file and the items that were set aside."""
    letters: list[sf.DeadLetter] = []
    sf.flow(items).to(sf.sinks.Csv(path, on_error=sf.dead_letter(letters), **options)).run_sync()
    return path.read_text(encoding=options.get("encoding", "utf-8")).splitlines(), [letter.item for letter in letters]


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("€", {"encoding": "latin-1"}),
        ("\udc80", {}),
        ("a,\udc80", {}),
        (Flaky(9), {}),
        (b"bytes", {}),
        (bytearray(b"bytes"), {}),
    ],
    ids=["encoding", "surrogate", "quoted", "str", "bytes", "bytearray"],
)
@pytest.mark.parametrize("at", [0, 1, 4])
@pytest.mark.parametrize("lists", [False, True])
def test_a_value_that_cannot_be_written_is_its_own_items_failure(
    value: Any, options: dict[str, Any], at: int, lists: bool, tmp_path: Path
) -> None:
    """Whole batches were lost, or the run was, with them: rows became text after their items had been counted."""
    items: list[Any] = [{"a": str(n), "b": "é"} for n in range(5)]
    items[at]["b"] = value
    if lists:
        items = [list(item.values()) for item in items]
    lines, refused = letters_of(items, tmp_path / "out.csv", **options)
    assert refused == [items[at]]
    assert lines == ["a,b"] * (not lists) + [f"{n},é" for n in range(5) if n != at]


def test_the_item_that_fails_the_run_is_the_one_that_is_named(tmp_path: Path) -> None:
    items = [{"a": "1"}, {"a": "2"}, {"a": "\udc80"}, {"a": "3"}]
    with pytest.raises(UnicodeEncodeError) as caught:
        sf.flow(items).to(tmp_path / "out.csv").run_sync()
    assert "item 2 of its input" in "".join(caught.value.__notes__)
    with pytest.raises(sf.NoForm, match=r"value\.decode\(\)"):
        sf.flow([{"a": b"x"}]).to(tmp_path / "out.csv").run_sync()


@pytest.mark.parametrize("at", [0, 3, 9])
def test_an_item_that_is_tried_again_takes_none_with_it(at: int, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    items = [{"a": n if n != at else Flaky(2)} for n in range(10)]
    retry = sf.Retry(attempts=3, base=0, jitter=False)
    report = sf.flow(items).to(sf.sinks.Csv(path, retry=retry)).run_sync()
    assert path.read_text().split() == ["a", *(str(n) if n != at else "text" for n in range(10))]
    assert report.failed == 0


@pytest.mark.parametrize("failing", [(1,), (2,), (1, 2), (2, 4)])
def test_what_the_disk_did_not_take_is_written_once(failing: tuple[int, ...], tmp_path: Path) -> None:
    """An item that was tried again after an error of the disk stood there twice."""
    path = tmp_path / "out.csv"
    sink = sf.sinks.Csv(path, files=FaultyFiles(*failing), retry=sf.Retry(attempts=5, base=0, jitter=False))
    sf.flow([{"a": n} for n in range(5)]).to(sink).run_sync()
    assert path.read_text().split() == ["a", *map(str, range(5))]


def test_a_file_takes_rows_of_one_kind_and_one_width(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    good = [["1", "2"], ("3", "4"), [5, None]]
    bad: list[Any] = [["1"], ["1", "2", "3"], [], (), {"a": 1, "b": 2}, "ab"]
    assert letters_of([good[0], *bad, *good[1:]], path) == (["1,2", "3,4", "5,"], bad)
    assert letters_of([[], *good], path) == (["1,2", "3,4", "5,"], [[]])
    dicts = [{"a": 1, "b": 2}, {"b": 4, "a": 3}]
    assert letters_of([dicts[0], [5, 6], ["5"], [], dicts[1]], path) == (["a,b", "1,2", "3,4"], [[5, 6], ["5"], []])
    named = letters_of([["1"], ["1", "2"], dicts[0]], path, columns=["a", "b"])
    assert named == (["a,b", "1,2"], [["1"], dicts[0]])


def test_an_item_that_is_refused_decides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    items: list[Any] = [{"x": "\udc80"}, {"\udc80": 1}, ["\udc80"], {"a": 1}]
    assert letters_of(items, path) == (["a", "1"], items[:3])


@pytest.mark.parametrize("value", ["", None])
@pytest.mark.parametrize("header", [True, False])
def test_a_row_of_one_empty_value_is_read_again(value: Any, header: bool, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    sf.flow([{"a": value}, {"a": "x"}, {"a": value}]).to(sf.sinks.Csv(path, header=header)).run_sync()
    found = list(sf.flow(sf.sources.Csv(path, header=header or ["a"])))
    assert found == [{"a": ""}, {"a": "x"}, {"a": ""}]
