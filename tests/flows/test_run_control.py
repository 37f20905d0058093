"""Whoever holds the handle of a run may ask for anything, at any time and in any order: several lives of one flow."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import FaultySource, SimulatedCheckpoints, SimulatedDisk, simulate
from tests.sizes import examples

ITEMS = 80
WHOLE = "".join(f"{n}\n" for n in range(ITEMS)).encode()
#: What is asked, as often as it makes sense to draw it. To wait is to ask for nothing.
ASKED = st.sampled_from(["wait", "wait", "wait", "pause", "resume", "checkpoint", "drain", "cancel", "late drain"])
#: What may be seen after a state was seen, by the model: nothing that is over lives again, only a pause goes back.
OVER = {"finished", "suspended", "cancelled", "drained"}  # the last, where it had not begun
FOLLOWS = {
    "opening": {"opening", "running", "paused", "draining", "cancelling", *OVER},
    "running": {"running", "paused", "draining", "cancelling", *OVER},
    "paused": {"paused", "running", "draining", "cancelling", *OVER},
    "draining": {"draining", "cancelling", *OVER},
    "cancelling": {"cancelling", *OVER},
} | {state: {state} for state in OVER}


async def hop(number: int) -> int:
    await asyncio.sleep(0.001 * (number * 7 % 4))
    return number


def flow(disk: SimulatedDisk) -> sf.Runnable:
    numbers = sf.flow(FaultySource(items=range(ITEMS), batch=3, delay=0.003, can_seek=True))
    return numbers.map(hop, concurrency=4).batch(5, within=0.5).unbatch().to(sf.sinks.JsonLines("/d/out", files=disk))


async def ask(handle: sf.Run, what: str, left: list[asyncio.Task[Any]]) -> None:
    """Ask for it; what takes a while is left to do so."""
    if what == "pause":
        await handle.pause()
    elif what == "resume":
        await handle.resume()
    elif what == "cancel":
        await handle.cancel()
    elif what == "drain":
        await handle.drain()
    elif what != "wait":
        asked = handle.checkpoint() if what == "checkpoint" else handle.drain(timeout=0.001)
        left.append(asyncio.ensure_future(asked))


async def live(disk: SimulatedDisk, asked: list[tuple[str, float]]) -> str:
    """Live once, and return how that ended; whatever is asked is answered, and the state follows the model."""
    store, left, seen = SimulatedCheckpoints(disk), list[asyncio.Task[Any]](), "opening"
    handle = flow(disk).start(checkpoint=store, every=0.02)
    for what, wait in asked:
        given = handle.statistics().items_in
        await asyncio.sleep(wait)
        # One batch may have been under way when the source was held.
        assert seen != "paused" or handle.state != "paused" or handle.statistics().items_in - given <= 3
        with suppress(sf.FlowError, sf.RunCancelled):
            await ask(handle, what, left)
        assert handle.state in FOLLOWS[seen], f"{seen} → {handle.state}, asked to {what}"
        seen = handle.state
    await handle.resume()
    with suppress(sf.RunCancelled):
        await handle.wait()
    await asyncio.gather(*left, return_exceptions=True)
    assert handle.state in OVER
    assert handle.report is not None
    assert all(stage.conserved for stage in handle.report.statistics.stages)
    return handle.state


@settings(max_examples=examples(100, nightly=3000))
@given(
    st.lists(st.lists(st.tuples(ASKED, st.floats(0, 0.04)), max_size=6), max_size=4),
    st.integers(0, 1 << 20),
)
def test_whatever_is_asked_of_a_run_and_when_nothing_is_lost_or_hangs(
    lives: list[list[tuple[str, float]]], seed: int
) -> None:
    disk = SimulatedDisk(folders=["/d"])

    async def main() -> None:
        for asked in lives:
            if await live(disk, asked) == "finished":
                break
        assert await live(disk, []) == "finished"

    simulate(main, seed)
    assert disk.files() == {"/d/out": WHOLE}
