"""Records that are written are those that Python's own reader finds."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf

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
