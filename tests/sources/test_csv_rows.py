"""Records of comma-separated values against Python's own reader, whatever stands between the quotes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.codecs.csv_rows import Dialect
from streamflow.testing import run
from tests.sizes import examples

FIELD = st.text(st.sampled_from(["a", "é", '"', ",", "\n", " ", "\t", "x"]), max_size=8)
ROWS = st.lists(st.lists(FIELD, min_size=3, max_size=3), max_size=30)


def read(path: Path, **options: Any) -> list[Any]:
    out: list[Any] = []
    sf.flow(sf.sources.Csv(path, **options)).to(out).run_sync()
    return out


def written(rows: list[list[str]], line_end: str = "\n", **options: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end, **options).writerows(rows)
    return text.getvalue().encode()


@settings(max_examples=150)
@given(
    rows=ROWS,
    line_end=st.sampled_from(["\n", "\r\n"]),
    chunk=st.sampled_from([1, 3, 17, 1 << 16]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    final=st.booleans(),
)
def test_every_record_is_that_of_pythons_reader(
    rows: list[list[str]],
    line_end: str,
    chunk: int,
    quoting: Any,
    final: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("csv") / "in.csv"
    data = written([["a", "b", "c"], *rows], line_end, quoting=quoting)
    path.write_bytes(data if final else data.removesuffix(line_end.encode()))
    with path.open(newline="") as file:
        expected = list(csv.DictReader(file))
    assert read(path, chunk=chunk) == expected


@settings(max_examples=60)
@given(rows=ROWS, at=st.integers(0, 29), chunk=st.sampled_from([1, 17, 1 << 16]))
def test_a_record_is_found_again_from_its_position(
    rows: list[list[str]], at: int, chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "in.csv"
    path.write_bytes(written([["a", "b", "c"], *rows]))
    source = sf.sources.Csv(path, chunk=chunk)
    seen: list[tuple[Any, Any]] = []
    sf.flow(source).map(lambda item, position: seen.append((item, position)), with_position=True).to(None).run_sync()
    if at >= len(seen):
        return

    async def again() -> list[Any]:
        reader = await source.open()
        await reader.seek(seen[at][1])
        found: list[Any] = []
        while (block := await reader.read(100)) is not None:
            found += block.raw()
        await reader.close()
        return found

    assert run(again) == [item for item, _ in seen[at:]]


def test_bad_records_are_told_with_line_and_offset_and_the_good_ones_kept(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    lines = [
        b"id,name\n",
        b"1,one\n",
        b"2\n",
        b'3,"a\nb"\n',
        b"x,four\n",
        b"\n",
        b"5,\xff\n",
        b"6,six,more\n",
        b"7,seven",
    ]
    path.write_bytes(b"".join(lines))
    letters: list[sf.DeadLetter] = []
    rows = read(path, types={"id": int}, on_error=sf.dead_letter(letters))
    assert rows == [{"id": 1, "name": "one"}, {"id": 3, "name": "a\nb"}, {"id": 7, "name": "seven"}]
    told = [(letter.message, letter.position.line, letter.position.offset) for letter in letters]  # type: ignore[union-attr]
    offsets = [sum(map(len, lines[:n])) for n in range(len(lines))]
    assert told == [
        ("1 fields, where the header has 2", 3, offsets[2]),
        ("field 'id': invalid literal for int() with base 10: 'x'", 6, offsets[4]),
        ("bytes that are not of the encoding", 8, offsets[6]),
        ("3 fields, where the header has 2", 9, offsets[7]),
    ]


def test_a_quote_that_is_never_closed_is_told_and_does_not_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b'a,b\n1,2\n3,"open\n' + b"x,y\n" * 1000)
    with pytest.raises(sf.RecordError, match="never closed") as caught:
        read(path)
    assert "line 3, byte 8" in caught.value.__notes__[0]
    letters: list[sf.DeadLetter] = []
    rows = read(path, on_error=sf.dead_letter(letters), max_line_bytes=100, chunk=10)
    assert rows[0] == {"a": "1", "b": "2"}
    assert "max_line_bytes=100" in letters[0].message
    assert rows[1:] == [{"a": "x", "b": "y"}] * 1000  # it goes on after the line with the quote
    assert len(letters) == 1


HEADER = b"a,b\n1,2\n"
ONE_AND_LAST = [{"a": "1", "b": "2"}, {"a": "8", "b": "9"}]


@pytest.mark.parametrize(
    ("bad", "place", "message"),
    [
        (b'3,"open\n', (3, 8), "never closed"),
        (b'"' + b"x" * 3000 + b'",4\n', (3, 8), "max_line_bytes"),
        (b"x" * 3000 + b",4\n", (3, 8), "max_line_bytes"),
        (b'3,"\xff"\n', (3, 8), "not of the encoding"),
        (b"3\r\n", (3, 8), "1 fields"),
        (b"\r\r3\n", (3, 10), "1 fields"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 16, 1 << 16])
def test_one_bad_line_costs_no_other(
    bad: bytes, place: tuple[int, int], message: str, chunk: int, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(HEADER + bad + b"8,9\n")
    letters: list[sf.DeadLetter] = []
    rows = read(tmp_path / "in.csv", on_error=sf.dead_letter(letters), max_line_bytes=2000, chunk=chunk)
    assert rows == ONE_AND_LAST
    [letter] = letters
    assert message in letter.message
    assert (letter.position.line, letter.position.offset) == place  # type: ignore[union-attr]


def test_a_field_longer_than_the_parser_takes_is_told_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(HEADER + b"x" * (csv.field_size_limit() + 1) + b",4\n8,9\n")
    letters: list[sf.DeadLetter] = []
    assert read(tmp_path / "in.csv", on_error=sf.dead_letter(letters)) == ONE_AND_LAST
    assert [letter.message.partition("(")[0] for letter in letters] == ["field larger than field limit "]


def test_a_good_record_that_looks_like_an_escape_is_good_beside_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"a,b\n1,\\xff\n3,\xff\n")
    letters: list[sf.DeadLetter] = []
    assert read(tmp_path / "in.csv", on_error=sf.dead_letter(letters)) == [{"a": "1", "b": "\\xff"}]
    assert [letter.item for letter in letters] == [["3", "\\xff"]]


def test_lines_that_end_in_a_lone_cr_are_rows_behind_a_header_too(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"a,b\r1,2\r8,9\r")
    assert read(tmp_path / "in.csv") == ONE_AND_LAST


@pytest.mark.parametrize("header", [b"x" * 3000 + b",b\n", b'a,"b\n', b"a,\xff\n", b"a,a\n"])
@pytest.mark.parametrize("chunk", [1, 1 << 16])
def test_what_follows_a_bad_header_is_never_taken_for_it(header: bytes, chunk: int, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"\n" + header + b"1,2\n8,9\n" * 500)
    with pytest.raises(sf.RecordError, match="the header") as caught:
        read(tmp_path / "in.csv", on_error="skip", max_line_bytes=2000, chunk=chunk)
    assert "in.csv, line " in caught.value.__notes__[0]


def test_a_line_that_is_too_long_within_quotes_does_not_leave_a_hole(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(HEADER + b'3,"x\n' + b"y" * 3000 + b'\nz"\n8,9\n')
    letters: list[sf.DeadLetter] = []
    rows = read(tmp_path / "in.csv", on_error=sf.dead_letter(letters), max_line_bytes=2000)
    assert rows == ONE_AND_LAST
    places = [(letter.position.line, letter.position.offset) for letter in letters]  # type: ignore[union-attr]
    assert places == [(3, 8), (4, 13), (5, 3014)]


FIELDS = st.one_of(
    st.sampled_from(['"', '""', ",", "a", "\n", "\r", "\r\n", 'a"', '"a"']), st.text('",\n\ra', max_size=4)
)


@given(text=st.lists(FIELDS, max_size=8).map("".join))
def test_where_a_row_ends_is_seen_as_the_parser_sees_it(text: str) -> None:
    dialect = Dialect()
    data = text.encode()
    lines, pattern, at = data.splitlines(keepends=True), dialect.row_pattern(), 0
    # A row of its own behind everything: if it does not come as such, the last one is not closed.
    rows: Any = dialect.rows(text + ("" if text.endswith(("\n", "\r")) or not text else "\n") + "END\n")
    for row in rows:
        end = len(b"".join(lines[: rows.line_num]))
        if rows.line_num > len(lines):
            assert (row == ["END"]) == (at == len(data))
            assert at == len(data) or pattern.match(data, at) is None
            return
        found = pattern.match(data, at)
        assert found is not None
        assert found.end() == end
        at = end


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("", {}, []),
        ("a,b\n", {}, []),
        ("\n\na,b\n\n1,2\n\n", {}, [{"a": "1", "b": "2"}]),
        ("\ufeffa,b\n1,2\n", {}, [{"a": "1", "b": "2"}]),
        ("1,2\n", {"header": False}, [["1", "2"]]),
        ("1,2\n", {"header": ["x", "y"]}, [{"x": "1", "y": "2"}]),
        ("a;b\n1;'2;3'\n", {"delimiter": ";", "quote": "'"}, [{"a": "1", "b": "2;3"}]),
        ("a,b\n1,2\n", {"types": {"a": int, "b": float}}, [{"a": 1, "b": 2.0}]),
    ],
)
def test_forms(text: str, options: dict[str, Any], expected: list[Any], tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(text, encoding="utf-8")
    assert read(tmp_path / "in.csv", **options) == expected


def test_a_tab_stands_between_the_fields_of_a_tsv_also_compressed(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "in.tsv.gz").write_bytes(gzip.compress(b"a\tb\n1\t2,3\n"))
    sf.flow(tmp_path / "in.tsv.gz").to(tmp_path / "out.tsv").run_sync()
    assert (tmp_path / "out.tsv").read_text() == "a\tb\n1\t2,3\n"


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ";;"},
        {"delimiter": "\n"},
        {"delimiter": '"'},
        {"header": []},
        {"header": ["a", "a"]},
        {"header": False, "types": {"a": int}},
        {"encoding": "utf-16"},
    ],
)
def test_what_cannot_be_is_told_when_it_is_written(options: dict[str, Any]) -> None:
    with pytest.raises(sf.FlowError):
        sf.sources.Csv("a.csv", **options)


def test_a_header_that_names_a_field_twice_and_a_type_of_no_field_are_told(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a,a\n1,2\n")
    with pytest.raises(sf.RecordError, match="a name of its own"):
        read(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(sf.FlowError, match="no field 'c'; the header has a, b"):
        read(path, types={"c": int}, on_error="skip")


@given(
    st.one_of(st.binary(max_size=80), st.text(alphabet='a,"\r\n;é\0', max_size=60).map(str.encode)),
    st.sampled_from([1, 2, 3, 7, 64]),
)
@example(b'x""","\n\n', 1)
@settings(max_examples=examples(100, nightly=3_000))
def test_any_bytes_give_the_same_rows_however_they_are_cut(tmp_path_factory, content, chunk):
    path = tmp_path_factory.getbasetemp() / "cut.csv"
    path.write_bytes(content)
    for header in (False, ["a", "b"]):
        found = []
        for size in (chunk, 1 << 16):
            kept = []
            source = sf.sources.Csv(path, header=header, chunk=size, on_error="skip")
            found.append((sf.flow(source).to(kept).run_sync().failed, kept))
        assert found[0] == found[1]
