"""The explorer of crashes finds planted bugs, each under the loss that shows it, and passes what is right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import streamflow as sf
from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.testing import CrashExplorer, LoopDeadlock, NotRecovered, SimulatedCheckpoints, SimulatedDisk

OUT, PART = "/data/out.txt", "/data/.out.txt.part"
ITEMS, EVERY = 60, 7
Life = Callable[[SimulatedDisk], Coroutine[Any, Any, None]]


def fresh() -> SimulatedDisk:
    return SimulatedDisk(folders=["/data"])


class Sink:
    """Write a file in two phases; each subclass forgets something."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.disk = disk

    def open(self) -> None:
        self.file = self.disk.open_to_append(PART, lines=False)
        self.file.truncate(0)

    def resume(self, length: int) -> None:
        self.file = self.disk.open_to_continue(PART)
        self.cut(length)

    def cut(self, length: int) -> None:
        self.file.truncate(length)

    def write(self, data: bytes) -> None:
        self.file.write(memoryview(data))

    def prepare(self) -> int:
        self.file.sync()
        self.name()
        return self.file.length

    def name(self) -> None:
        self.disk.sync_directory("/data")

    def publish(self) -> None:
        self.file.sync()
        self.disk.rename(PART, OUT)


class ForgetsToSync(Sink):
    def prepare(self) -> int:
        self.name()
        return self.file.length


class ForgetsToSyncTheName(Sink):
    def name(self) -> None:
        pass


class RenamesBeforeItSyncs(Sink):
    def publish(self) -> None:
        self.disk.rename(PART, OUT)
        self.file.sync()


class DoesNotCut(Sink):
    def cut(self, length: int) -> None:
        pass


class CutsOneTooFew(Sink):
    def cut(self, length: int) -> None:
        self.file.truncate(min(length + 1, self.file.length))


def life(kind: type[Sink]) -> Life:
    """Return a program that writes with a `kind` of sink and saves checkpoints: first the file, then the word of it."""

    async def live(disk: SimulatedDisk) -> None:
        store, sink = SimulatedCheckpoints(disk), kind(disk)
        store.open()
        saved = store.latest()
        if saved is not None and saved.stand == "done":
            return
        if saved is not None and disk.kind(OUT) == "file":  # it had its name, and the last word was not saved any more
            store.save(SavedCheckpoint(epoch=saved.epoch + 1, stand="done"))
            return
        at, epoch = 0, 0
        if saved is not None:
            at, epoch = saved.items, saved.epoch
            sink.resume(json.loads(saved.parts["sink"][0]))
        else:
            sink.open()
        while at < ITEMS:
            sink.write(b"item %d\n" % at)
            at += 1
            if at % EVERY == 0:
                epoch += 1
                part = json.dumps(sink.prepare()).encode()
                store.save(SavedCheckpoint(epoch=epoch, items=at, parts={"sink": [part]}))
        sink.publish()
        store.save(SavedCheckpoint(epoch=epoch + 1, stand="done"))

    return live


def nothing_half_written(disk: SimulatedDisk) -> None:
    whole = b"".join(b"item %d\n" % n for n in range(ITEMS))
    if disk.files().get(OUT, whole) != whole:
        raise NotRecovered("a half-written file bears the final name")


def test_a_sink_that_forgets_nothing_is_recovered_everywhere() -> None:
    explorer = CrashExplorer(life=life(Sink), disk=fresh, always=nothing_half_written)
    explored = explorer.explore()
    assert explored.operations >= 100
    assert explored.tried >= 3 * explored.operations


@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        (ForgetsToSync, "drop unsynced"),
        (ForgetsToSyncTheName, "drop unsynced"),
        (RenamesBeforeItSyncs, "drop unsynced"),
        (DoesNotCut, "keep all"),
        (CutsOneTooFew, "keep all"),
    ],
)
def test_each_planted_bug_is_found_and_can_be_found_again(
    kind: type[Sink], loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = CrashExplorer(life=life(kind), disk=fresh, always=nothing_half_written, again=0)
    with pytest.raises((NotRecovered, FileNotFoundError)) as first:
        explorer.explore()
    note = first.value.__notes__[-1]
    assert loss in note
    assert "python -m pytest 'tests/testing/test_crashes.py::test_each_planted_bug" in note

    told = note.partition("STREAMFLOW_DEATHS='")[2].partition("'")[0]
    monkeypatch.setenv("STREAMFLOW_DEATHS", told)
    with pytest.raises(type(first.value)) as again:
        explorer.explore()
    assert str(again.value) == str(first.value)
    monkeypatch.delenv("STREAMFLOW_DEATHS")


@pytest.mark.parametrize("kind", [ForgetsToSync, RenamesBeforeItSyncs, DoesNotCut])
def test_a_torn_tail_shows_it_as_well(kind: type[Sink], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamflow.testing.crashes.LOSSES", ("torn tail",))
    with pytest.raises((NotRecovered, FileNotFoundError)):
        CrashExplorer(life=life(kind), disk=fresh, always=nothing_half_written, again=0).explore()


def test_a_program_that_is_right_only_once_is_found_by_a_second_death() -> None:
    class Twice(Sink):
        """Cut to where the first recovery began, whatever was prepared since."""

        def resume(self, length: int) -> None:
            super().resume(length)
            self.prepare = lambda: length  # type: ignore[method-assign]

    explorer = CrashExplorer(life=life(Twice), disk=fresh, again=0)
    explorer.explore()
    with pytest.raises(NotRecovered):
        CrashExplorer(life=life(Twice), disk=fresh, again=100).explore()


def test_a_program_that_hangs_when_the_power_goes_is_told() -> None:
    async def live(disk: SimulatedDisk) -> None:
        try:
            disk.create("/data/a").sync()
            disk.sync_directory("/data")
        except BaseException:
            await asyncio.Event().wait()

    with pytest.raises(LoopDeadlock):
        CrashExplorer(life=live, disk=fresh).explore()


def test_success_is_durable_or_it_is_none() -> None:
    async def live(disk: SimulatedDisk) -> None:
        disk.create("/data/a")

    with pytest.raises(NotRecovered, match=r"after its end and a loss of power, '/data/a' is missing"):
        CrashExplorer(life=live, disk=fresh).explore()


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.csv"])
def test_a_file_sink_without_checkpoints_writes_all_or_nothing(name: str) -> None:
    """A run that is repeated from the start writes the whole file, and before that there is none, or the old one."""
    path = f"/data/{name}"
    kind = sf.sinks.Csv if name.endswith("csv") else sf.sinks.JsonLines
    whole: list[bytes] = []

    def with_input() -> SimulatedDisk:
        lines = b"".join(b'{"n": %d}\n' % n for n in range(200))
        return SimulatedDisk({"/data/in.jsonl": lines})

    async def live(disk: SimulatedDisk) -> None:
        source = sf.sources.JsonLines("/data/in.jsonl", files=disk, chunk=100)
        await sf.flow(source).map(lambda row: row | {"m": row["n"] + 1}).to(kind(path, files=disk)).run()
        whole.append(disk.files()[path])

    def all_or_nothing(disk: SimulatedDisk) -> None:
        assert disk.files().get(path, whole[0]) == whole[0]

    explorer = CrashExplorer(life=live, disk=with_input, always=all_or_nothing, again=50)
    assert explorer.explore().operations >= 4
    assert len(set(whole)) == 1
