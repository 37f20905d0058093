"""Every place is cancelled once, and what goes wrong there is named."""

from __future__ import annotations

import asyncio
import doctest
from pathlib import Path
from typing import Any

import pytest

from streamflow.testing import CancelPoint, LoopDeadlock, cancel_everywhere, cancellation, run


async def three_awaits() -> str:
    await asyncio.sleep(0)
    await asyncio.sleep(1)
    await asyncio.create_task(asyncio.sleep(2))
    return "done"


def test_the_examples_run() -> None:
    assert doctest.testmod(cancellation).failed == 0


@pytest.mark.parametrize("at", ["await", "wakeup"])
def test_each_suspension_is_cancelled_once(at: Any) -> None:
    outcomes = list(cancel_everywhere(three_awaits, at=at))
    assert [outcome.cancelled for outcome in outcomes] == [True, True, True, False]
    assert outcomes[-1].result == "done"
    assert not outcomes[-1].asked
    assert all("three_awaits" in str(outcome.where) for outcome in outcomes[:-1])


def test_turns_reach_what_other_tasks_are_at() -> None:
    async def main() -> str:
        return await asyncio.create_task(three_awaits())

    outcomes = list(cancel_everywhere(main, at="turn"))
    assert len(outcomes) > 4
    assert [outcome.cancelled for outcome in outcomes] == [True] * (len(outcomes) - 1) + [False]


def test_any_cancels_the_other_tasks_too() -> None:
    async def other() -> str:
        await asyncio.sleep(1)
        return "whole"

    async def main() -> str:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(other())
        return "cancelled" if task.cancelled() else task.result()

    outcomes = list(cancel_everywhere(main, at="any"))
    assert [outcome.result for outcome in outcomes] == [None, "cancelled", "whole"]


@pytest.mark.parametrize(("at", "lost"), [("await", False), ("wakeup", True)])
def test_the_late_race_is_reached(at: Any, lost: bool) -> None:
    """The item has left the queue when the cancellation comes: who does not put it back has lost it."""
    queue: list[int] = []

    async def main() -> None:
        queue[:] = [7]
        got = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(1, lambda: got.set_result(queue.pop()))
        try:
            await got
        except asyncio.CancelledError:
            timer.cancel()
            raise

    outcomes = cancel_everywhere(main, at=at)
    assert next(outcomes).cancelled
    assert (queue == []) is lost


def test_a_swallowed_cancellation_shows() -> None:
    async def main() -> str:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return "what cancellation?"
        return "done"

    first, last = cancel_everywhere(main)
    assert first.swallowed
    assert first.result == "what cancellation?"
    assert not last.swallowed


def test_an_error_is_an_outcome() -> None:
    async def main() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            raise KeyError("from the clean-up")

    assert [type(outcome.error) for outcome in cancel_everywhere(main)] == [KeyError, KeyError]


def test_a_leak_is_found_and_the_step_named() -> None:
    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(60), name="helper")
        await asyncio.sleep(1)
        await asyncio.sleep(1)
        task.cancel()  # reached on the straight way only
        await asyncio.wait([task])

    with pytest.raises(AssertionError, match="task 'helper'") as caught:
        list(cancel_everywhere(main))
    assert caught.value.__notes__[0].startswith("cancelled at await number 1: ")
    assert "test_cancellation.py" in caught.value.__notes__[0]
    assert len(list(cancel_everywhere(main, leaks=False))) == 4


def test_a_temporary_file_is_found(tmp_path: Path) -> None:
    async def main() -> None:
        part = tmp_path / ".out.part"
        part.touch()
        await asyncio.sleep(1)
        part.rename(tmp_path / "out")

    with pytest.raises(AssertionError, match=r"\.out\.part"):
        list(cancel_everywhere(main, directories=(tmp_path,)))


def test_a_hang_after_a_cancellation_is_named() -> None:
    async def main() -> None:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    with pytest.raises(LoopDeadlock) as caught:
        list(cancel_everywhere(main))
    assert "number 1" in caught.value.__notes__[0]


def test_what_never_ends_uncancelled_is_said() -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110  # nothing is waited for
            await asyncio.sleep(1)

    with pytest.raises(AssertionError, match="still cancelled at await number 20"):
        list(cancel_everywhere(main, limit=20))


def test_a_cancel_point_counts_over_several_coroutines() -> None:
    async def main() -> tuple[list[str], int, str | None]:
        point = CancelPoint(step=3)
        seen: list[str] = []
        for number in range(4):
            task = asyncio.create_task(point.over(asyncio.sleep(1, f"{number}")))
            await asyncio.wait([task])
            seen.append("cancelled" if task.cancelled() else task.result())
        return seen, point.count, point.where

    seen, count, where = run(main)
    assert seen == ["0", "1", "cancelled", "3"]
    assert count == 4
    assert where is not None
    assert "sleep" in where


def test_a_watched_coroutine_passes_values_and_errors_as_await_does() -> None:
    async def inner() -> str:
        try:
            async with asyncio.timeout(1):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "never"

    async def main() -> str:
        return await CancelPoint(step=0).over(inner())

    assert run(main) == "timed out"
