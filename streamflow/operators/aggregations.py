"""The aggregations that everybody needs: `sf.agg`.

Every one but `count` takes `value`, a plain function of the item; without it the item itself is the value. None is a
value like any other: where Python cannot add or compare it, the item fails with Python's own TypeError (leave such
items out with a `filter` before). NaN is no number: it spoils sums and means, as it does everywhere, and `min`, `max`,
`top_k` and `quantile` leave it out. First and last go by arrival, which event time need not follow.
"""

from __future__ import annotations

import math
import operator
from bisect import insort
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from streamflow.model.errors import FlowError
from streamflow.operators import quantiles, value_counts
from streamflow.operators.aggregation import Aggregation, Value, form_of
from streamflow.operators.callables import name_of, require_plain

__all__ = [
    "Aggregation",
    "collect",
    "count",
    "custom",
    "distinct",
    "first",
    "last",
    "max",
    "mean",
    "min",
    "most_common",
    "quantile",
    "sum",
    "top_k",
]


def count() -> Aggregation:
    """Count the items, whatever they are.

    >>> count().over(["a", None, "a"])
    3
    """
    return Aggregation(
        certain=True,
        form="count()",
        value=None,
        begin="1",
        add=("a[#] += 1",),
        start=lambda v: 1,
        update=lambda slot, v: slot + 1,
        merge=operator.add,
        result=itself,
    )


def sum(value: Value = None) -> Aggregation:
    """Add up, one after the other from 0: floats by plain addition (compensated, an item would cost three times more).

    >>> sum().over([1, 2, 0.5])
    3.5
    """
    return Aggregation(
        spare=itself,
        form=form_of("sum", value),
        value=value,
        # From 0, as Python's own: what cannot be added fails at once, and an array is not added to in its place.
        begin="0 + v",
        add=("a[#] += v",),
        start=lambda v: 0 + v,
        update=lambda slot, v: slot + v,
        merge=operator.add,
        result=itself,
    )


def mean(value: Value = None) -> Aggregation:
    """Return the sum divided by the count.

    >>> mean(lambda order: order["price"]).over([{"price": 1}, {"price": 2}])
    1.5
    """
    return Aggregation(
        spare=list.copy,
        form=form_of("mean", value),
        value=value,
        begin="[0 + v, 1]",
        add=("m# = a[#]", "m#[0] += v", "m#[1] += 1"),
        start=lambda v: [0 + v, 1],
        update=_add_to_mean,
        merge=lambda one, other: [one[0] + other[0], one[1] + other[1]],
        result=lambda slot: slot[0] / slot[1],
    )


def min(value: Value = None) -> Aggregation:
    """Return the least value, of equal ones the first; NaN only where nothing else came.

    >>> min().over([3, float("nan"), 2])
    2
    """
    return _extreme("min", ">=", value)


def max(value: Value = None) -> Aggregation:
    """Return the greatest value, of equal ones the first; NaN only where nothing else came.

    >>> max(len).over(["a", "abc"])
    3
    """
    return _extreme("max", "<=", value)


def first(value: Value = None) -> Aggregation:
    """Return the value that came first.

    >>> first().over([2, 1, 3])
    2
    """
    return Aggregation(
        certain=True,
        form=form_of("first", value),
        value=value,
        begin="v",
        add=(),
        start=itself,
        update=lambda slot, v: slot,
        merge=lambda one, other: one,
        result=itself,
    )


def last(value: Value = None) -> Aggregation:
    """Return the value that came last.

    >>> last().over([2, 1, 3])
    3
    """
    return Aggregation(
        certain=True,
        form=form_of("last", value),
        value=value,
        begin="v",
        add=("a[#] = v",),
        start=itself,
        update=lambda slot, v: v,
        merge=lambda one, other: other,
        result=itself,
    )


def top_k(k: int, value: Value = None) -> Aggregation:
    """Return the `k` greatest values, greatest first. (The most frequent ones: `most_common`.)

    >>> top_k(2).over([1, 5, 3, 5])
    [5, 5]
    """
    _require_positive("top_k", k)

    def update(slot: list[Any], v: Any) -> list[Any]:
        if len(slot) < k:
            if v <= v:
                insort(slot, v)
        elif v > slot[0]:
            insort(slot, v)
            del slot[0]
        return slot

    return Aggregation(
        spare=list.copy,
        form=form_of("top_k", value, k),
        value=value,
        begin="[v] if v <= v else []",  # NaN is not less or equal, and what cannot be compared fails at once
        # A sorted list: insort, unlike a heap, compares before it changes anything.
        add=(
            "t# = a[#]",
            f"if len(t#) < {k}:",
            "    if v <= v:",
            "        h#_0(t#, v)",
            "elif v > t#[0]:",
            "    h#_0(t#, v)",
            "    del t#[0]",
        ),
        start=lambda v: [v] if v <= v else [],
        update=update,
        merge=lambda one, other: sorted(one + other)[-k:],
        result=lambda slot: slot[::-1],
        names={"h#_0": insort},
    )


