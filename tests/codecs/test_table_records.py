"""Records into columns: what is taken comes out as it went in, what does not fit is refused alone."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamflow.codecs import table_records
from streamflow.codecs.table_records import TableRecords

WHOLE = st.integers(-(2**63), 2**63 - 1)
TIMES = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "whole": WHOLE,
    "fraction": st.floats(),
    "text": st.text(st.characters(codec="utf-8"), max_size=5),
    "bytes": st.binary(max_size=5),
    "truth": st.booleans(),
    "date": st.dates(),
    "time": TIMES,
    "zoned": TIMES.map(lambda time: time.replace(tzinfo=dt.UTC)),
}
COLUMNS = {
    **SCALARS,
    "list": st.lists(st.none() | WHOLE, max_size=3),
    "struct": st.fixed_dictionaries({"a": st.none() | WHOLE, "b": st.lists(st.text("xyé"), max_size=2)}),
}
RECORDS = st.lists(st.fixed_dictionaries({}, optional={name: st.none() | one for name, one in COLUMNS.items()}))
ANYTHING = st.one_of(*COLUMNS.values(), st.none(), st.just("\ud800"), st.just(2**70), st.just(object()), st.just({}))


def rows_of(records: TableRecords) -> list[Any]:
    return [row for batch in records.rest() for row in batch.to_pylist()]


def same(found: Any, given: Any) -> bool:
    """Compare with NaN as itself, and where a dict lacks a field it may be None."""
    if isinstance(found, dict) and isinstance(given, dict):
        return given.keys() <= found.keys() and all(same(found[name], given.get(name)) for name in found)
    if isinstance(found, list) and isinstance(given, list):
        return len(found) == len(given) and all(map(same, found, given))
    if isinstance(given, float) and math.isnan(given):
        return isinstance(found, float) and math.isnan(found)
    return bool(found == given) and type(found) is type(given)


@settings(max_examples=150)
@given(records=RECORDS, sizes=st.lists(st.integers(1, 20), min_size=1))
def test_records_that_are_alike_come_out_as_they_went_in(records: list[Any], sizes: list[int]) -> None:
    records = [{"id": number, **record} for number, record in enumerate(records)]
    schema = pa.schema(
        {"id": pa.int64(), "whole": pa.int64(), "fraction": pa.float64(), "text": pa.string(), "bytes": pa.binary(),
         "truth": pa.bool_(), "date": pa.date32(), "time": pa.timestamp("us"), "zoned": pa.timestamp("us", "UTC"),
         "list": pa.list_(pa.int64()), "struct": pa.struct({"a": pa.int64(), "b": pa.list_(pa.string())})}
    )  # fmt: skip
    for taking in (TableRecords(schema), TableRecords()):
        at = 0
        while at < len(records):
            size = sizes[at % len(sizes)]
            taking.take(records[at : at + size])
            at += size
        rows = rows_of(taking)
        assert len(rows) == len(records)
        assert all(map(same, rows, records))


@settings(max_examples=300)
@given(values=st.lists(ANYTHING, max_size=12), sample=st.integers(1, 12), size=st.integers(1, 12))
def test_each_value_is_kept_as_it_is_or_refused_alone(values: list[Any], sample: int, size: int) -> None:
    """The sample is short, so that both halves of the road are gone."""
    before, table_records.SAMPLE = table_records.SAMPLE, sample
    try:
        taking, kept, at = TableRecords(), [], 0
        records = [{"id": number, "value": value} for number, value in enumerate(values)]
        while at < len(records):
            batch = records[at : at + size]
            try:
                taking.take(batch)
                kept += batch
                at += len(batch)
            except (TypeError, ValueError):
                kept += batch[: taking.taken]
                at += taking.taken + 1
        rows = rows_of(taking)
    finally:
        table_records.SAMPLE = before
    assert [row["id"] for row in rows] == [record["id"] for record in kept]
    for row, record in zip(rows, kept, strict=True):
        value = record["value"]
        widened = float(value) if isinstance(row["value"], float) and type(value) is int else value
        assert same(row["value"], widened)
        assert widened == value or value != value


@given(cut=st.integers(0, 8))
def test_how_records_are_cut_into_batches_changes_nothing(cut: int) -> None:
    values: list[Any] = [1, None, 2.5, "bad", 3, b"bad", 4.5, True, 5]
    found = []
    for sizes in ([1] * 9, [9], [cut, 9 - cut]):
        taking, at, failed = TableRecords(), 0, []
        for size in sizes:
            end = at + size
            while at < end:
                try:
                    taking.take([{"v": value} for value in values[at:end]])
                    at = end
                except (TypeError, ValueError):
                    at += taking.taken
                    failed.append(values[at])
                    at += 1
        found.append((failed, rows_of(taking)))
    assert found[0] == found[1] == found[2]
    assert found[0] == (["bad", b"bad", True], [{"v": value} for value in (1.0, None, 2.5, 3.0, 4.5, 5.0)])


REFUSED: list[tuple[pa.DataType, Any]] = [
    (pa.string(), b"bytes"), (pa.string(), "\ud800"), (pa.binary(), "text"), (pa.int64(), 2**63), (pa.int64(), 1.5),
    (pa.int64(), True), (pa.int8(), 200), (pa.float64(), 2**53 + 1), (pa.date32(), dt.datetime(2020, 1, 1, 12)),
    (pa.date32(), 5), (pa.timestamp("us"), 5), (pa.timestamp("us"), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
    (pa.timestamp("us", "UTC"), dt.datetime(2020, 1, 1)), (pa.struct({"a": pa.int64()}), {"a": 1, "b": 2}),
    (pa.list_(pa.struct({"a": pa.string()})), [{"a": b"x"}]), (pa.list_(pa.string()), "text"),
    (pa.decimal128(4, 1), Decimal("1.25")), (pa.timestamp("s"), dt.datetime(2020, 1, 1, 0, 0, 0, 5)),
    (pa.duration("us"), 5), (pa.time64("us"), 5),
]  # fmt: skip


@pytest.mark.parametrize(("type", "value"), REFUSED, ids=lambda one: repr(one)[:30])
def test_a_value_that_a_column_would_change_is_refused(type: pa.DataType, value: Any) -> None:
    taking = TableRecords(pa.schema({"v": type}))
    for batch in ([{"v": None}, {"v": value}], [{"v": value}]):
        with pytest.raises((TypeError, ValueError), match="v"):
            taking.take(batch)
    assert rows_of(taking) == [{"v": None}]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"v": 1, "w": 2}, r"has not: \['w'\]; it has \['v', 'must'\]"),
        ({"v": 1}, "'must' may not be None"),
        ([("v", 1)], r"not list: make a dict of it in a \.map"),
        ({1: 2}, "names of text, not 1"),
    ],
)
def test_a_record_that_is_none_of_this_table_says_why(record: Any, words: str) -> None:
    schema = pa.schema([("v", pa.int64()), pa.field("must", pa.int64(), nullable=False)])
    for extra in ([], [{"must": 1}]):
        with pytest.raises((TypeError, ValueError), match=words):
            TableRecords(schema).take([record, *extra])


def test_a_record_without_fields_is_refused_while_no_column_is_known_and_kept_afterwards() -> None:
    taking = TableRecords()
    with pytest.raises(ValueError, match="schema="):
        taking.take([{}])
    taking.take([{"a": 1}, {}])
    assert rows_of(taking) == [{"a": 1}, {"a": None}]


def test_columns_stay_after_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_records, "SAMPLE", 2)
    taking = TableRecords()
    taking.take([{"a": 1}, {"b": None}, {"a": 2}])
    with pytest.raises(ValueError, match="has not: \\['c'\\]"):
        taking.take([{"c": 1}])
    with pytest.raises(ValueError, match="column 'b', null"):
        taking.take([{"b": 1}])
    assert rows_of(taking) == [{"a": 1, "b": None}, {"a": None, "b": None}, {"a": 2, "b": None}]


def test_what_was_taken_one_by_one_is_handed_over_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_records, "LOOSE", 3)
    taking = TableRecords(pa.schema({"a": pa.int64()}))
    sizes = []
    for n in range(8):
        taking.take([{"a": n}])
        sizes += [batch.num_rows for batch in taking.batches()]
    assert sizes == [3, 3]
    taking.take([{"a": 8}, {"a": 9}])
    assert [batch.to_pylist() for batch in taking.rest()] == [[{"a": 6}, {"a": 7}], [{"a": 8}, {"a": 9}]]
