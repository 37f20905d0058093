"""Sinks of files, led through checkpoints by hand, die at each operation on the disk and write what they should."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest

import streamflow as sf
from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.model.interfaces import InlineWriter, Sink, Writer
from streamflow.testing import CrashExplorer, SimulatedCheckpoints, SimulatedDisk

ITEMS, EVERY = 20, 5


async def put(writer: Writer[Any], sink: Sink[Any], item: Any) -> None:
    """Give a writer an item as the engine does: to one that is fused, encoded and one by one."""
    record = item if sink.encode is None else sink.encode(item)
    if isinstance(writer, InlineWriter):
        writer.put(record)
    else:
        await writer.write([record])


async def run_by_hand(disk: SimulatedDisk, sink: Sink[Any], *, bounded: bool = True) -> None:
    """Do what a run with checkpoints does: prepare, save, commit; and at the end once more before it finishes."""
    store = SimulatedCheckpoints(disk)
    store.open()
    saved = store.latest()
    if saved is not None and saved.stand == "done":
        return
    writer = await sink.open(bounded)
    epoch, at = 0, 0
    if saved is not None:
        epoch, at = saved.epoch, saved.items
        await writer.resume(orjson.loads(saved.parts["sink"][0]))
        await writer.commit(epoch)

    async def checkpoint(stand: Any) -> None:
        nonlocal epoch
        epoch += 1
        prepared = orjson.dumps(await writer.prepare(epoch))
        store.save(SavedCheckpoint(epoch=epoch, stand=stand, items=at, parts={"sink": [prepared]}))
        await writer.commit(epoch)

    if saved is None:
        await checkpoint("running")  # from here on, whatever is written can be taken back
    if saved is None or saved.stand == "running":
        while at < ITEMS:
            await put(writer, sink, {"n": at, "text": "x" * (at % 7)})
            at += 1
            if at % EVERY == 0:
                await checkpoint("running")
            elif at % EVERY == 3:
                await writer.flush()
        await checkpoint("finishing")
    await writer.finish()
    await writer.close()
    store.save(SavedCheckpoint(epoch=epoch + 1, stand="done"))


SINKS: dict[str, Callable[[SimulatedDisk], Sink[Any]]] = {
    "lines": lambda disk: sf.sinks.JsonLines("/d/out.jsonl", files=disk),
    "compressed": lambda disk: sf.sinks.JsonLines("/d/out.jsonl.gz", files=disk),
    "csv": lambda disk: sf.sinks.Csv("/d/out.csv", files=disk),
    "rolling": lambda disk: sf.sinks.Rolling(sf.sinks.JsonLines("/d/out/part-{n:03}.jsonl", files=disk), items=4),
    "keyed": lambda disk: sf.sinks.Rolling(
        sf.sinks.JsonLines("/d/{key}/part-{n}.jsonl", files=disk), key=lambda item: item["n"] % 3, items=5
    ),
}


def fresh() -> SimulatedDisk:
    return SimulatedDisk(folders=["/d"])


def life_of(name: str, *, bounded: bool = True) -> Callable[[SimulatedDisk], Coroutine[Any, Any, None]]:
    return lambda disk: run_by_hand(disk, SINKS[name](disk), bounded=bounded)


@pytest.mark.parametrize("name", [name for name in SINKS if name != "keyed"])
def test_a_file_is_what_an_unbroken_run_writes_wherever_it_dies(name: str) -> None:
    explorer = CrashExplorer(life=life_of(name), disk=fresh, again=5)
    assert explorer.explore().operations > 25


@pytest.mark.parametrize("name", ["lines", "csv"])
def test_a_file_that_is_written_in_place_is_cut_to_what_was_saved(name: str) -> None:
    explorer = CrashExplorer(life=life_of(name, bounded=False), disk=fresh, again=5)
    assert explorer.explore().operations > 25


@pytest.mark.nightly
@pytest.mark.parametrize("name", SINKS)
def test_the_same_under_many_seeds(name: str) -> None:
    for seed in range(1, 21):
        CrashExplorer(life=life_of(name), disk=fresh, seed=seed, again=100).explore()
