"""Who has held the loop: a function that computes or waits, and not the machine, the collector or a decoder."""

import gc
from typing import Any

import pytest

import streamflow as sf
from streamflow.engine import held_loop
from streamflow.engine.held_loop import ELSEWHERE_ADVICE, HELD, PLACE_ADVICE, HeldLoop
from streamflow.model import events


class Calls:
    """Be a stage's calls, on a clock of the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, advice: str | None = "do better") -> None:
        self.cpu = 0.0
        monkeypatch.setattr(held_loop, "thread_time", lambda: self.cpu)
        self.told: list[tuple[float, str]] = []
        self.collections = 0
        monkeypatch.setattr(held_loop, "_full_collections", lambda: self.collections)
        self.held = HeldLoop(advice, lambda *what: self.told.append(what))

    def call(self, seconds: float, cpu: float, *, collected: bool = False) -> None:
        self.held.begin()
        self.cpu += cpu
        self.collections += collected
        self.held.end(seconds)


def test_a_call_that_computes_for_long_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    for seconds in (HELD, 0.06, 0.07):
        calls.call(seconds, cpu=seconds)
    assert calls.told == [(0.06, "do better")]


def test_time_of_other_processes_is_not_the_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    for _ in range(10):
        calls.call(0.2, cpu=0.004)
        calls.call(0.3, cpu=0.004)
        calls.call(0.004, cpu=0.004)
    assert calls.told == []


def test_a_function_that_waits_each_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    for _ in range(4):
        calls.call(0.2, cpu=0.0)
    assert len(calls.told) == 1


def test_a_full_collection_is_not_the_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    calls.call(0.2, cpu=0.2, collected=True)
    assert calls.told == []
    calls.call(0.1, cpu=0.1)
    assert calls.told == [(0.1, "do better")]


def test_full_collections_are_counted_as_python_does() -> None:
    before = held_loop._full_collections()
    gc.collect(1)
    assert held_loop._full_collections() == before
    gc.collect()
    assert held_loop._full_collections() == before + 1


def advice_of(monkeypatch: pytest.MonkeyPatch, flow: Any) -> set[str]:
    """Return the advice in each stage of a flow in which every call is a long one."""
    monkeypatch.setattr(held_loop, "HELD", -1.0)
    monkeypatch.setattr(held_loop, "_full_collections", lambda: 0)
    seen: list[events.Event] = []
    flow.run_sync(on_event=seen.append)
    return {event.advice for event in seen if isinstance(event, events.LoopHeld)}


def test_only_stages_that_call_a_function_of_the_users_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    plain = sf.flow([{"n": 1}]).take(5).batch(2).to("out.jsonl")
    assert advice_of(monkeypatch, plain) == set()
    assert advice_of(monkeypatch, sf.flow("out.jsonl").skip(0).to([])) == set()
    assert advice_of(monkeypatch, sf.flow("out.jsonl").map(len).to([])) == {PLACE_ADVICE}
    assert advice_of(monkeypatch, sf.flow("out.jsonl").to(lambda item: None)) == {ELSEWHERE_ADVICE}


def test_no_place_is_recommended_where_none_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = sf.flow([1, 2]).event_time(lambda n: n).key_by(lambda n: n)
    windowed = timed.window(sf.tumbling(1)).aggregate(n=sf.agg.count()).to([])
    assert advice_of(monkeypatch, windowed) == {ELSEWHERE_ADVICE}
    assert "before it" in ELSEWHERE_ADVICE
    assert advice_of(monkeypatch, sf.flow([[1]]).flat_map(list).to([])) == {ELSEWHERE_ADVICE}
    assert advice_of(monkeypatch, sf.flow([1]).key_by(abs).scan(max, 0).to([])) == {PLACE_ADVICE}
