"""Order and conservation, for any size, speed, policy and point of cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.model.statistics import RunStatistics
from streamflow.testing import run

DELAYS = st.lists(st.sampled_from([0.0, 0.001, 0.002, 0.05]), min_size=1, max_size=60)


def check_books(statistics: RunStatistics) -> None:
    """Balance every stage and every edge, and what stages gave against what edges got."""
    for stage in statistics.stages:
        assert stage.conserved, stage
    for edge in statistics.edges:
        assert edge.conserved, edge


def waiting(delays: list[float]) -> Any:
    async def step(n: int) -> int:
        if delays[n]:
            await asyncio.sleep(delays[n])
        return n

    return step


@given(DELAYS, st.integers(1, 8), st.booleans(), st.integers(1, 5))
def test_a_concurrent_map_keeps_order_or_at_least_every_item(
    delays: list[float], concurrency: int, ordered: bool, room: int
) -> None:
    async def main() -> None:
        out: list[int] = []
        flow = sf.flow(range(len(delays))).buffer(room).map(waiting(delays), concurrency=concurrency, ordered=ordered)
        report = await flow.buffer(room).to(out).run()
        assert (out if ordered else sorted(out)) == list(range(len(delays)))
        check_books(report.statistics)

    run(main)


@given(DELAYS, st.sets(st.integers(0, 59)), st.integers(1, 8), st.booleans(), st.sampled_from(["skip", "letters"]))
def test_failures_leave_the_others_in_order_and_are_all_set_aside(
    delays: list[float], bad: set[int], concurrency: int, ordered: bool, policy: str
) -> None:
    async def main() -> None:
        out: list[int] = []
        letters: list[sf.DeadLetter] = []
        wait = waiting(delays)

        async def step(n: int) -> int:
            await wait(n)
            if n in bad:
                raise ValueError(n)
            return n

        on_error: Any = "skip" if policy == "skip" else sf.dead_letter(letters)
        flow = sf.flow(range(len(delays))).map(step, concurrency=concurrency, ordered=ordered, on_error=on_error)
        report = await flow.to(out).run()
        expected = [n for n in range(len(delays)) if n not in bad]
        failed = [n for n in range(len(delays)) if n in bad]
        assert (out if ordered else sorted(out)) == expected
        if policy == "letters":
            assert sorted(letter.item for letter in letters) == failed
            assert all(letter.index == letter.item == letter.position.index for letter in letters)  # type: ignore[union-attr]
        assert report.failed == len(failed)
        check_books(report.statistics)

    run(main)


@settings(max_examples=60)
@given(DELAYS, st.integers(1, 8), st.integers(0, 40), st.sampled_from(["cancel", "drain"]))
def test_the_books_balance_wherever_a_run_is_stopped(
    delays: list[float], concurrency: int, turns: int, gear: str
) -> None:
    async def main() -> None:
        out: list[Any] = []
        wait = waiting(delays)
        flow = sf.flow(range(len(delays))).map(wait, concurrency=concurrency).flat_map(lambda n: [n, n]).batch(3)
        async with flow.to(out).start() as handle:
            for _ in range(turns):
                await asyncio.sleep(0)
            report = await (handle.cancel() if gear == "cancel" else handle.drain())
        check_books(report.statistics)
        items = [n for batch in out for n in batch]
        whole = [n for n in range(len(delays)) for _ in range(2)]
        assert items == whole[: len(items)]
        if gear == "drain":
            received = report.statistics.stages[0].received
            assert items == [n for n in range(received) for _ in range(2)]  # nothing that was read is lost

    run(main)


@given(st.lists(st.lists(st.integers(), max_size=20), min_size=1, max_size=4), st.integers(1, 4))
def test_merge_keeps_each_inputs_order_and_every_item(inputs: list[list[int]], room: int) -> None:
    async def main() -> None:
        tagged = [[(k, n) for n in items] for k, items in enumerate(inputs)]
        out = await sf.merge(*(sf.flow(items).buffer(room) for items in tagged)).collect()
        for k, items in enumerate(tagged):
            assert [one for one in out if one[0] == k] == items
        assert len(out) == sum(map(len, tagged))

    run(main)


@given(st.lists(st.lists(st.integers(), max_size=20), min_size=1, max_size=4), st.integers(1, 4))
def test_zip_and_concat_are_those_of_lists(inputs: list[list[int]], room: int) -> None:
    async def main() -> None:
        flows = [sf.flow(items).buffer(room) for items in inputs]
        assert await sf.zip(*flows).collect() == list(zip(*inputs, strict=False))
        assert await sf.concat(*flows).collect() == [n for items in inputs for n in items]

    run(main)


def test_zip_strict_fails_where_one_input_is_shorter() -> None:
    flow = sf.zip(sf.flow([1, 2]), sf.flow([1, 2, 3]), strict=True)
    with pytest.raises(sf.FlowError, match="strict=True"):
        run(flow.collect)
    assert run(sf.zip(sf.flow([1, 2]), sf.flow([3, 4]), strict=True).collect) == [(1, 3), (2, 4)]


@given(st.lists(st.integers(0, 9), max_size=60))
def test_branch_and_route_part_the_items_and_share_the_source(items: list[int]) -> None:
    async def main() -> None:
        pulled: list[int] = []
        numbers = sf.flow(lambda: iter(items)).tap(pulled.append)
        yes, no = numbers.branch(lambda n: n > 5)
        routes = no.route(lambda n: n % 3, 0, 1, default=2)
        outs: dict[Any, list[int]] = {key: [] for key in ("yes", 0, 1, 2)}
        report = await sf.together(yes.to(outs["yes"]), *(routes[key].to(outs[key]) for key in (0, 1, 2))).run()
        assert pulled == items
        assert outs["yes"] == [n for n in items if n > 5]
        for key in (0, 1, 2):
            assert outs[key] == [n for n in items if n <= 5 and n % 3 == key]
        check_books(report.statistics)

    run(main)


def test_an_output_that_nobody_reads_counts_as_dropped() -> None:
    yes, _ = sf.flow(range(10)).branch(lambda n: n < 3)
    out: list[int] = []
    report = yes.to(out).run_sync()
    assert out == [0, 1, 2]
    assert report.statistics.stages[0].dropped == 7
    check_books(report.statistics)


def test_none_is_an_ordinary_value() -> None:
    async def same(item: object) -> object:
        return item

    items = [None, 0, None, "", False]
    flow = sf.flow(items).map(lambda item: item).map(same, concurrency=2).buffer(1).scan(lambda _, item: item, 0)
    assert run(flow.collect) == items
    assert run(sf.flow([[None], None, [None]]).filter(lambda item: item is not None).unbatch().collect) == [
        None,
        None,
    ]


def test_a_flat_map_of_a_million_is_handed_on_in_pieces() -> None:
    async def main() -> None:
        made = 0

        def million(n: int) -> Any:
            nonlocal made
            for k in range(1_000_000):
                made += 1
                yield k

        flow = sf.flow([1, 2]).flat_map(million).take(5)
        assert await flow.collect() == [0, 1, 2, 3, 4]
        assert made < 50_000

    run(main)


def test_take_pulls_no_more_than_it_needs_in_its_own_stage() -> None:
    pulled: list[int] = []

    def source() -> Any:
        n = 0
        while True:
            pulled.append(n)
            yield n
            n += 1

    out: list[int] = []
    sf.flow(source).map(lambda n: n + 1).take(3).to(out).run_sync()
    assert out == [1, 2, 3]
    assert pulled == [0, 1, 2]
    assert list(sf.flow(source).take(2)) == [0, 1]
    assert pulled == [0, 1, 2, 0, 1]


def test_a_flow_runs_many_times_and_at_the_same_time() -> None:
    async def main() -> None:
        flow = sf.flow(range(50)).scan(lambda total, n: total + n, 0).batch(7).unbatch()
        first = await flow.collect()
        assert await asyncio.gather(*(flow.collect() for _ in range(3))) == [first] * 3

    run(main)


def test_a_second_run_over_an_exhausted_iterator_says_what_to_do() -> None:
    flow = sf.flow(iter([1, 2]))
    assert run(flow.collect) == [1, 2]
    with pytest.raises(sf.FlowError, match="pass a function"):
        run(flow.collect)
