"""Markers keep their place among the items through every kind of stage, and fan-in waits for all of its inputs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import streamflow as sf
from streamflow.engine.runner import Run
from streamflow.engine.stages.source import SourceStage
from streamflow.model.markers import Idle, Marker, Watermark
from streamflow.testing import run


async def slowly(n: Any) -> Any:
    await asyncio.sleep(0.01 * (7 * n % 5))
    return n


async def twice(n: int) -> Any:
    for _ in range(2):
        await asyncio.sleep(0.01)
        yield n


STAGES = {
    "fused": lambda flow: flow.buffer(3).map(lambda n: n).filter(lambda n: n >= 0).buffer(2),
    "concurrent": lambda flow: flow.map(slowly, concurrency=4),
    "unordered": lambda flow: flow.map(slowly, concurrency=4, ordered=False),
    "auto": lambda flow: flow.map(slowly, concurrency="auto"),
    "expand": lambda flow: flow.flat_map(lambda n: [n] * 3),
    "async expand": lambda flow: flow.flat_map(twice),
    "throttle": lambda flow: flow.throttle(3, per=1),
    "timeout": lambda flow: flow.timeout(1000),
    "drop": lambda flow: flow.buffer(3, overflow="drop_oldest").map(slowly),
    "route": lambda flow: sf.merge(*flow.branch(lambda n: n % 2)),
    "shared": lambda flow: sf.merge(flow.map(slowly, concurrency=3), flow),
    "concat": lambda flow: sf.concat(flow),
}
FORKS = ("route", "shared")


def sources(handle: Run) -> list[SourceStage]:
    return [stage for stage in handle._wiring.stages if isinstance(stage, SourceStage)]


def noting(handle: Run, seen: list[Any]) -> None:
    """Note the markers that reach the sink."""
    end = handle._wiring.stages[-1]
    pass_on = end.pass_on

    async def noted(marker: Marker) -> None:
        if isinstance(marker, (Watermark, Idle)):
            seen.append(marker)
        await pass_on(marker)

    end.pass_on = noted  # type: ignore[method-assign]


async def say(handle: Run, inbox: sf.Inbox[int], items: range, marker: Marker) -> None:
    """Send items, and the marker as soon as they have left the source: they are still under way then."""
    (source,) = (one for one in sources(handle) if one.planned.source is inbox)
    for item in items:
        await inbox.send(item)
    await asyncio.sleep(0.001)
    assert source.ledger.received == items[-1] + 1
    assert source.ledger.state == "starved"
    source.outlet.mark(marker)


@pytest.mark.parametrize("stage", STAGES)
def test_a_marker_overtakes_nothing_and_is_not_overtaken(stage: str) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def note(n: int) -> None:
            await asyncio.sleep(0)
            seen.append(n)

        inbox: sf.Inbox[int] = sf.inbox(100)
        async with STAGES[stage](sf.flow(inbox)).to(note).start() as handle:
            noting(handle, seen)
            await say(handle, inbox, range(20), Watermark(20))
            await say(handle, inbox, range(20, 40), Watermark(40))
            inbox.close()
        assert [one for one in seen if isinstance(one, Marker)] == [Watermark(20), Watermark(40)]
        first, second = (seen.index(Watermark(time)) for time in (20, 40))
        assert min(item for item in seen[first + 1 :] if isinstance(item, int)) >= 20
        assert second == len(seen) - 1
        if stage not in FORKS:  # where one path is quicker than the other, its items may well come before
            assert {*seen[:first]} <= {*range(20)}
            assert {*seen[first + 1 : second]} <= {*range(20, 40)}
        if stage != "drop":
            assert {*seen[:first]} | {*seen[first + 1 : second]} == {*range(40)}

    run(main)


@pytest.mark.parametrize("join", [sf.merge, sf.zip])
def test_event_time_of_a_fan_in_is_that_of_its_slowest_input_unless_it_is_idle(join: Any) -> None:
    async def main() -> None:
        seen: list[Any] = []
        left: sf.Inbox[int] = sf.inbox(10, name="left")
        right: sf.Inbox[int] = sf.inbox(10, name="right")

        async def drop(_: object) -> None: ...

        async with join(sf.flow(left), sf.flow(right)).to(drop).start() as handle:
            noting(handle, seen)
            await say(handle, left, range(1), Watermark(10))
            await asyncio.sleep(1)
            assert seen == []  # the right one has said nothing yet
            await say(handle, right, range(1), Watermark(4))
            await asyncio.sleep(1)
            assert seen == [Watermark(4)]
            await say(handle, right, range(1, 2), Idle())
            await asyncio.sleep(1)
            assert seen == [Watermark(4), Watermark(10)]
            await say(handle, left, range(1, 2), Idle())
            await asyncio.sleep(1)
            assert seen == [Watermark(4), Watermark(10), Idle()]
            await say(handle, right, range(2, 3), Watermark(12))
            left.close()
            right.close()
        assert seen[-1] == Watermark(12)

    run(main)
