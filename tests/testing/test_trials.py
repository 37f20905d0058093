"""A trial is the flow, on other items, with nothing read or written and no time spent."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import streamflow as sf
from streamflow.testing import trial


def half(item: dict[str, int]) -> dict[str, float]:
    return {"n": 1 / item["n"]}


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    assert os.listdir(tmp_path) == []


def test_items_come_out_and_failed_ones_are_told() -> None:
    flow = sf.flow("no-such.jsonl").map(half, on_error=sf.dead_letter("bad.jsonl")).to("out.jsonl")
    found = trial(flow, [{"n": 2}, {"n": 0}, {"n": 4}])
    assert found.output == [{"n": 0.5}, {"n": 0.25}]
    assert [letter.item for letter in found.failed] == [{"n": 0}]


def test_what_fails_the_run_fails_the_trial() -> None:
    with pytest.raises(ZeroDivisionError):
        trial(sf.flow("no-such.jsonl").map(half).to("out.jsonl"), [{"n": 0}])


def test_a_flow_without_an_end() -> None:
    assert trial(sf.flow("x.txt").map(str.upper), "ab").output == ["A", "B"]


def test_waiting_costs_no_time() -> None:
    async def slowly(item: int) -> int:
        await asyncio.sleep(60)
        return item

    flow = sf.flow("x.jsonl").map(slowly).throttle(1, per=60).to("out.jsonl")
    assert trial(flow, [1, 2, 3]).output == [1, 2, 3]


def test_several_sources_and_sinks_by_their_labels() -> None:
    merged = sf.zip(sf.flow("a.jsonl"), sf.flow("b.jsonl"))
    big, small = merged.branch(lambda pair: sum(pair) > 5)
    flow = sf.together(big.to("big.jsonl"), small.to("small.jsonl"))
    found = trial(flow, {"a.jsonl": [1, 2], "b.jsonl": [3, 4]})
    assert found.outputs == {"big.jsonl": [(2, 4)], "small.jsonl": [(1, 3)]}
    with pytest.raises(sf.FlowError, match="several sinks"):
        found.output  # noqa: B018


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([1], "no items for the source 'a.jsonl'"),
        ({"a.jsonl": [1]}, "no items for the source 'b.jsonl'"),
        ({"a.jsonl": [1], "b.jsonl": [1], "c.jsonl": [1]}, "there is no source 'c.jsonl'"),
    ],
)
def test_items_for_other_sources_are_refused(items: Any, message: str) -> None:
    flow = sf.merge(sf.flow("a.jsonl"), sf.flow("b.jsonl"))
    with pytest.raises(sf.FlowError, match=message):
        trial(flow, items)


def test_ends_that_cannot_be_told_apart_are_refused() -> None:
    flow = sf.merge(sf.flow("a.jsonl"), sf.flow("a.jsonl")).to("x.jsonl")
    with pytest.raises(sf.FlowError, match=r"2 sources of this flow are called 'a\.jsonl'"):
        trial(flow, [1])


@dataclass
class Event:
    n: int


def test_plain_values_become_what_the_source_gives() -> None:
    flow = sf.flow(sf.sources.JsonLines("in.jsonl", type=Event)).map(lambda event: event.n).to("out.jsonl")
    assert trial(flow, [{"n": 1}, Event(2)]).output == [1, 2]
    with pytest.raises(ValueError, match="n"):
        trial(flow, [{"n": "one"}])
