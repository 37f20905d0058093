"""What a user's function is given: a resource, a position, its context; and what it is told when it misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import streamflow as sf
from streamflow.model import events
from streamflow.testing import run


class Session:
    """Stand for something that is opened once and closed once."""

    def __init__(self) -> None:
        self.log: list[str] = []

    @contextlib.contextmanager
    def plain(self) -> Iterator[Session]:
        self.log.append("open")
        yield self
        self.log.append("close")

    @contextlib.asynccontextmanager
    async def awaited(self) -> AsyncIterator[Session]:
        self.log.append("open")
        yield self
        self.log.append("close")


@pytest.mark.parametrize("kind", ["plain", "awaited"])
@pytest.mark.parametrize("concurrency", [1, 5])
def test_a_resource_is_opened_once_a_run_and_handed_to_every_call(kind: str, concurrency: int) -> None:
    async def step(n: int, session: Session) -> int:
        assert session.log == ["open"]
        return n

    session = Session()
    flow = sf.flow(range(20)).map(step, resource=getattr(session, kind), concurrency=concurrency)
    assert run(flow.collect) == list(range(20))
    assert session.log == ["open", "close"]


def test_a_plain_function_can_have_a_resource_too_and_it_is_closed_after_a_failure() -> None:
    def step(n: int, log: list[str]) -> float:
        return 1 / n

    opened: list[str] = []

    @contextlib.contextmanager
    def resource() -> Iterator[list[str]]:
        opened.append("open")
        try:
            yield opened
        finally:
            opened.append("close")

    with pytest.raises(ZeroDivisionError):
        run(sf.flow([1, 0]).map(step, resource=resource).collect)
    assert opened == ["open", "close"]


def test_what_is_no_context_manager_is_told() -> None:
    with pytest.raises(sf.FlowError, match="is no context manager"):
        run(sf.flow([1]).map(lambda n, r: n, resource=list).collect)


def test_positions_on_request_in_the_stage_of_the_source_and_behind_edges(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one\n\nthree\nfour\n")

    def note(line: str, position: sf.Position) -> tuple[str, int | None, int | None]:
        return line, position.line, position.offset

    async def later(line: str) -> str:
        await asyncio.sleep(0)
        return line

    expected = [("one", 1, 0), ("three", 3, 5), ("four", 4, 11)]
    near = sf.flow(path).filter(bool).map(note, with_position=True)
    far = sf.flow(path).filter(bool).map(later, concurrency=3).buffer(1).map(note, with_position=True)
    asked = sf.flow(path).filter(bool).map(lambda line: note(line, sf.position()))  # type: ignore[arg-type]
    for flow in (near, far, asked):
        assert asyncio.run(flow.collect()) == expected
    with pytest.raises(sf.FlowError, match="only inside a function"):
        sf.position()


def test_positions_survive_batches() -> None:
    flow = sf.flow(list("abc")).buffer(1).batch(2).unbatch().map(lambda c, p: (c, p.index), with_position=True)
    assert run(flow.collect) == [("a", 0), ("b", 1), ("c", 2)]


def test_auto_concurrency_finds_what_a_service_can_take() -> None:
    under_way = most = 0

    async def service(n: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(1 if under_way <= 20 else under_way)  # beyond twenty at once it gets slower
        under_way -= 1
        return n

    assert run(sf.flow(range(3000)).map(service, concurrency="auto").collect) == list(range(3000))
    assert 15 <= most <= 60


def test_a_function_that_holds_the_loop_is_named_once_with_advice() -> None:
    def spin(n: int) -> int:
        end = time.thread_time() + 0.06
        while time.thread_time() < end:
            pass
        return n

    seen: list[events.Event] = []
    sf.flow([1, 2]).map(spin).to(None).run_sync(on_event=seen.append)
    [held] = [event for event in seen if isinstance(event, events.LoopHeld)]
    assert "map(spin)" in held.stage
    assert held.seconds >= 0.06
    assert 'on="process"' in held.advice
    assert 'on="thread"' in held.advice


def test_the_loop_of_a_plain_for_has_the_callers_context() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")
    name.set("caller")

    async def who(n: int) -> str:
        return name.get()

    assert list(sf.flow([1]).map(who)) == ["caller"]


@pytest.mark.parametrize("function", [functools.partial(pow, 2), (2).__add__, str, [4, 5, 6].__getitem__, lambda n: n])
def test_callables_of_any_kind_work_in_both_drivers(function: Any) -> None:
    expected = [function(item) for item in (0, 1)]
    assert list(sf.flow([0, 1]).map(function)) == expected
    assert run(sf.flow([0, 1]).map(function).collect) == expected


def test_a_loop_that_is_busy_lets_other_threads_and_timers_live() -> None:
    async def main() -> None:
        flow = sf.flow(range(400_000)).map(abs).buffer().map(abs).buffer().map(abs)
        loop = asyncio.get_running_loop()
        async with flow.to(None).start() as handle:
            worst = 0.0
            while handle.report is None:
                began = loop.time()
                await asyncio.to_thread(lambda: None)
                worst = max(worst, loop.time() - began)
        # Far below what happens without giving the GIL away (most of the run), far above a noisy machine.
        assert worst < 0.1

    asyncio.run(main())
