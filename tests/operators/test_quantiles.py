"""The sketch of numbers: exact while they are few; beyond, no rank is off by more than it says."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.operators import quantiles

SMALL = 8


def sketch(values: list[float]) -> list[Any]:
    slot = quantiles.begin(values[0])
    for value in values[1:]:
        quantiles.add(slot, value)
    return slot


def weight(slot: list[Any]) -> int:
    return sum(len(values) << level for level, values in enumerate(slot[1:]))


def check(slot: list[Any], values: list[float], capacity: int) -> None:
    """Hold every answer against all values: its rank is off by `n / capacity` for each level that was full, at most."""
    ordered = sorted(values)
    n = len(ordered)
    assert weight(slot) == n
    assert all(len(level) < capacity for level in slot[1:])
    bound = (len(slot) - 2) * n / capacity
    for step in range(21):
        q = step / 20
        told = quantiles.quantile(slot, q)
        rank = q * (n - 1)
        below = sum(value < told for value in ordered)
        not_above = sum(value <= told for value in ordered)
        # Of a value between two, the rank lies between theirs.
        assert below <= rank + 1 + bound
        assert not_above >= rank - bound


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantiles, "CAPACITY", SMALL)


@pytest.mark.usefixtures("small")
def test_ranks_are_within_the_bound_whatever_comes_and_however_it_is_merged() -> None:
    parts = st.lists(st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=60), min_size=1, max_size=8)

    @given(parts, st.randoms(use_true_random=False))
    def holds(parts: list[list[float]], chance: random.Random) -> None:
        slots = [sketch(part) for part in parts]
        while len(slots) > 1:
            one = slots.pop(chance.randrange(len(slots)))
            at = chance.randrange(len(slots))
            slots[at] = quantiles.merge(slots[at], one)
        check(slots[0], [value for part in parts for value in part], SMALL)

    holds()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("order", ["up", "down", "shuffled", "from both ends"])
def test_no_order_of_many_values_is_worse_than_the_bound(order: str) -> None:
    values = [float(value) for value in range(3000)]
    if order == "down":
        values.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(values)
    elif order == "from both ends":
        values = [value for pair in zip(values, reversed(values), strict=True) for value in pair][:3000]
    slot = sketch(values)
    check(slot, values, SMALL)
    assert sum(map(len, slot[1:])) <= SMALL * 10


def test_it_is_exact_below_its_capacity_and_half_a_percent_off_at_most_for_a_million() -> None:
    few = [float(value) for value in range(quantiles.CAPACITY - 1)]
    random.Random(2).shuffle(few)
    assert quantiles.quantile(sketch(few), 0.9) == 0.9 * (len(few) - 1)

    many = [float(value) for value in range(100_000)]
    random.Random(3).shuffle(many)
    slot = sketch(many)
    assert len(slot) - 2 == 6  # levels that were full: another for each doubling
    for q in (0.01, 0.5, 0.99):
        assert abs(quantiles.quantile(slot, q) / len(many) - q) < 0.001  # its bound is 0.003
    assert 10 / quantiles.CAPACITY < 0.005  # a million
    assert 20 / quantiles.CAPACITY < 0.01  # a billion


def test_the_same_numbers_give_the_same_slot() -> None:
    values = [random.Random(4).random() for _ in range(5000)]
    assert sketch(values) == sketch(values)