def most_common(k: int, value: Value = None) -> Aggregation:
    """Return the `k` most frequent values with their counts, exactly: every distinct value is kept.

    Of equally frequent ones the first that came is first. Equal is what is equal as a key of a dict; NaN is one value.

    >>> most_common(1).over("abca")
    [('a', 2)]
    """
    _require_positive("most_common", k)
    return Aggregation(
        form=form_of("most_common", value, k),
        value=value,
        begin="[{v: 1}, 0] if v == v else [{}, 1]",  # NaN is counted apart: as a key it is not found again
        add=("c# = a[#]", "if v == v:", "    c#[0][v] = c#[0].get(v, 0) + 1", "else:", "    c#[1] += 1"),
        start=lambda v: value_counts.count([{}, 0], v),
        update=value_counts.count,
        merge=value_counts.merge,
        result=lambda slot: value_counts.most_common(slot, k),
    )


def distinct(value: Value = None) -> Aggregation:
    """Count the different values, exactly: every one is kept. Equal is as for `most_common`.

    >>> distinct().over(["a", "b", "a"])
    2
    """
    return Aggregation(
        form=form_of("distinct", value),
        value=value,
        begin="[{v: None}, 0] if v == v else [{}, 1]",
        add=("d# = a[#]", "if v == v:", "    d#[0][v] = None", "else:", "    d#[1] = 1"),
        start=lambda v: value_counts.note([{}, 0], v),
        update=value_counts.note,
        merge=lambda one, other: [one[0] | other[0], one[1] | other[1]],
        result=lambda slot: len(slot[0]) + slot[1],
    )


def quantile(q: float, value: Value = None) -> Aggregation:
    """Return the number below which the share `q` of them lies, between two in proportion; 0.5 is the median.

    Exact for fewer than 2,048 values, which are kept. Beyond that a sketch of a few thousand answers: its rank is less
    than 1 % off up to a billion values, always (and mostly below 0.1 %). NaN where nothing but NaN came.

    >>> quantile(0.5).over([1, 2, 3, 10])
    2.5
    """
    if isinstance(q, bool) or not isinstance(q, int | float) or not 0 <= q <= 1:
        raise FlowError(f"quantile({q!r}): expected a number from 0 to 1, such as 0.5 for the median")
    return Aggregation(
        form=form_of("quantile", value, q),
        value=value,
        begin="h#_0(v)",
        # ldexp(v, 0) is v as a float, and a TypeError for what is no number (float() would read a string).
        add=(
            "q# = h#_1(v, 0)",
            "if q# == q#:",
            "    a[#][1].append(q#)",
            f"    if len(a[#][1]) >= {quantiles.CAPACITY}:",
            "        h#_2(a[#])",
        ),
        start=quantiles.begin,
        update=quantiles.add,
        merge=quantiles.merge,
        result=lambda slot: quantiles.quantile(slot, q),
        names={"h#_0": quantiles.begin, "h#_1": math.ldexp, "h#_2": quantiles.compact},
    )


def collect(value: Value = None) -> Aggregation:
    """Return a list of all values in the order in which they came.

    >>> collect(str.upper).over("ab")
    ['A', 'B']
    """
    return Aggregation(
        certain=True,
        form=form_of("collect", value),
        value=value,
        begin="[v]",
        add=("a[#].append(v)",),
        start=lambda v: [v],
        update=_append,
        merge=operator.add,
        result=list,
    )


def custom(
    init: Callable[[], Any],
    add: Callable[[Any, Any], Any],
    merge: Callable[[Any, Any], Any] | None = None,
    result: Callable[[Any], Any] | None = None,
) -> Aggregation:
    """Begin with `init()`, take each item in by `add(slot, item)`, which returns the slot, and tell `result(slot)`.

    `merge(slot, slot)` makes one of two; windows that grow together (sessions) need it. A slot is plain data; what
    `add` changes in place it must return as well.

    >>> custom(lambda: 1, lambda product, item: product * item).over([2, 3, 4])
    24
    """
    given = {"init": init, "add": add, "merge": merge, "result": result}
    for name, function in given.items():
        if function is not None or name in ("init", "add"):
            require_plain(function, f"custom(..., {name}=...)")
    used = [f"{name}={name_of(function)}" for name, function in given.items() if function is not None]
    return Aggregation(
        spare=deepcopy,
        form=f"custom({', '.join(used)})",
        value=None,
        begin="h#_1(h#_0(), v)",
        add=("a[#] = h#_1(a[#], v)",),
        start=lambda v: add(init(), v),
        update=add,
        merge=merge,
        result=itself if result is None else result,
        names={"h#_0": init, "h#_1": add},
    )


def _require_positive(name: str, k: object) -> None:
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise FlowError(f"{name}({k!r}): expected how many to keep, a whole number of at least 1")


def itself(slot: Any) -> Any:
    """Return the slot: it says already what is asked."""
    return slot


def _extreme(name: str, keeps: str, value: Value) -> Aggregation:
    """Return `min` or `max`: the slot stands while a value `keeps` to it, which NaN on either side never does."""
    stands = operator.ge if keeps == ">=" else operator.le

    def start(v: Any) -> Any:
        stands(v, v)
        return v

    def update(slot: Any, v: Any) -> Any:
        return v if not stands(v, slot) and v == v else slot

    return Aggregation(
        spare=itself,
        form=form_of(name, value),
        value=value,
        begin=f"v if v {keeps} v else v",  # what cannot be compared fails here, and not at the next item
        add=(f"if not v {keeps} a[#]:", "    if v == v:", "        a[#] = v"),
        start=start,
        update=update,
        merge=update,
        result=itself,
    )


def _add_to_mean(slot: list[Any], v: Any) -> list[Any]:
    slot[0] += v
    slot[1] += 1
    return slot


def _append(slot: list[Any], v: Any) -> list[Any]:
    slot.append(v)
    return slot
