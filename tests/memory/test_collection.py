"""The collector's threshold is that of the runs that ask for one, and its owner's again afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

import streamflow as sf
from streamflow.memory.collection import CollectionTuning


@pytest.fixture(autouse=True)
def threshold() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 11)
    yield
    gc.set_threshold(*before)


def test_the_largest_counts_and_the_owners_comes_back() -> None:
    tuning = CollectionTuning()
    tuning.begin(5_000)
    assert gc.get_threshold() == (5_000, 10, 11)
    tuning.begin(9_000)
    assert gc.get_threshold()[0] == 9_000
    tuning.begin(100)
    assert gc.get_threshold()[0] == 9_000
    tuning.end(9_000)
    assert gc.get_threshold()[0] == 5_000
    tuning.end(5_000)
    assert gc.get_threshold()[0] == 100
    tuning.end(100)
    assert gc.get_threshold() == (700, 10, 11)


def test_what_somebody_sets_meanwhile_stays() -> None:
    tuning = CollectionTuning()
    tuning.begin(5_000)
    gc.set_threshold(1_234, 10, 11)
    tuning.end(5_000)
    assert gc.get_threshold()[0] == 1_234
    tuning.begin(5_000)
    tuning.end(5_000)
    assert gc.get_threshold()[0] == 1_234


def test_a_collector_that_is_off_stays_off() -> None:
    gc.set_threshold(0, 10, 11)
    tuning = CollectionTuning()
    tuning.begin(5_000)
    assert gc.get_threshold()[0] == 0
    tuning.end(5_000)
    assert gc.get_threshold()[0] == 0


def test_a_run_sets_it_and_puts_it_back_also_when_it_fails() -> None:
    seen: list[int] = []

    def look(n: int) -> float:
        seen.append(gc.get_threshold()[0])
        return 1 / n

    with pytest.raises(ZeroDivisionError):
        sf.flow([1, 0]).map(look).to(None).run_sync(gc_threshold=20_000)
    assert seen == [20_000, 20_000]
    assert gc.get_threshold() == (700, 10, 11)


@pytest.mark.parametrize("given", [0, -1, True, 1.5, "many"])
def test_it_is_a_number_of_objects(given: Any) -> None:
    with pytest.raises(sf.FlowError, match="gc_threshold"):
        sf.flow([1]).to(None).run_sync(gc_threshold=given)
