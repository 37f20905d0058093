"""What keys and windows remember, through a checkpoint at any place: what is resumed goes on as if unbroken."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.model.checkpoint import Checkpoint
from streamflow.operators import firing
from streamflow.testing import FaultySource, run
from tests.flows.test_checkpoints import noting
from tests.flows.test_windows import at, whose

KEYS = ["a", "b", None, 3, "c"]
#: Times that go on and step back.
EVENTS = [((n * 41) % 60 / 4 + n / 3, KEYS[(n * n) % 5]) for n in range(140)]


def timed() -> sf.Flow[Any]:
    flow = sf.flow(FaultySource(items=EVENTS, batch=7, can_seek=True, delay=0.001))
    return flow.event_time(at, max_lateness=4)


def everything() -> dict[str, sf.agg.Aggregation]:
    return {
        "n": sf.agg.count(),
        "mean": sf.agg.mean(at),
        "top": sf.agg.top_k(2, at),
        "median": sf.agg.quantile(0.5, at),
        "distinct": sf.agg.distinct(at),
        "all": sf.agg.collect(at),
    }


async def later(event: Any) -> Any:
    await asyncio.sleep(0.0007)
    return event


def late_too() -> sf.Flow[Any]:
    results = timed().key_by(whose).window(sf.tumbling(5)).collect()
    return sf.merge(results.map(lambda one: ("result", one)).filter(lambda _: False), results.late.map(str))


SHAPES = {
    "tumbling": lambda: timed().key_by(whose).window(sf.tumbling(6)).aggregate(**everything()),
    "sliding": lambda: timed().key_by(whose).window(sf.sliding(6, 2)).aggregate(**everything()),
    "session": lambda: timed().key_by(whose).window(sf.session(1.5), every=2).aggregate(**everything()),
    "early": lambda: timed().key_by(whose).window(sf.tumbling(20), every=3).collect(),
    "updated": lambda: timed().key_by(whose).window(sf.tumbling(6), late="update", keep=5).collect(),
    "global": lambda: timed().key_by(whose).window(sf.global_window(5, 9)).collect(),
    "global kept": lambda: timed().key_by(whose).window(sf.global_window(5, keep=True)).collect(),
    "edge": lambda: timed().buffer(3).key_by(whose).window(sf.tumbling(6)).aggregate(**everything()),
    "concurrent": lambda: timed().map(later, concurrency=4).key_by(whose).window(sf.sliding(6, 4)).collect(),
    "late": late_too,
    "twice": lambda: (
        timed()
        .key_by(whose)
        .window(sf.tumbling(2))
        .collect()
        .key_by(lambda one: one.key)
        .window(sf.tumbling(8))
        .collect()
    ),
    "scan": lambda: timed().key_by(whose).scan(lambda n, _: n + 1, 0),
    "fold": lambda: timed().key_by(whose).aggregate(**everything()),
    "map": lambda: timed().key_by(whose).map_with_state(lambda seen, event: ([*seen, event[0]], len(seen)), [], ttl=3),
}


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=6)
@given(st.lists(st.floats(0, 0.02), min_size=1, max_size=2), st.booleans())
def test_a_run_resumed_from_a_checkpoint_writes_what_an_unbroken_one_would(
    shape: str, waits: list[float], fuse: bool
) -> None:
    async def main() -> None:
        whole = await SHAPES[shape]().collect()
        kept: list[Any] = []
        resume: Checkpoint | None = None
        for wait in waits:
            written: list[Any] = []
            at_barrier: list[int] = []
            async with (
                SHAPES[shape]().to(noting(written, at_barrier)).start(resume=resume or "auto", fuse=fuse) as handle
            ):
                await asyncio.sleep(wait)
                if handle.state == "finished":
                    kept += written
                    break
                taken = await handle.checkpoint()
                # As if it had been to the disk: nothing of it is shared with the run, and all of it is plain data.
                resume = Checkpoint(taken.epoch, pickle.loads(pickle.dumps(taken.parts)))
                kept += written[: at_barrier[0]]
                await asyncio.sleep(0.002)
                assert taken.parts == resume.parts  # it is not changed by what has come since
                await handle.cancel()
        else:
            rest: list[Any] = []
            await SHAPES[shape]().to(rest).run(resume=resume or "auto", fuse=fuse)
            kept += rest
        assert kept == whole
        assert whole

    run(main)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_kept_is_plain_data_in_small_pieces(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "CELLS_A_CHUNK", 3)

    async def main() -> None:
        async with SHAPES[shape]().to(None).start() as handle:
            await asyncio.sleep(0.012)
            taken = await handle.checkpoint()
            await handle.cancel()
        for key, part in taken.parts.items():
            if "key_by" in key:
                assert msgspec.msgpack.encode(part)
                assert all(len(piece) <= 4 for piece in part)

    run(main)
