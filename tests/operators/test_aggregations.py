"""Aggregations: the generated form and its twin agree with each other and with a slow, obvious model."""

from __future__ import annotations

import copy
import doctest
import math
import pickle
from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators import aggregation, aggregations
from streamflow.operators.aggregation import Aggregation


def listed(slot: list[Any], v: Any) -> list[Any]:
    return [*slot, v]


MODELS: dict[Aggregation, Callable[[list[Any]], Any]] = {
    sf.agg.count(): len,
    sf.agg.sum(): sum,
    sf.agg.mean(): lambda values: sum(values) / len(values),
    sf.agg.min(): min,
    sf.agg.max(): max,
    sf.agg.first(): lambda values: values[0],
    sf.agg.last(): lambda values: values[-1],
    sf.agg.top_k(3): lambda values: sorted(values, reverse=True)[:3],
    sf.agg.most_common(2): lambda values: Counter(values).most_common(2),
    sf.agg.distinct(): lambda values: len(set(values)),
    sf.agg.quantile(0.5): lambda values: float(
        sum(Fraction(one) for one in (sorted(values)[(len(values) - 1) // 2], sorted(values)[len(values) // 2])) / 2
    ),
    sf.agg.quantile(0): min,
    sf.agg.quantile(1): max,
    sf.agg.collect(): list,
    sf.agg.custom(list, listed, merge=lambda one, other: one + other, result=tuple): tuple,
}
EACH = pytest.mark.parametrize("aggregation", MODELS, ids=lambda one: one.form)
#: For each aggregation; all of them together are what is tried.
FEW = settings(max_examples=30)
NUMBERS = st.lists(st.integers(-9, 9), min_size=1, max_size=30)


def generated(aggregation: Aggregation, number: int = 7) -> Callable[[Any], list[Any]]:
    """Compile the text as an engine would, with a neighbour on either side that must stay untouched."""
    lines = ["def loop(values):", "    a = {}", "    for v in values:", f"        if {number} not in a:"]
    lines += [f"            a[{number}] = {aggregation.begin}", "        else:"]
    lines += ["            " + line for line in aggregation.add or ["pass"]] + [f"    return a[{number}]"]
    names = {name.replace("#", str(number)): value for name, value in aggregation.names.items()}
    exec("\n".join(lines).replace("#", str(number)), names)
    loop: Callable[[Any], list[Any]] = names["loop"]
    return loop


def fold(aggregation: Aggregation, values: list[Any]) -> Any:
    slot = aggregation.start(values[0])
    for v in values[1:]:
        slot = aggregation.update(slot, v)
    return slot


@EACH
@FEW
@given(values=NUMBERS)
def test_text_twin_and_model_agree(aggregation: Aggregation, values: list[Any]) -> None:
    slot = fold(aggregation, values)
    assert generated(aggregation)(values) == slot
    assert aggregation.result(slot) == aggregation.over(values) == MODELS[aggregation](values)


@EACH
@FEW
@given(values=NUMBERS)
def test_a_slot_is_plain_data_and_goes_on_after_it_was_saved(aggregation: Aggregation, values: list[Any]) -> None:
    slot = aggregation.start(values[0])
    for v in values[1:]:
        slot = aggregation.update(pickle.loads(pickle.dumps(slot)), v)
    assert aggregation.result(slot) == MODELS[aggregation](values)


@EACH
@FEW
@given(one=NUMBERS, two=NUMBERS, three=NUMBERS)
def test_merging_is_associative_and_gives_what_one_slot_would_have_given(
    aggregation: Aggregation, one: list[Any], two: list[Any], three: list[Any]
) -> None:
    def merged(*slots: Any) -> Any:
        assert aggregation.merge is not None
        return aggregation.merge(*slots)

    def slots() -> list[Any]:
        return [fold(aggregation, values) for values in (one, two, three)]

    a, b, c = slots()
    left = aggregation.result(merged(merged(a, b), c))
    a, b, c = slots()
    assert left == aggregation.result(merged(a, merged(b, c))) == MODELS[aggregation]([*one, *two, *three])


@EACH
@FEW
@given(values=NUMBERS, more=NUMBERS)
def test_an_early_result_changes_nothing_and_stays_as_it_was_told(
    aggregation: Aggregation, values: list[Any], more: list[Any]
) -> None:
    slot = fold(aggregation, values)
    early = aggregation.result(slot)
    kept = copy.deepcopy(early)
    for v in more:
        slot = aggregation.update(slot, v)
    assert early == kept
    assert aggregation.result(slot) == MODELS[aggregation]([*values, *more])


@EACH
def test_it_travels_to_a_worker(aggregation: Aggregation) -> None:
    there = pickle.loads(cloudpickle.dumps(aggregation))
    assert there.over([3, 1, 2]) == aggregation.over([3, 1, 2])
    assert generated(there)([3, 1, 2]) == generated(aggregation)([3, 1, 2])


COMPARED = [sf.agg.min(), sf.agg.max(), sf.agg.top_k(2)]
ADDED = [sf.agg.sum(), sf.agg.mean(), sf.agg.quantile(0.5)]


@pytest.mark.parametrize("aggregation", [*COMPARED, *ADDED], ids=lambda one: one.form)
@pytest.mark.parametrize("bad", [None, {}, 1j, "5"], ids=repr)
def test_what_cannot_be_compared_or_added_fails_at_once_and_leaves_the_slot(aggregation: Aggregation, bad: Any) -> None:
    alone = not (aggregation in COMPARED and bad == "5") and not (aggregation in ADDED and bad == 1j)
    if alone:  # a text alone can be compared, a complex number be added
        with pytest.raises(TypeError):
            aggregation.start(bad)
        with pytest.raises(TypeError):
            generated(aggregation)([bad])
    for before in ([4], [4, 6, 5]):
        slot = fold(aggregation, before)
        kept = copy.deepcopy(slot)
        if bad != 1j or aggregation in COMPARED:
            with pytest.raises(TypeError):
                aggregation.update(slot, bad)
            with pytest.raises(TypeError):
                generated(aggregation)([*before, bad])
        assert slot == kept
    with pytest.raises(TypeError):
        sf.agg.top_k(2).over([math.nan, None])


@pytest.mark.parametrize("aggregation", [sf.agg.most_common(1), sf.agg.distinct()], ids=lambda one: one.form)
def test_what_is_no_key_fails_at_once_and_leaves_the_slot(aggregation: Aggregation) -> None:
    slot = aggregation.start("a")
    kept = copy.deepcopy(slot)
    with pytest.raises(TypeError, match="unhashable"):
        aggregation.update(slot, [])
    assert slot == kept
    with pytest.raises(TypeError, match="unhashable"):
        generated(aggregation)(["a", []])


def test_none_is_a_value_like_any_other() -> None:
    values = [None, "a", None]
    assert sf.agg.count().over(values) == 3
    assert sf.agg.first().over(values) is None
    assert sf.agg.last().over(values) is None
    assert sf.agg.collect().over(values) == values
    assert sf.agg.distinct().over(values) == 2
    assert sf.agg.most_common(1).over(values) == [(None, 2)]


WITH_NAN = st.lists(st.one_of(st.integers(-3, 3).map(float), st.builds(float, st.just("nan"))), min_size=1, max_size=12)


@given(WITH_NAN, st.integers(0, 12))
def test_nan_is_left_out_where_values_are_compared_and_is_one_value_where_they_are_told_apart(
    values: list[float], cut: int
) -> None:
    numbers = [v for v in values if v == v]
    nans = len(values) - len(numbers)

    def told(aggregation: Aggregation) -> Any:
        slot = pickle.loads(pickle.dumps(fold(aggregation, values[: cut + 1])))  # a NaN that was saved is another
        for v in values[cut + 1 :]:
            slot = aggregation.update(slot, v)
        assert repr(aggregation.result(generated(aggregation)(values))) == repr(aggregation.result(slot))
        return aggregation.result(slot)

    if numbers:
        assert told(sf.agg.min()) == min(numbers)
        assert told(sf.agg.max()) == max(numbers)
        assert told(sf.agg.quantile(1)) == max(numbers)
    else:
        assert all(math.isnan(told(one)) for one in (sf.agg.min(), sf.agg.max(), sf.agg.quantile(1)))
    assert told(sf.agg.top_k(2)) == sorted(numbers, reverse=True)[:2]
    assert told(sf.agg.distinct()) == len(set(numbers)) + bool(nans)
    common = told(sf.agg.most_common(20))
    assert [times for v, times in common if v != v] == [nans] * bool(nans)
    assert {v: times for v, times in common if v == v} == Counter(numbers)
    assert math.isnan(told(sf.agg.sum())) == bool(nans)


def test_they_take_what_python_adds_and_compares() -> None:
    assert sf.agg.sum().over([Decimal("0.1"), Decimal("0.2")]) == Decimal("0.3")
    assert sf.agg.mean().over([Decimal(1), Decimal(2)]) == Decimal("1.5")
    assert sf.agg.quantile(0.5).over([Decimal(1), True, Fraction(1, 2)]) == 1.0
    assert sf.agg.max().over([date(2024, 1, 1), date(2025, 1, 1)]) == date(2025, 1, 1)
    assert sf.agg.top_k(1).over(["a", "b"]) == ["b"]
    assert sf.agg.sum().over([10**400, 1]) == 10**400 + 1
    assert sf.agg.quantile(0.25).over([-1e308, 1e308]) == -5e307  # their difference is infinite


def test_an_array_of_the_users_is_not_added_to_in_its_place() -> None:
    numpy = pytest.importorskip("numpy")
    mine = numpy.array([1, 2])
    assert list(generated(sf.agg.sum())([mine, mine])) == [2, 4]
    assert list(mine) == [1, 2]


def test_a_value_is_taken_of_each_item() -> None:
    orders = [{"price": 5, "who": "a"}, {"price": 7, "who": "b"}, {"price": 6, "who": "a"}]

    def price(order: dict[str, Any]) -> int:
        found: int = order["price"]
        return found

    assert [
        make(price).over(orders)
        for make in (sf.agg.sum, sf.agg.min, sf.agg.max, sf.agg.mean, sf.agg.first, sf.agg.last)
    ] == [18, 5, 7, 6.0, 5, 6]
    assert sf.agg.top_k(2, price).over(orders) == [7, 6]
    assert sf.agg.most_common(1, lambda order: order["who"]).over(orders) == [("a", 2)]
    assert sf.agg.distinct(lambda order: order["who"]).over(orders) == 2


def test_counting_asks_for_no_value() -> None:
    assert "v" not in sf.agg.count().begin + "".join(sf.agg.count().add)


def amount(item: Any) -> Any:
    return item


def test_a_form_shows_every_setting() -> None:
    assert [one.form for one in MODELS][:4] == ["count()", "sum()", "mean()", "min()"]
    assert sf.agg.quantile(0.9).form == "quantile(0.9)"
    assert sf.agg.quantile(0.9, amount).form == "quantile(0.9, amount)"
    assert sf.agg.top_k(3, lambda v: v).form == "top_k(3, lambda)"
    assert sf.agg.most_common(4).form == "most_common(4)"
    assert sf.agg.sum(amount).form == "sum(amount)"
    assert sf.agg.custom(list, listed, result=len).form == "custom(init=list, add=listed, result=len)"


async def fetch(item: Any) -> Any:
    return item


@pytest.mark.parametrize(
    ("describe", "said"),
    [
        (lambda: sf.agg.sum(fetch), r"sum\(value=\.\.\.\)\(fetch\): .* takes a plain function here; await in a \.map"),
        (lambda: sf.agg.max("price"), r"max\(value=\.\.\.\)\('price'\): expected a callable, got str"),
        (lambda: sf.agg.top_k(0), r"top_k\(0\): expected how many to keep"),
        (lambda: sf.agg.top_k(amount), r"top_k\(<function amount .*\): expected how many to keep"),
        (lambda: sf.agg.most_common(True), r"most_common\(True\): expected how many"),
        (lambda: sf.agg.quantile(50), r"quantile\(50\): expected a number from 0 to 1"),
        (lambda: sf.agg.quantile(math.nan), r"quantile\(nan\): expected a number from 0 to 1"),
        (lambda: sf.agg.custom(0, listed), r"custom\(\.\.\., init=\.\.\.\)\(0\): expected a callable"),
        (lambda: sf.agg.custom(list, fetch), r"add=\.\.\.\)\(fetch\): .* takes a plain function"),
        (lambda: sf.agg.custom(list, listed, merge=fetch), r"merge=\.\.\.\)\(fetch\)"),
        (lambda: sf.agg.custom(list, None), r"custom\(\.\.\., add=\.\.\.\)\(None\): expected a callable"),
    ],
)
def test_what_cannot_work_is_refused_with_its_fix(describe: Callable[[], Any], said: str) -> None:
    with pytest.raises(sf.FlowError, match=said):
        describe()


def test_without_merge_a_custom_one_says_so() -> None:
    assert sf.agg.custom(list, listed).merge is None


def test_the_examples_run() -> None:
    assert doctest.testmod(aggregation).failed == 0
    assert doctest.testmod(aggregations).failed == 0
