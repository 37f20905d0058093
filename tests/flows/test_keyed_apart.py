"""Keyed stages of their own, with state on the disk or functions elsewhere: the same as within a fused stage."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.engine.stages import keyed
from streamflow.model.checkpoint import Checkpoint
from streamflow.model.interfaces import StatePlace, StateStore
from streamflow.state.disk_store import DiskStore
from streamflow.testing import FaultySource, OperatorSuite, cancel_everywhere, run
from streamflow.testing.faults import FaultySink
from tests.flows.test_checkpoints import noting
from tests.sizes import examples

KEYS = ["a", "b", None, 1, True, 1.0, math.nan, ("a", 1), "rare"]
ITEMS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(KEYS)), max_size=60)


def whose(item: Any) -> Any:
    return item[1]


def at(item: Any) -> float:
    return float(item[0])


def step(seen: int, item: Any) -> tuple[int | None, Any]:
    """Fail at 13, forget at 7."""
    if item[0] == 13:
        raise ValueError(item)
    return (None if item[0] == 7 else seen + 1), (item, seen)


def plus(total: int, item: Any) -> int:
    if item[0] == 13:
        raise ValueError(item)
    return total + int(item[0])


def named(out: list[Any]) -> list[str]:
    """Return results so that NaN is itself, and 1 is not True."""
    return [repr(one) for one in out]


APART: dict[str, dict[str, Any]] = {
    "disk": {"store": "disk"},
    "little cache": {"store": sf.disk_store(cache=1)},
    "threads": {"on": sf.threads(3)},
    "both": {"on": sf.threads(2), "store": sf.disk_store(cache=2)},
}
MAKES: dict[str, Callable[..., sf.Flow[Any]]] = {
    "scan": lambda flow, **how: flow.scan(plus, 0, **how),
    "reduce": lambda flow, **how: flow.reduce(lambda one, other: (plus(one[0], other), one[1]), **how),
    "aggregate": lambda flow, **how: flow.aggregate(n=sf.agg.count(), top=sf.agg.top_k(2, at), **how),
    "state": lambda flow, **how: flow.map_with_state(step, 0, **how),
    "ttl": lambda flow, **how: flow.map_with_state(step, 0, ttl=5, **how),
}


async def ran(flow: sf.Flow[Any], out: list[Any], letters: list[Any]) -> sf.RunReport:
    report = await flow.to(out).run()
    for counted in (*report.statistics.stages, *report.statistics.edges):
        assert counted.conserved, counted
    return report


@pytest.mark.parametrize("how", APART)
@pytest.mark.parametrize("make", MAKES)
@settings(max_examples=examples(8, nightly=100), deadline=None)
@given(ITEMS, st.integers(1, 20), st.booleans())
def test_it_is_the_same_as_within_a_fused_stage(make: str, how: str, items: Any, batch: int, positions: bool) -> None:
    async def main() -> None:
        found: list[tuple[list[str], list[str]]] = []
        for options in ({}, APART[how]):
            out: list[Any] = []
            letters: list[Any] = []
            policy = sf.dead_letter(letters) if positions else "skip"
            flow = sf.flow(FaultySource(items, batch=batch)).event_time(at).buffer(9)
            await ran(MAKES[make](flow.key_by(whose, on_error=policy), **options), out, letters)
            found.append((named(out), [f"{one.item} {one.index} {one.position} {one.message}" for one in letters]))
        assert found[0] == found[1]

    run(main)


def test_it_is_the_same_in_worker_processes() -> None:
    random = Random(1)
    items = [(random.randrange(30), random.choice(KEYS)) for _ in range(400)]

    def main(**how: Any) -> Any:
        out: list[Any] = []
        keyed_flow = sf.flow(items).key_by(whose, on_error="skip")
        asyncio.run(ran(keyed_flow.map_with_state(step, 0, **how), out, []))
        return named(out)

    assert main(on=sf.processes(2)) == main()


@pytest.mark.parametrize("how", APART)
def test_the_first_failure_in_the_order_of_the_input_ends_the_run(how: str) -> None:
    items = [(n, n % 5) for n in range(40)]
    out: list[Any] = []
    with pytest.raises(ValueError, match=r"\(13, 3\)") as caught:
        run(sf.flow(items).key_by(whose).map_with_state(step, 0, **APART[how]).to(out).run)
    assert [item for item, _ in out] == items[:13]
    assert "item 13 of its input" in caught.value.__notes__[0]


def test_one_key_that_has_nearly_all_items_is_worked_on_with_the_others() -> None:
    items = [(n, "hot" if n % 10 else n) for n in range(3000)]
    expected = list(sf.flow(items).key_by(whose).scan(lambda n, _: n + 1, 0))
    found = list(sf.flow(items).key_by(whose).scan(lambda n, _: n + 1, 0, on=sf.threads(4)))
    assert found == expected


class TestOnDisk(OperatorSuite):
    few = 3

    def apply(self, flow: Any) -> Any:
        return flow.key_by(lambda n: n % 3).scan(lambda n, _: n + 1, 0, store=sf.disk_store(cache=1))

    def reference(self, items: list[Any]) -> list[Any]:
        return list(sf.flow(items).key_by(lambda n: n % 3).scan(lambda n, _: n + 1, 0))


class TestOnThreads(OperatorSuite):
    few = 2

    def apply(self, flow: Any) -> Any:
        return flow.key_by(lambda n: n % 3).aggregate(n=sf.agg.count(), on=sf.threads(2))

    def reference(self, items: list[Any]) -> list[Any]:
        return list(sf.flow(items).key_by(lambda n: n % 3).aggregate(n=sf.agg.count()))


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", APART)
def test_a_ttl_without_event_time_goes_by_the_clock_of_the_run(how: str) -> None:
    async def main() -> None:
        inbox: sf.Inbox[str] = sf.inbox(10)
        out: list[int] = []
        flow = sf.flow(inbox).key_by(str).map_with_state(lambda seen, _: (seen + 1, seen), 0, ttl="10s", **APART[how])
        async with flow.to(out).start() as handle:
            for wait in (0, 9, 9, 11):
                await asyncio.sleep(wait)
                await inbox.send("a")
                await inbox.send("b")
            await asyncio.sleep(1)
            await handle.drain()
        assert out == [0, 0, 1, 1, 2, 2, 0, 0]

    run(main)


@pytest.mark.parametrize("how", APART)
def test_keys_that_are_too_old_take_no_room(how: str) -> None:
    async def main() -> None:
        flow = sf.flow(range(3000)).event_time(float).key_by(lambda n: n)
        report = await flow.map_with_state(lambda seen, n: (n, n), ttl=10, **APART[how]).to(None).run()
        [stage] = [stage for stage in report.statistics.stages if stage.kind == "keyed"]
        assert stage.keys <= 3000 - 2000  # up to two for each item of a batch
        assert stage.state_bytes >= stage.disk_bytes

    run(main)


# -- workers that are lost --------------------------------------------------------------------------------------------


def deadly(total: int, n: int) -> tuple[int, tuple[int, int]]:
    if n in (50, 133):
        os._exit(3)
    return total + n, (n, total)


def hanging(total: int, n: int) -> tuple[int, tuple[int, int]]:
    if n == 50:
        time.sleep(60)
    return total + n, (n, total)


def without(bad: set[int], count: int) -> list[Any]:
    return list(
        sf.flow(n for n in range(count) if n not in bad)
        .key_by(lambda n: n % 4)
        .map_with_state(lambda total, n: (total + n, (n, total)), 0)
    )


def test_a_worker_that_dies_costs_the_item_that_caused_it_and_no_state() -> None:
    out: list[Any] = []
    letters: list[Any] = []
    keyed_flow = sf.flow(range(400)).key_by(lambda n: n % 4, on_error=sf.dead_letter(letters))
    report = keyed_flow.map_with_state(deadly, 0, on=sf.processes(2)).to(out).run_sync()
    assert out == without({50, 133}, 400)
    assert [(one.item, one.exception.rsplit(".")[-1]) for one in letters] == [(n, "WorkerDied") for n in (50, 133)]
    assert all(stage.conserved for stage in report.statistics.stages)


def test_an_item_that_takes_too_long_costs_itself() -> None:
    out: list[Any] = []
    keyed_flow = sf.flow(range(200)).key_by(lambda n: n % 4, on_error="skip")
    keyed_flow.map_with_state(hanging, 0, on=sf.processes(2), timeout=0.5).to(out).run_sync()
    assert out == without({50}, 200)


def test_what_cannot_cross_fails_alone() -> None:
    items: list[Any] = [(n, n % 2) for n in range(30)]
    items[9] = (threading.Lock(), 1)

    def gives(total: int, item: Any) -> tuple[int, Any]:
        return total + 1, (open(os.devnull) if item[0] == 20 else total)

    out: list[Any] = []
    letters: list[Any] = []
    keyed_flow = sf.flow(items).key_by(whose, on_error=sf.dead_letter(letters))
    keyed_flow.map_with_state(gives, 0, on=sf.processes(1)).to(out).run_sync()
    assert [one.index for one in letters] == [9, 20]
    assert len(out) == 28
    assert sorted(out)[-1] == 13


def test_an_item_is_tried_again_with_the_state_before_it(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def flaky(seen: list[int], n: int) -> tuple[list[int], int]:
        if n % 10 == 3 and not (mark.with_suffix(f".{n}")).exists():
            mark.with_suffix(f".{n}").touch()
            raise OSError(n)
        return [*seen, n], len(seen)

    async def main() -> None:
        out: list[int] = []
        retry = sf.Retry(attempts=2, base=5.0)
        flow = sf.flow(range(40)).key_by(lambda n: n % 2).map_with_state(flaky, [], on=sf.threads(2), retry=retry)
        report = await flow.to(out).run()
        assert out == [n // 2 for n in range(40)]
        assert sum(stage.retried for stage in report.statistics.stages) == 4

    run(main)


# -- checkpoints ------------------------------------------------------------------------------------------------------

EVENTS = [(n // 3, KEYS[n * n % 5], n) for n in range(120)]


def remembering(seen: list[int], item: Any) -> tuple[list[int], Any]:
    return [*seen[-3:], item[2]], (item[2], list(seen))


def shape(kind: str, **how: Any) -> sf.Flow[Any]:
    timed = sf.flow(FaultySource(items=EVENTS, batch=7, can_seek=True, delay=0.001)).event_time(at).buffer(3)
    keyed_flow = timed.key_by(whose)
    if kind == "scan":
        return keyed_flow.scan(lambda n, _: n + 1, 0, **how)
    if kind == "fold":
        return keyed_flow.aggregate(n=sf.agg.count(), **how)
    return keyed_flow.map_with_state(remembering, [], ttl=9, **how)


PLACES: dict[str, dict[str, Any]] = {"fused": {}, **APART}
CHANGES = [("fused", "disk"), ("fused", "threads"), ("threads", "little cache"), ("little cache", "both")]


@pytest.mark.parametrize(("first", "second"), CHANGES)
@pytest.mark.parametrize("kind", ["scan", "fold", "ttl"])
@settings(max_examples=examples(2, nightly=30), deadline=None)
@given(st.lists(st.floats(0, 0.02), min_size=1, max_size=2))
def test_a_run_goes_on_as_if_unbroken_in_another_place_too(
    kind: str, first: str, second: str, waits: list[float]
) -> None:
    async def main() -> None:
        whole = await shape(kind).collect()
        kept: list[Any] = []
        resume: Checkpoint | None = None
        place = first
        for wait in waits:
            written: list[Any] = []
            at_barrier: list[int] = []
            begin: dict[str, Any] = {} if resume is None else {"resume": resume}
            async with shape(kind, **PLACES[place]).to(noting(written, at_barrier)).start(**begin) as handle:
                await asyncio.sleep(wait)
                if handle.state == "finished":
                    kept += written
                    break
                resume = await handle.checkpoint()
                kept += written[: at_barrier[0]]
                await handle.cancel()
            place = second
        else:
            rest: list[Any] = []
            assert resume is not None
            await shape(kind, **PLACES[second]).to(rest).run(resume=resume)
            kept += rest
        assert named(kept) == named(whole)
        assert whole

    run(main)


def test_keys_in_a_store_are_not_taken_for_those_of_a_fused_stage() -> None:
    async def main() -> None:
        async with shape("scan", store="disk").to(None).start() as handle:
            await asyncio.sleep(0.01)
            taken = await handle.checkpoint()
            await handle.cancel()
        with pytest.raises(sf.CheckpointMismatch, match="give one of them back"):
            await shape("scan").to(None).run(resume=taken)

    run(main)


def test_what_cannot_be_written_down_is_named_with_its_key() -> None:
    flow = sf.flow(range(9)).key_by(str).scan(lambda _, n: (n, len), None, store=sf.disk_store(cache=2))
    with pytest.raises(
        sf.NotSerialisable, match=r"the state of key '.': entry 1: a function .*; keep plain values in state"
    ):
        run(flow.to(None).run)


@pytest.mark.parametrize("how", APART)
def test_cancelled_anywhere_it_leaves_nothing(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "BATCH_TO_BEGIN", 2)

    async def main() -> None:
        flow = sf.flow(FaultySource(range(6), batch=3)).key_by(lambda n: n % 3)
        await flow.aggregate(n=sf.agg.count(), **APART[how]).to(FaultySink()).run()

    for _ in cancel_everywhere(main):
        pass


# -- words ------------------------------------------------------------------------------------------------------------


async def later(state: Any, item: Any) -> Any:
    return state, item


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda flow: flow.map_with_state(later, on=sf.threads(1)), "takes a plain function here"),
        (lambda flow: flow.scan(plus, 0, store="tape"), "expected 'memory', 'disk' or sf.disk_store"),
        (lambda flow: flow.scan(plus, 0, store=sf.disk_store), r"call it: sf.disk_store\(\)"),
        (lambda flow: flow.scan(plus, 0, on="procces"), "expected 'loop'"),
        (lambda flow: flow.scan(plus, 0, timeout=1), "for functions that run elsewhere"),
        (lambda flow: flow.scan(plus, 0, on=sf.joblib("threading", 1), timeout=1), "cannot be given up there"),
        (lambda flow: flow.scan(plus, 0, on=sf.processes(1), timeout=-1), "number of seconds above 0"),
        (lambda flow: flow.aggregate(n=sf.agg.count(), store=sf.agg.count()), "expected 'memory'"),
        (
            lambda flow: list(flow.map_with_state(lambda state, n: later(state, n), on=sf.threads(1))),
            "an awaitable, which nobody would await",
        ),
        (lambda flow: list(flow.scan(lambda _, n: later(0, n), 0, store="disk")), "an awaitable"),
    ],
)
def test_what_cannot_work_is_refused_with_its_fix(wrong: Any, message: str) -> None:
    with pytest.raises((sf.FlowError, TypeError), match=message):
        wrong(sf.flow([1, 2]).key_by(abs))


def test_it_is_told_where_state_lies_and_how_much() -> None:
    flow = (
        sf.flow(range(500)).key_by(lambda n: n).scan(lambda _, n: n, 0, on=sf.threads(2), store=sf.disk_store(cache=9))
    )
    text = flow.explain()
    assert "[keyed: threads(2), state in disk_store(cache=9)]" in text
    assert "begins here because its keys are worked on by threads(2)" in text
    report = run(flow.to(None).run)
    assert "state: 500 keys, " in str(report)
    assert "in memory)" in str(report)
    assert "500 keys, " in report.to_html()
    fused = run(sf.flow(range(500)).key_by(lambda n: n).scan(lambda _, n: n, 0).to(None).run)
    assert "state: 500 keys, " in str(fused)


class SlowStore(DiskStore):
    """Wait in every blocking call until the loop has gone on meanwhile."""

    def fetch(self, keys: Any) -> Any:
        self.wait()
        return super().fetch(keys)

    def write(self, unwritten: Any) -> None:
        self.wait()
        super().write(unwritten)

    def load(self, piece: Any) -> None:
        self.wait()
        super().load(piece)

    def wait(self) -> None:
        gone_on = threading.Event()
        self.loop.call_soon_threadsafe(gone_on.set)
        assert gone_on.wait(10)


@dataclass(frozen=True)
class Slow(StatePlace):
    loop: Any

    @property
    def label(self) -> str:
        return "slow"

    def make(self, *, timed: bool) -> StateStore:
        store = SlowStore(3, None, timed=timed)
        store.loop = self.loop  # type: ignore[attr-defined]
        return store


def test_the_loop_never_waits_for_the_disk() -> None:
    async def main() -> None:
        store = Slow(asyncio.get_running_loop())
        flow = sf.flow(FaultySource(range(200), batch=20, can_seek=True)).key_by(lambda n: n % 30)
        counted = flow.scan(lambda n, _: n + 1, 0, store=store)
        async with counted.to(None).start() as handle:
            await asyncio.sleep(0)
            taken = await handle.checkpoint()
        await counted.to(None).run(resume=taken)

    asyncio.run(main())


def test_a_run_can_be_repeated_at_the_same_time() -> None:
    flow = sf.flow(range(200)).key_by(lambda n: n % 7).scan(lambda n, _: n + 1, 0, store=sf.disk_store(cache=2))

    async def main() -> None:
        one, other = await asyncio.gather(flow.collect(), flow.collect())
        assert one == other == await flow.collect()

    run(main)


def test_a_stage_that_waits_for_the_disk_says_so() -> None:
    flow = sf.flow(range(3000)).key_by(lambda n: n * 7919 % 1000)
    report = flow.scan(lambda n, _: n + 1, 0, store=sf.disk_store(cache=1)).to(None).run_sync()
    [stage] = [stage for stage in report.statistics.stages if stage.kind == "keyed"]
    assert 0 < stage.disk_seconds < report.elapsed
    waiting = replace(stage, disk_seconds=report.elapsed * 0.8)
    told = replace(report, statistics=replace(report.statistics, stages=(waiting,)))
    assert "it waited 80 % of the time for its state on the disk; a larger cache= would help" in told.bottleneck
