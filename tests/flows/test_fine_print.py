"""The small print of the engine's semantics, a line each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import streamflow as sf
from streamflow.testing import FaultySink, InjectedError, run


def test_an_overflow_that_is_to_fail_ends_the_run_and_names_the_edge() -> None:
    async def slow(n: int) -> int:
        await asyncio.sleep(1)
        return n

    flow = sf.flow(range(10_000)).buffer(5, overflow="fail").map(slow)
    with pytest.raises(sf.BufferOverflow, match=r"'range ⇒ map\(slow\)' is full"):
        run(flow.to(None).run)


def test_children_that_were_emitted_before_a_failure_stand_and_are_counted() -> None:
    def children(n: int) -> Iterator[int]:
        yield n
        yield n + 1
        if n == 20:
            raise ValueError("no third")
        yield n + 2

    out: list[int] = []
    letters: list[sf.DeadLetter] = []
    report = run(sf.flow([10, 20, 30]).flat_map(children, on_error=sf.dead_letter(letters)).to(out).run)
    assert out == [10, 11, 12, 20, 21, 30, 31, 32]
    assert [(letter.item, letter.emitted) for letter in letters] == [(20, 2)]
    assert all(stage.conserved for stage in report.statistics.stages)


def test_a_sink_retries_an_item_and_keeps_the_order() -> None:
    sink = FaultySink(fail_at=2, times=2, retry=sf.Retry(attempts=3, base=1, jitter=False))
    report = run(sf.flow(range(5)).to(sink).run)
    assert sink.log.items == [0, 1, 2, 3, 4]
    assert sum(stage.retried for stage in report.statistics.stages) == 2


def test_one_consumer_that_ends_early_does_not_end_the_other() -> None:
    source = sf.flow(range(5000)).map(abs)
    few: list[int] = []
    every: list[int] = []
    report = sf.together(source.take(3).to(few), source.to(every)).run_sync()
    assert few == [0, 1, 2]
    assert every == list(range(5000))
    assert all(edge.conserved for edge in report.statistics.edges)


def test_a_shared_source_runs_until_nobody_wants_more() -> None:
    closed: list[bool] = []

    def endless() -> Iterator[int]:
        n = 0
        try:
            while True:
                yield n
                n += 1
        finally:
            closed.append(True)

    source = sf.flow(endless).map(abs)
    outs: tuple[list[int], list[int]] = ([], [])
    sf.together(source.take(3).to(outs[0]), source.take(900).to(outs[1])).run_sync()
    assert [len(out) for out in outs] == [3, 900]
    assert closed == [True]


def test_a_failing_dead_letter_sink_fails_the_run_with_the_original_attached() -> None:
    def bad(n: int) -> int:
        raise ValueError(f"item {n}")

    letters = FaultySink(fail_at=0)
    with pytest.raises(InjectedError) as caught:
        run(sf.flow([1]).map(bad, on_error=sf.dead_letter(letters)).to(None).run)
    assert "dead letters" in caught.value.__notes__[0]
    assert caught.value.__notes__[1] == "while setting aside 1, which failed with ValueError: item 1"
