"""A flow with other ends does what the flow does."""

from __future__ import annotations

from typing import Any

import pytest

import streamflow as sf
from streamflow.flows.rewiring import entered, parts_of, rewired, with_letters
from streamflow.flows.runnable import Runnable
from streamflow.model.graph import Part
from streamflow.model.interfaces import Sink, Source
from streamflow.sinks.lists import ListSink
from streamflow.sources.iterable import Iterable


def labelled(flow: Runnable, label: str) -> Part:
    return next(part for part in parts_of(flow) if part.what.label == label)


def double(n: int) -> int:
    return n * 2


def increase(n: int) -> int:
    return n + 1


def refuse_three(n: int) -> int:
    if n == 3:
        raise ValueError(n)
    return n


def test_other_ends_take_the_place_of_those_described() -> None:
    there: list[int] = []
    here: list[int] = []
    flow = sf.flow([1, 2]).map(double).to(there)

    def change(what: Any) -> Any:
        return Iterable([5]) if isinstance(what, Source) else ListSink(here) if isinstance(what, Sink) else what

    rewired(flow, change).run_sync()
    assert (there, here) == ([], [10])
    flow.run_sync()
    assert there == [2, 4]


def test_what_is_shared_stays_shared() -> None:
    out: list[int] = []
    even, odd = sf.flow(range(4)).map(double, name="once").branch(lambda n: n % 4 == 0)
    flow = sf.together(even.to(out), odd.map(increase).to(out))
    same = rewired(flow, lambda what: what)
    assert [part.what.label for part in parts_of(same)] == [part.what.label for part in parts_of(flow)]
    same.run_sync()
    assert sorted(out) == [0, 3, 4, 7]


def test_items_enter_where_they_failed_and_nothing_above_runs() -> None:
    out: list[int] = []
    flow = sf.flow([1, 2]).map(double).map(increase).to(out)
    again = entered(flow, {labelled(flow, "map(increase)"): sf.flow([10])})
    again.run_sync()
    assert out == [11]


def test_items_that_enter_above_and_below_meet() -> None:
    out: list[int] = []
    flow = sf.flow([1, 2]).map(double).map(increase).to(out)
    entries = {labelled(flow, "map(double)"): sf.flow([5]), labelled(flow, "map(increase)"): sf.flow([10])}
    entered(flow, entries).run_sync()
    assert sorted(out) == [11, 11]


def test_a_source_is_replaced_and_ends_that_get_nothing_are_left_out() -> None:
    left: list[int] = []
    right: list[int] = []
    flow = sf.together(sf.flow([1]).map(double).to(left), sf.flow([2]).map(increase).to(right))
    first = parts_of(flow)[0]
    again = entered(flow, {first: sf.flow([7])})
    again.run_sync()
    assert (left, right) == ([14], [])


def test_a_zip_that_would_wait_for_nobody_is_refused() -> None:
    flow = sf.zip(sf.flow([1]).map(double), sf.flow([2])).to([])
    with pytest.raises(sf.FlowError, match="joins several flows"):
        entered(flow, {labelled(flow, "map(double)"): sf.flow([1])})


def test_a_join_is_entered_by_both_inputs_or_not_at_all() -> None:
    one, other = (sf.flow([(1.0, 1)]).map(tuple).event_time(min).key_by(max) for _ in range(2))
    flow = one.join(other, within=(0, 1), name="join").to([])
    for label in ("join", "map(tuple)"):
        with pytest.raises(sf.FlowError, match=r"in a join|joins several flows"):
            entered(flow, {labelled(flow, label): sf.flow([(1.0, 1)])})


@pytest.mark.parametrize("options", [{"on_error": "skip"}, {"on_error": sf.dead_letter([])}])
def test_what_lets_failed_items_go_sets_them_aside_elsewhere(options: dict[str, Any]) -> None:
    out: list[int] = []
    failed: list[Any] = []
    flow = sf.flow([1, 3]).map(refuse_three, **options).to(out)
    rewired(flow, lambda what: with_letters(what, ListSink(failed))).run_sync()
    assert (out, [letter.item for letter in failed]) == ([1], [3])


def test_sources_and_sinks_with_a_policy_too(tmp_path: Any) -> None:
    (tmp_path / "in.jsonl").write_text("1\nno\n")
    failed: list[Any] = []
    flow = sf.flow(sf.sources.JsonLines(tmp_path / "in.jsonl", on_error="skip")).to(
        sf.sinks.JsonLines(tmp_path / "out.jsonl", on_error="skip")
    )
    rewired(flow, lambda what: with_letters(what, ListSink(failed))).run_sync()
    assert [letter.item for letter in failed] == [b"no\n"]


def test_what_fails_the_run_still_does() -> None:
    flow = sf.flow([3]).map(refuse_three).to([])
    with pytest.raises(ValueError, match="3"):
        rewired(flow, lambda what: with_letters(what, ListSink([]))).run_sync()
