"""Tickets: never more than there are places, first come first served, and none is lost by a cancellation."""

from __future__ import annotations

import asyncio
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from streamflow.executors.tickets import Tickets
from streamflow.testing import run


@given(st.integers(1, 4), st.lists(st.sampled_from(["come", "leave", "cancel"]), max_size=40))
def test_against_a_plain_queue(capacity: int, steps: list[str]) -> None:
    async def main() -> None:
        tickets = Tickets(capacity)
        inside: deque[int] = deque()
        waiting: deque[int] = deque()
        tasks: dict[int, asyncio.Task[None]] = {}
        serial = 0
        for step in steps:
            if step == "come":
                serial += 1
                tasks[serial] = asyncio.create_task(tickets.wait())
                (inside if len(inside) < capacity and not waiting else waiting).append(serial)
            elif step == "leave" and inside:
                inside.popleft()
                tickets.give_back()
                if waiting:
                    inside.append(waiting.popleft())
            elif step == "cancel" and waiting:
                tasks[waiting.pop()].cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert tickets.taken == len(inside) <= capacity
            assert {number for number, task in tasks.items() if task.done() and not task.cancelled()} >= set(inside)
            assert not any(tasks[number].done() for number in waiting)
        for number in waiting:
            tasks[number].cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    run(main)


def test_a_place_given_to_who_is_cancelled_at_that_moment_goes_on() -> None:
    async def main() -> None:
        tickets = Tickets(1)
        await tickets.wait()
        first, second = asyncio.create_task(tickets.wait()), asyncio.create_task(tickets.wait())
        await asyncio.sleep(0)
        tickets.give_back()
        first.cancel()
        await asyncio.wait([second])
        assert first.cancelled()
        assert tickets.taken == 1

    run(main)
