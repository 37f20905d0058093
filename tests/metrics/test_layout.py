"""Boxes stand below what feeds them, and nothing stands on anything else."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamflow.metrics.layout import laid_out, rows_of

PAIRS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=24)


@given(st.integers(0, 12), PAIRS)
def test_no_two_boxes_overlap_and_every_edge_leads_down_row_by_row(count: int, pairs: list[tuple[int, int]]) -> None:
    names = [f"s{n}" for n in range(count)]
    edges = [(f"s{min(pair)}", f"s{max(pair)}") for pair in pairs if max(pair) < count and pair[0] != pair[1]]
    layout = laid_out(names, edges)
    assert set(layout.boxes) == set(names)
    standing = list(layout.boxes.values())
    for k, (x, row) in enumerate(standing):
        assert 0.5 - 1e-9 <= x <= layout.columns - 0.5 + 1e-9
        assert 0 <= row < layout.rows
        assert all(abs(x - other) >= 1 - 1e-9 for other, at in standing[k + 1 :] if at == row)
    for (producer, consumer), path in zip(edges, layout.edges, strict=True):
        assert path[0] == layout.boxes[producer]
        assert path[-1] == layout.boxes[consumer]
        assert all(lower[1] == upper[1] + 1 for upper, lower in pairwise(path))
        for x, row in path[1:-1]:
            assert all(abs(x - other) >= 0.725 - 1e-9 for other, at in standing if at == row), "it goes round the boxes"


def test_a_chain_is_straight() -> None:
    layout = laid_out(["a", "b", "c"], [("a", "b"), ("b", "c")])
    assert layout.boxes == {"a": (0.5, 0), "b": (0.5, 1), "c": (0.5, 2)}
    assert (layout.columns, layout.rows) == (1.0, 3)


def test_a_fan_is_even() -> None:
    layout = laid_out(["a", "b", "c", "d"], [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])
    assert layout.boxes == {"a": (1.0, 0), "b": (0.5, 1), "c": (1.5, 1), "d": (1.0, 2)}


def test_a_circle_does_not_hang() -> None:
    assert set(rows_of(["a", "b"], [("a", "b"), ("b", "a")])) == {"a", "b"}
