"""A disk that forgets: what is durable and what is not, counted, torn, full, slow and dead."""

from __future__ import annotations

import asyncio
import errno
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.files.file_system import OutputFile, SyncFailed
from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.testing import Crash, Fault, SimulatedCheckpoints, SimulatedDisk, simulate
from streamflow.testing.stored import LOSSES, Loss


def disk_with(**files: bytes) -> SimulatedDisk:
    return SimulatedDisk({f"/d/{name}": content for name, content in files.items()}, folders=["/d"])


def write(file: OutputFile, data: bytes) -> None:
    file.write(memoryview(data))


def names(disk: SimulatedDisk, loss: Loss = "drop unsynced") -> dict[str, bytes]:
    return {path.removeprefix("/d/"): content for path, content in disk.crash(loss).files().items()}


def test_content_is_durable_once_synced_and_a_name_once_its_folder_was() -> None:
    disk = disk_with()
    file = disk.create("/d/a")
    write(file, b"one")
    file.sync()
    assert names(disk) == {}
    disk.sync_directory("/d")
    write(file, b"two")
    assert names(disk) == {"a": b"one"}
    assert names(disk, "keep all") == {"a": b"onetwo"}


def test_a_name_without_its_content_is_an_empty_file() -> None:
    disk = disk_with(b=b"old")
    write(disk.create("/d/a"), b"new")
    disk.rename("/d/a", "/d/b")
    assert names(disk) == {"b": b""}


def test_what_was_removed_is_back_until_the_folder_is_synced() -> None:
    disk = disk_with(a=b"1", b=b"2")
    disk.remove("/d/a")
    assert disk.files() == {"/d/b": b"2"}
    assert names(disk) == {"a": b"1", "b": b"2"}
    disk.sync_directory("/d")
    assert names(disk) == {"b": b"2"}


def test_another_folder_may_be_synced_without_this_one() -> None:
    disk = SimulatedDisk(folders=["/d", "/e"])
    disk.create("/d/a")
    disk.create("/e/b")
    disk.sync_directory("/e")
    assert list(disk.crash("drop unsynced").files()) == ["/e/b"]


def test_made_folders_are_durable_and_so_is_what_is_cut() -> None:
    disk = SimulatedDisk()
    disk.make_directories("/x/y/z")
    file = disk.create("/x/y/z/a")
    disk.sync_directory("/x/y/z")
    write(file, b"12345")
    file.truncate(3)
    assert disk.crash("drop unsynced").files() == {"/x/y/z/a": b"123"}
    disk.make_directories("/x/y/z")
    assert disk.log == [
        *("make /x", "sync /", "make /x/y", "sync /x", "make /x/y/z", "sync /x/y"),
        *("create /x/y/z/a", "sync /x/y/z", "write /x/y/z/a", "truncate /x/y/z/a", "sync /x/y/z/a"),
    ]
    assert disk.operations == len(disk.log)


@given(st.lists(st.binary(max_size=700), max_size=6), st.integers(0, 6), st.integers(0, 99))
def test_a_torn_tail_keeps_what_was_synced_and_ends_somewhere_in_what_was_not(
    writes: list[bytes], synced: int, seed: int
) -> None:
    disk = disk_with(a=b"")
    file = disk.open_to_append("/d/a")
    for number, data in enumerate(writes):
        if number == synced:
            file.sync()
        write(file, data)
    durable = b"".join(writes[:synced]) if synced < len(writes) else b""
    found = disk.crash("torn tail", seed).files()["/d/a"]
    assert found.startswith(durable)
    assert len(found) <= sum(map(len, writes))


def test_a_torn_tail_shows_every_kind_of_damage() -> None:
    disk = disk_with(a=b"")
    data = random.Random(1).randbytes(2000)
    write(disk.open_to_append("/d/a"), data)
    found = [disk.crash("torn tail", seed).files()["/d/a"] for seed in range(60)]
    assert data in found  # all of it
    assert any(data.startswith(one) and 0 < len(one) < 2000 for one in found)  # cut off
    damaged = [one for one in found if not data.startswith(one)]
    assert any(one.endswith(bytes(20)) for one in damaged)  # zeros
    assert any(not one.endswith(bytes(20)) for one in damaged)  # garbage
    assert found == [disk.crash("torn tail", seed).files()["/d/a"] for seed in range(60)]


