"""Whole flows in orders that seeds decide: nothing lost, nothing twice, in order where that is promised.

`STREAMFLOW_SEED=123 python -m pytest tests/simulation -k name` repeats one of them.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

import streamflow as sf
from streamflow.metrics.report import RunReport
from streamflow.testing import FaultySink, FaultySource, InjectedError, seeds, simulate
from tests.simulation.shapes import SHAPES, N, Shape, hop, numbers
from tests.sizes import examples


@pytest.fixture
def tries() -> Sequence[int]:
    """Give the seeds under which each is tried."""
    return seeds(examples(8, nightly=3000))


def check_books(report: RunReport, *, whole: bool = True) -> None:
    for one in (*report.statistics.stages, *report.statistics.edges):
        assert one.conserved, one
        assert not (whole and one.abandoned), one


def check_output(shape: Shape, out: list[Any]) -> None:
    if shape.ordered:
        assert out == shape.model
    else:
        assert Counter(out) == Counter(shape.model)


def check_part(shape: Shape, out: list[Any]) -> None:
    if shape.ordered:
        assert out == shape.model[: len(out)]
    else:
        assert Counter(out) <= Counter(shape.model)


@pytest.mark.parametrize("name", SHAPES)
def test_a_flow_gives_what_its_steps_say(name: str, tries: Sequence[int]) -> None:
    async def main() -> Any:
        shape, out = SHAPES[name](), []
        report = await shape.flow.to(out).run(fuse=random.random() < 0.8)
        check_output(shape, out)
        check_books(report, whole=shape.whole)
        return out

    for seed in tries:
        first = simulate(main, seed)
        if seed % 4 == 0:
            assert simulate(main, seed) == first


@pytest.mark.parametrize("name", SHAPES)
def test_stopped_in_any_gear_it_loses_nothing_without_counting_it(name: str, tries: Sequence[int]) -> None:
    async def main() -> None:
        shape, out = SHAPES[name](), []
        handle = shape.flow.to(out).start()
        for _ in range(random.choice((0, 1, 3, 10, 30))):
            await asyncio.sleep(random.choice((0, 0, 0.001, 0.01)))
        match random.choice(("pause", "drain", "cancel", "drain, cancel", "pause, drain")):
            case "pause":
                await handle.pause()
                await asyncio.sleep(1)
                settled = list(out)
                await asyncio.sleep(1)
                assert out == settled
                await handle.resume()
                report = await handle.wait()
                check_output(shape, out)
            case "drain":
                report = await handle.drain()
                check_books(report, whole=shape.whole)
            case "pause, drain":
                await handle.pause()
                report = await handle.drain()
                check_books(report, whole=shape.whole)
            case "cancel":
                report = await handle.cancel()
            case _:
                draining = asyncio.create_task(handle.drain())
                await asyncio.sleep(random.choice((0, 0.001)))
                report = await handle.cancel()
                await asyncio.gather(draining, return_exceptions=True)
        check_books(report, whole=False)
        if name != "batches":  # the last of which may be shorter
            check_part(shape, out)

    for seed in tries:
        simulate(main, seed)


@pytest.mark.parametrize("place", ["read", "hang", "disconnect"])
def test_a_source_that_fails_fails_the_run_after_what_it_gave(place: str, tries: Sequence[int]) -> None:
    async def main() -> None:
        at = random.randrange(N)
        fault: dict[str, Any] = {"read": {"fail_at": at}, "hang": {"hang_at": at}, "disconnect": {"disconnect_at": at}}
        source, sink = FaultySource(items=range(N), batch=3, **fault[place]), FaultySink(delay=0.001)
        flow = sf.merge(sf.flow(source).map(hop, concurrency=2), numbers().filter(lambda n: False)).to(sink)
        handle = flow.start()
        if place == "hang":
            await asyncio.sleep(1)
            report = await handle.cancel()
            assert sink.log.items == list(range(1, at + 1))
        else:
            with pytest.raises((InjectedError, ConnectionResetError)):
                await handle.wait()
            report = handle.report
            assert report is not None
            assert sink.log.items == list(range(1, at + 1))
        check_books(report, whole=False)
        assert sink.log.visible == []
        assert (sink.log.aborted, sink.log.closed, source.log.closed) == (1, 1, 1)
        assert not sink.log.violations + source.log.violations

    for seed in tries:
        simulate(main, seed)


def test_a_sink_that_loses_its_connection_is_tried_again(tries: Sequence[int]) -> None:
    async def main() -> None:
        retry = sf.Retry(attempts=4, base=0.01)
        sink = FaultySink(disconnect_at=random.randrange(N), times=random.randint(1, 3), delay=0.001, retry=retry)
        report = await numbers().map(hop, concurrency=3).to(sink).run()
        assert sink.log.visible == list(range(1, N + 1))
        check_books(report)
        assert not sink.log.violations

    for seed in tries:
        simulate(main, seed)


@pytest.mark.parametrize("method", ["open", "write", "flush", "finish", "close"])
def test_a_sink_that_fails_shows_nothing_and_everything_is_closed(method: str, tries: Sequence[int]) -> None:
    async def main() -> None:
        source, bad, good = FaultySource(items=range(N)), FaultySink(fail_in=method), FaultySink()
        common = sf.flow(source).map(hop, concurrency=3)
        run = sf.together(common.to(bad), common.buffer(2).to(good)).start()
        try:
            await run.wait()
        except InjectedError:
            assert method != "flush" or bad.log.count("flush")
        assert run.report is not None
        check_books(run.report, whole=False)
        assert bad.log.closed == (method != "open")
        assert source.log.opened == source.log.closed
        assert good.log.opened == good.log.closed
        if method in ("open", "write"):
            assert good.log.visible == bad.log.visible == []

    for seed in tries:
        simulate(main, seed)
