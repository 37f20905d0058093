"""Joins with a table: read first, read again while the run goes on, and kept when that fails."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.model import events
from streamflow.testing import FaultySource, cancel_everywhere, run
from tests.flows.test_windows import ran

NAMES = {1: "one", 2: "two", 3: None}


def same(item: Any) -> Any:
    return item


def itself(item: Any) -> Any:
    return item


@given(
    st.lists(st.integers(0, 4)),
    st.sampled_from(["inner", "left"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 5),
)
def test_each_item_gets_its_row(items: list[int], how: Any, fuse: bool, edge: bool, batch: int) -> None:
    async def load() -> dict[int, str | None]:
        await asyncio.sleep(3)
        return NAMES

    flow = sf.flow(FaultySource(items=items, batch=batch))
    joined = (flow.buffer(1) if edge else flow).key_by(itself).join_table(sf.table(load), how=how)
    expected = [sf.Joined(n, n, NAMES.get(n)) for n in items if how == "left" or n in NAMES]
    assert ran(joined.map(same), fuse=fuse) == expected


def test_a_plain_load_runs_on_a_thread_and_the_plain_for_loop_waits_for_it() -> None:
    threads: list[Any] = []

    def load() -> dict[int, str | None]:
        threads.append(threading.current_thread())
        return NAMES

    table = sf.table(load)
    joined = sf.flow([1, 2]).key_by(itself).join_table(table).map(lambda one: one.right)
    assert list(joined) == ["one", "two"]
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
    assert not threads[0].is_alive()
    both = joined.key_by(len).join_table(table)
    assert [one.right for one in both] == [None, None]
    assert len(threads) == 2  # once for each run, however many operators look into it


def test_a_lambda_may_give_a_coroutine() -> None:
    async def load(factor: int) -> dict[int, int]:
        return {1: factor}

    assert [one.right for one in sf.flow([1]).key_by(itself).join_table(sf.table(lambda: load(7)))] == [7]


class Reloading:
    """Be a table that is another at each load, and goes wrong where told."""

    def __init__(self, *failing: int, takes: float = 0.0) -> None:
        self.loads, self.failing, self.takes = 0, failing, takes

    async def __call__(self) -> Any:
        self.loads += 1
        count = self.loads
        await asyncio.sleep(self.takes)
        if count in self.failing:
            raise OSError(f"load {count}")
        return {"n": count}


def looking(load: Any, every: Any, inbox: Any) -> sf.Flow[Any]:
    return sf.flow(inbox).key_by(lambda item: "n").join_table(sf.table(load, every=every)).map(lambda one: one.right)


async def asked(inbox: Any, out: list[Any]) -> Any:
    await inbox.send(0)
    await asyncio.sleep(0.01)
    return out[-1]


def test_it_is_read_again_in_the_background() -> None:
    async def main() -> None:
        inbox, out = sf.inbox(10), list[Any]()
        async with looking(Reloading(takes=2), "10s", inbox).to(out).start() as handle:
            assert await asked(inbox, out) == 1
            await asyncio.sleep(9.5)
            assert await asked(inbox, out) == 1
            await asyncio.sleep(1)  # the second load is under way, and the first is what there is
            assert await asked(inbox, out) == 1
            await asyncio.sleep(2)
            assert await asked(inbox, out) == 2
            await handle.cancel()

    run(main)


def test_the_clock_of_a_paused_run_stands() -> None:
    async def main() -> None:
        load = Reloading()
        async with looking(load, 10, sf.inbox(1)).to([]).start() as handle:
            await asyncio.sleep(5)
            await handle.pause()
            await asyncio.sleep(100)
            assert load.loads == 1
            await handle.resume()
            await asyncio.sleep(4)
            assert load.loads == 1
            await asyncio.sleep(3)
            assert load.loads == 2
            await handle.cancel()

    run(main)


def test_a_load_that_fails_leaves_the_table_and_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        inbox, out, told = sf.inbox(10), list[Any](), list[events.Event]()
        flow = looking(Reloading(2, 3, 5), 10, inbox)
        async with flow.to(out).start(on_event=told.append) as handle:
            for expected in (1, 1, 1, 4, 4, 6):
                assert await asked(inbox, out) == expected
                await asyncio.sleep(10)
            await handle.cancel()
        failures = [event for event in told if isinstance(event, events.TableNotRead)]
        assert [str(event.error) for event in failures] == ["load 2", "load 3", "load 5"]
        assert failures[0].table == "Table(Reloading)"

    with caplog.at_level(logging.WARNING):
        run(main)
    assert [record.getMessage().count("stays as it was") for record in caplog.records] == [1, 1]


def test_what_is_no_mapping_is_a_failure_like_any_other() -> None:
    async def main() -> None:
        told: list[events.Event] = []
        given = iter([{"n": 1}, [1, 2]])

        async def load() -> Any:
            return next(given)

        async with looking(load, 10, sf.inbox(1)).to([]).start(on_event=told.append) as handle:
            await asyncio.sleep(11)
            await handle.cancel()
        (failure,) = (event for event in told if isinstance(event, events.TableNotRead))
        assert "expected a mapping" in str(failure.error)

    run(main)


@pytest.mark.parametrize("load", [Reloading(1), lambda: [1]], ids=["fails", "no mapping"])
def test_the_first_load_fails_the_run(load: Callable[[], Any]) -> None:
    read = FaultySource(items=[1])
    with pytest.raises((OSError, sf.FlowError)) as caught:
        ran(sf.flow(read).key_by(itself).join_table(sf.table(load), name="names"))
    assert "operator 'names'" in "".join(caught.value.__notes__)
    assert "read" not in read.log.methods()  # nothing was taken before


def test_a_run_can_be_stopped_while_a_table_is_read() -> None:
    async def main() -> None:
        handle = looking(Reloading(takes=1000), None, sf.inbox(1)).to([]).start()
        await asyncio.sleep(1)
        await handle.cancel()
        assert handle.state == "cancelled"

    run(main)


def test_it_can_be_cancelled_at_every_await() -> None:
    async def scenario() -> None:
        source = FaultySource(items=range(4), batch=1, delay=0.02)
        await sf.flow(source).key_by(itself).join_table(sf.table(Reloading(takes=0.01), every=0.03)).to([]).run()

    cancel_everywhere(scenario)


def test_a_key_that_cannot_be_looked_up_follows_the_policy() -> None:
    async def load() -> dict[int, int]:
        return {1: 1}

    flow = sf.flow([[1], 1])
    with pytest.raises(TypeError, match="unhashable"):
        ran(flow.key_by(itself).join_table(sf.table(load)))
    assert ran(flow.key_by(itself, on_error="skip").join_table(sf.table(load))) == [sf.Joined(1, 1, 1)]


def test_a_checkpoint_holds_nothing_of_it_and_a_run_goes_on_with_a_fresh_table() -> None:
    async def main() -> None:
        numbers = FaultySource(items=range(4), batch=1, delay=0.01, can_seek=True)
        load = Reloading()
        joined = sf.flow(numbers).key_by(lambda _: "n").join_table(sf.table(load)).map(lambda one: one.left)
        out: list[Any] = []
        async with joined.to(out).start() as handle:
            await asyncio.sleep(0.025)
            saved = await handle.checkpoint()
            count = len(out)
            await handle.cancel()
        del out[count:]
        await joined.to(out).run(resume=saved)
        assert out == [0, 1, 2, 3]
        assert load.loads == 2

    run(main)


def test_what_cannot_work_is_refused_and_explained() -> None:
    keyed: Any = sf.flow([1]).key_by(itself)
    for make, said in (
        (lambda: keyed.join_table({1: 2}), r"expected sf.table\(load\)"),
        (lambda: keyed.join_table(sf.table(dict), how="outer"), "'inner', 'left'"),
        (lambda: sf.table(dict, every=0), "above 0"),
        (lambda: sf.table(dict, every="often"), "no stretch of time"),
        (lambda: sf.table(cast(Any, {})), "Table"),
    ):
        with pytest.raises(sf.FlowError, match=said):
            make()
    found = keyed.join_table(sf.table(Reloading(), every="10m")).explain()
    assert "join_table(Reloading, every=600 s, how=left)" in found
    assert "not repeatable" in found
    assert "not repeatable" not in keyed.join_table(sf.table(dict)).explain()