def test_names_may_be_torn_off_too_but_a_rename_never_in_two() -> None:
    disk = disk_with()
    file = disk.create("/d/a")
    disk.sync_directory("/d")
    disk.faults.append(Fault(first=4, error=errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        disk.rename("/d/a", "/d/b")  # and the folder is not synced
    del file
    assert {tuple(names_of(disk.crash("torn tail", seed))) for seed in range(20)} == {("/d/a",), ("/d/b",)}


def names_of(disk: SimulatedDisk) -> list[str]:
    return list(disk.files())


@pytest.mark.parametrize("operation", range(1, 8))
def test_it_dies_where_it_is_told_to_and_stays_dead(operation: int) -> None:
    disk = disk_with()
    disk.die_at(operation)
    file = None
    with pytest.raises(Crash, match=f"operation {operation}:"):
        file = disk.create("/d/a")
        write(file, b"12")
        file.sync()
        write(file, b"345678")
        file.truncate(4)
        disk.rename("/d/a", "/d/b")
        disk.remove("/d/b")
    assert disk.operations == operation
    for call in (lambda: disk.kind("/d/a"), lambda: disk.create("/d/c"), lambda: disk.open_to_read("/d/a")):
        with pytest.raises(Crash):
            call()
    if file is not None:
        with pytest.raises(Crash):
            write(file, b"more")
    left = {1: [], 2: [b"1"], 3: [b"12"], 4: [b"12345"], 5: [b"12345678"], 6: [b"1234"], 7: [b"1234"]}
    assert list(disk.crash("keep all").files().values()) == left[operation]
    again = disk.crash("keep all")
    again.create("/d/new")  # what is found is alive
    assert again.operations == 1


def test_a_full_disk_takes_nothing_and_has_room_again() -> None:
    disk = disk_with()
    file = disk.create("/d/a")
    disk.faults.append(Fault(first=2, times=2, error=errno.ENOSPC, only=("write",)))
    for _ in range(2):
        with pytest.raises(OSError, match="No space") as caught:
            write(file, b"x")
        assert caught.value.filename == "/d/a"
    assert file.length == 0
    write(file, b"x")
    assert disk.files() == {"/d/a": b"x"}


def test_a_sync_that_failed_has_lost_what_it_was_to_bring() -> None:
    disk = disk_with(a=b"")
    file = disk.open_to_append("/d/a")
    write(file, b"lost")
    disk.faults.append(Fault(first=2, error=errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        file.sync()
    with pytest.raises(SyncFailed, match="could not be brought to the disk"):
        file.sync()
    file = disk.open_to_append("/d/a", lines=False)
    write(file, b"kept")
    file.sync()  # as another program might, which knows nothing of it
    assert disk.files() == {"/d/a": b"lostkept"}
    assert names(disk) == {"a": b"\0\0\0\0kept"}


def test_slow_calls_cost_virtual_time_and_hold_up_nobody() -> None:
    async def main() -> tuple[float, bytes]:
        disk = disk_with()
        disk.faults.append(Fault(first=1, times=100, seconds=0.5))
        loop = asyncio.get_running_loop()
        await sf.flow([1, 2]).to(sf.sinks.JsonLines("/d/out.jsonl", files=disk)).run()
        return loop.time(), disk.files()["/d/out.jsonl"]

    for seed in range(5):
        seconds, content = simulate(main, seed).result
        assert content == b"1\n2\n"
        assert 2.0 <= seconds < 4.0  # create, write, sync, rename, sync


def test_reading_is_that_of_a_file_system() -> None:
    disk = disk_with(a=b"12345")
    assert (disk.kind("/d/a"), disk.kind("/d"), disk.kind("/x")) == ("file", "directory", "missing")
    assert (disk.size("/d/a"), disk.size("/d"), disk.names("/d"), disk.names("/x")) == (5, None, ["a"], [])
    file, buffer = disk.open_to_read("/d/a"), bytearray(3)
    assert (file.read_into(buffer), bytes(buffer)) == (3, b"123")
    write(disk.open_to_append("/d/a", lines=False), b"6")
    assert (file.read_into(buffer), file.read_into(buffer)) == (3, 0)
    file.seek(1)
    assert (file.read_into(buffer), bytes(buffer)) == (3, b"234")
    assert file.status() == disk.status("/d/a")
    write(disk.open_to_append("/d/a"), b"7")  # a torn line is closed first
    assert disk.files() == {"/d/a": b"123456\n7"}
    for wrong, error in ((lambda: disk.open_to_read("/d"), IsADirectoryError), (lambda: disk.create("/x/a"), OSError)):
        with pytest.raises(error):
            wrong()
    with pytest.raises(FileExistsError):
        disk.create("/d/a")


def test_a_file_stays_the_same_one_over_a_crash() -> None:
    disk = disk_with(a=b"1", b=b"2")
    before = [disk.status("/d/a"), disk.status("/d/b")]
    found = disk.crash("torn tail")
    assert [found.status("/d/a"), found.status("/d/b")] == before
    found.create("/d/c")
    assert len({one.inode for one in map(found.status, ("/d/a", "/d/b", "/d/c")) if one is not None}) == 3


def checkpoint(epoch: int) -> SavedCheckpoint:
    return SavedCheckpoint(epoch=epoch)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_checkpoint_is_saved_whole_or_not_at_all(loss: Loss) -> None:
    def saving(operation: int) -> list[int]:
        disk = SimulatedDisk()
        store = SimulatedCheckpoints(disk)
        store.open()
        store.save(checkpoint(1))
        disk.die_at(2 + operation)
        with pytest.raises(Crash):
            store.save(checkpoint(2))
        found = SimulatedCheckpoints(disk.crash(loss))
        found.open()  # whoever had it has died
        return [one.epoch for one in [found.latest()] if one is not None]

    assert (saving(1), saving(2)) == ([1], [2])


def test_a_store_is_one_runs_and_a_full_disk_leaves_it_as_it_was() -> None:
    disk = SimulatedDisk()
    store: Any = SimulatedCheckpoints(disk)
    assert store.label == "checkpoints"
    store.open()
    with pytest.raises(sf.FlowError, match="another run has"):
        SimulatedCheckpoints(disk).open()
    SimulatedCheckpoints(disk, "other").open()
    for epoch in range(1, 6):
        store.save(checkpoint(epoch))
    disk.faults.append(Fault(first=disk.operations + 1, error=errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        store.save(checkpoint(6))
    assert store.latest() == checkpoint(5)
    store.close()
    store.close()
    store.open(anew=True)
    assert store.latest() is None
