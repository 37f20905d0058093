"""Arrays that cross, are kept on both sides, and come back in blocks that others have lain in: never a wrong number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from tests.sizes import examples

#: Floats in an array: around the size from which it crosses in shared memory, and larger than the smallest arena.
LENGTHS = (10, 16_383, 16_384, 20_000, 100_000, 300_000)
WAYS = ("same", "double", "in place", "half", "strided", "two")


class Worked:
    """Do with an array what it says, and remember some of them: they must stay what they were."""

    def __init__(self, ways: list[str], keeping: set[int]) -> None:
        self.ways = ways
        self.keeping = keeping
        self.kept: list[tuple[Any, float]] = []

    def __call__(self, array: Any) -> Any:
        number = int(array[0])
        assert (array == number).all(), "an item is not what was sent"
        assert all((kept == value).all() for kept, value in self.kept), "an item that was kept has changed"
        if number in self.keeping:
            self.kept.append((array, float(number)))
            return array * 2
        return getattr(self, self.ways[number % len(self.ways)].replace(" ", "_"))(array)

    def same(self, array: Any) -> Any:
        return array

    def double(self, array: Any) -> Any:
        return array * 2

    def in_place(self, array: Any) -> Any:
        array *= 2
        return array

    def half(self, array: Any) -> Any:
        return array[: len(array) // 2] * 2

    def strided(self, array: Any) -> Any:
        return array[::2]

    def two(self, array: Any) -> Any:
        return {"sum": float(array.sum()), "arrays": [array, array * 2]}


def expected(number: int, length: int, way: str, *, kept: bool) -> Any:
    one = np.full(length, number, dtype=np.float32)
    if kept:
        return one * 2
    return Worked([way], set()).__getattribute__(way.replace(" ", "_"))(one)


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        pairs = zip(found["arrays"], wanted["arrays"], strict=True)
        return found["sum"] == wanted["sum"] and all(same(one, other) for one, other in pairs)
    return found.dtype == wanted.dtype and found.shape == wanted.shape and bool((found == wanted).all())


@settings(max_examples=examples(6, nightly=100))
@given(
    st.lists(st.sampled_from(LENGTHS), min_size=1, max_size=40),
    st.lists(st.sampled_from(WAYS), min_size=1, max_size=4),
    st.sets(st.integers(0, 39), max_size=6),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1 << 20, 8 << 20]),
)
def test_numbers_are_right_whoever_keeps_what(
    lengths: list[int], ways: list[str], keeping: set[int], views: bool, hold: bool, arena: int
) -> None:
    held: list[tuple[int, Any]] = []
    seen = 0

    def sink(result: Any) -> None:
        nonlocal seen
        assert same(result, expected(seen, lengths[seen], ways[seen % len(ways)], kept=seen in keeping))
        if hold:
            held.append((seen, result))
        seen += 1

    arrays = (np.full(length, number, dtype=np.float32) for number, length in enumerate(lengths))
    place = sf.processes(2, views=views, arena=arena)
    sf.flow(arrays).map(Worked(ways, keeping), on=place).to(sink).run_sync()
    assert seen == len(lengths)
    for number, result in held:  # and still are when the run and its workers are gone
        assert same(result, expected(number, lengths[number], ways[number % len(ways)], kept=number in keeping))


@pytest.mark.parametrize("views", [True, False])
def test_results_may_be_written_to_and_those_that_may_not_may_not(views: bool) -> None:
    def frozen(array: Any) -> Any:
        result = array * 2
        result.flags.writeable = False
        return result

    arrays = [np.full(50_000, n, dtype=">i4") for n in range(6)]
    place = sf.processes(1, views=views)
    free = list(sf.flow(arrays).map(lambda array: array * 2, on=place))
    for n, result in enumerate(free):
        result += 1
        assert result.dtype == np.dtype(">i4").newbyteorder("=") or result.dtype == np.dtype(">i4")
        assert (result == 2 * n + 1).all()
    assert not any(result.flags.writeable for result in sf.flow(arrays).map(frozen, on=place))
