"""The join with a table: what is looked up, and what is not."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.model.errors import FlowError
from streamflow.model.joined import Joined
from streamflow.operators.joining.table import Lookup, Table


def read_rates() -> dict[str, int]:
    return {}


async def fetch_rates() -> dict[str, int]:
    return {}


KEYS = st.sampled_from("abc")
ROWS = st.dictionaries(KEYS, st.one_of(st.none(), st.integers()))


@given(st.lists(st.one_of(ROWS, KEYS)), st.sampled_from(["inner", "left"]))
def test_each_item_has_the_row_of_the_table_as_it_was_last_read(steps: list[Any], how: Any) -> None:
    lookup = Lookup(Table(read_rates), how)
    rows: dict[str, Any] = {}
    for number, step in enumerate(steps):
        if isinstance(step, dict):
            lookup.replace(step)
            rows = step
            assert len(lookup) == len(rows)
        elif step in rows:
            assert lookup.join(step, number) == Joined(step, number, rows[step])  # a None of the table is a row
        else:
            assert lookup.join(step, number) == (Joined(step, number, None) if how == "left" else None)


def test_looking_up_adds_nothing_to_the_users_mapping() -> None:
    rows: defaultdict[str, int] = defaultdict(int)
    lookup = Lookup(Table(read_rates))
    lookup.replace(rows)
    assert lookup.join("a", 1) == Joined("a", 1, None)
    assert not rows
    with pytest.raises(TypeError, match="unhashable"):
        lookup.join([], 1)


def test_what_is_no_mapping_is_refused_and_the_table_stays() -> None:
    lookup = Lookup(Table(read_rates))
    lookup.replace({"a": 1})
    with pytest.raises(FlowError, match=r"Table\(read_rates\): read_rates\(\) returned list, expected a mapping"):
        lookup.replace([("a", 2)])
    assert lookup.join("a", "x") == Joined("a", "x", 1)


def test_a_table_is_described_or_refused() -> None:
    assert Table(fetch_rates, every=60).label == "Table(fetch_rates)"
    with pytest.raises(FlowError, match=r"expected a callable, got dict"):
        Table({})  # type: ignore[arg-type]
    for every in (0, -1, math.inf, math.nan):
        with pytest.raises(FlowError, match=r"Table\(read_rates\): every=.* is no time to wait; give seconds above 0"):
            Table(read_rates, every=every)
    with pytest.raises(FlowError, match=r"join\(how='outer'\)"):
        Lookup(Table(read_rates), "outer")  # type: ignore[arg-type]
