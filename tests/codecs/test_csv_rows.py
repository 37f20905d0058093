"""The short ways to read and write rows give what Python's own module gives."""

from __future__ import annotations

import csv
import io
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from streamflow.codecs.csv_rows import Dialect, record_maker

TEXT = st.text(alphabet='ab ,;"\r\n\t\0é\u2028', max_size=12)
DIALECTS = st.sampled_from([Dialect(), Dialect(";"), Dialect("\t", "'")])


def parsed(text: str, dialect: Dialect) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, quotechar=dialect.quote)
    return [row for row in reader if row]


@given(st.one_of(TEXT, st.lists(TEXT).map("\n".join), st.lists(st.text("a,b", max_size=5)).map("\r\n".join)), DIALECTS)
@example("a,b\n\n1,2\r\n", Dialect())
@example(",\n", Dialect())
def test_lines_that_are_cut_are_the_rows_that_are_parsed(text: str, dialect: Dialect) -> None:
    lines = dialect.plain_lines(text)
    if lines is None:
        assert dialect.quote in text or "\r" in text.replace("\r\n", "\n")
        return
    expected = parsed(text, dialect)
    assert list(dialect.cut(lines)) == expected
    assert dialect.widths(lines) == {len(row) for row in expected}


def test_a_field_that_the_parser_refuses_is_left_to_it() -> None:
    long = "x" * (csv.field_size_limit() + 1)
    assert Dialect().plain_lines(f"a,{long}\n") is None
    assert Dialect().plain_lines(f"a,{long[:-3]}\n") is not None


FIELDS = st.one_of(TEXT, st.none(), st.integers(), st.floats(), st.booleans())


@given(st.lists(st.lists(FIELDS, max_size=4), max_size=6), DIALECTS)
@example([["", ""], ["a", "b"]], Dialect())
@example([[""]], Dialect())
@example([[]], Dialect())
@example([["a,b", "c"], ["d"]], Dialect())
def test_what_is_written_is_read_again(rows: list[list[Any]], dialect: Dialect) -> None:
    text = dialect.write(rows)
    expected = ["" if field is None else str(field) for row in rows for field in row]
    assert [field for row in parsed(text, dialect) for field in row] == expected
    if not any("\r" in field for field in expected):
        out = io.StringIO(newline="")
        csv.writer(out, delimiter=dialect.delimiter, quotechar=dialect.quote, lineterminator="\n").writerows(rows)
        assert text == out.getvalue()


@given(st.lists(st.text(), min_size=1, max_size=5, unique=True))
def test_a_record_has_its_fields_by_name(names: list[str]) -> None:
    row = [str(number) for number in range(len(names))]
    assert record_maker(names)(row) == dict(zip(names, row, strict=True))
    assert list(record_maker(names)(row)) == names
