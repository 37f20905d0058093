"""Where a failed item came from, though shares are gathered from several batches and worked on out of order."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import FaultySource

_SPAN = re.compile(r"between faulty, item (\d+) and faulty, item (\d+)|position: faulty, item (\d+)")


def _span(error: BaseException) -> tuple[int, int]:
    found = _SPAN.search(error.__notes__[0])
    assert found is not None, error.__notes__
    first, last, one = found.groups()
    return (int(one), int(one)) if one is not None else (int(first), int(last))


@given(st.data())
def test_the_stretch_that_is_named_holds_the_item(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 60))
    batch = data.draw(st.integers(1, 7))
    bad = data.draw(st.integers(0, count - 1))
    workers = data.draw(st.integers(1, 3))

    def check(n: int) -> int:
        if n == bad:
            raise LookupError(n)
        return n

    source = FaultySource(items=range(count), batch=batch, name="faulty")
    with pytest.raises(LookupError) as caught:
        sf.flow(source).map(check, on=sf.threads(workers)).to(None).run_sync()
    first, last = _span(caught.value)
    assert first <= bad <= last
    assert last - first < batch
    assert f"item {bad:,} of its input" in caught.value.__notes__[0]


@given(st.integers(1, 40), st.integers(1, 5), st.sampled_from([1, 3]))
def test_a_dead_letter_names_the_very_item(count: int, batch: int, workers: int) -> None:
    letters: list[sf.DeadLetter] = []

    def check(n: int) -> int:
        if n % 3 == 1:
            raise LookupError(n)
        return n

    source = FaultySource(items=range(count), batch=batch, name="faulty")
    place = sf.threads(workers)
    sf.flow(source).map(check, on=place, on_error=sf.dead_letter(letters)).to(None).run_sync()
    places = {letter.index: letter.position for letter in letters}
    assert sorted(places) == [n for n in range(count) if n % 3 == 1]
    assert all(f"item {index:,}" in str(position) for index, position in places.items())
