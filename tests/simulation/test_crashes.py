"""Whole flows with checkpoints die at each operation on the disk, go on, and write what an unbroken run writes.

A flow more is one line in `durable.FLOWS`. One series of deaths is repeated by
`STREAMFLOW_DEATHS="17 torn tail, 3 keep all" python -m pytest … -k name`.
"""

from __future__ import annotations

import asyncio
import errno
import random
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from streamflow.files.file_system import SyncFailed
from streamflow.testing import CrashExplorer, Fault, SimulatedCheckpoints, SimulatedDisk, seeds, simulate
from tests.simulation.durable import ALL, fresh, output_of, remains
from tests.sizes import examples

#: From a seed to that of the life after it: what is random must be another.
LATER = 1_000_000


def explorer(name: str, every: float = 0.02, **options: Any) -> CrashExplorer:
    async def life(disk: SimulatedDisk) -> None:
        await ALL[name](disk).run(checkpoint=SimulatedCheckpoints(disk), every=every)
        assert remains(disk) == []

    return CrashExplorer(life=life, disk=fresh, output=output_of(name), **options)


#: Those that are tried by day; all are by night.
BY_DAY = ("state", "ordered", "batches", "two sinks", "letters", "windows", "rolling", "merge")


@pytest.mark.parametrize("name", BY_DAY)
def test_wherever_it_dies_it_writes_what_an_unbroken_run_writes(name: str) -> None:
    explored = explorer(name, again=2).explore()
    assert explored.operations >= 10


def test_with_many_checkpoints_as_well() -> None:
    explored = explorer("ordered", every=0.01, again=0).explore()
    assert explored.operations >= 20


@pytest.mark.nightly
@pytest.mark.parametrize("name", ALL)
def test_the_same_under_many_seeds(name: str) -> None:
    for seed in range(1, 21):
        explorer(name, every=0.01, seed=seed, again=100).explore()


@pytest.mark.parametrize("power", ["stays", "is lost"])
@pytest.mark.parametrize(("name", "error"), [("ordered", errno.ENOSPC), ("ordered", errno.EIO), ("rolling", errno.EIO)])
def test_a_disk_that_is_full_for_a_while_or_fails_once_costs_nothing_that_a_second_run_does_not_bring(
    name: str, error: int, power: str
) -> None:
    """Wherever that happens; and a run that says it has succeeded has, whatever became of a sync on the way."""
    one = explorer(name)
    expected, operations = one.unbroken()
    for number in range(1, operations + 1):
        disk = fresh()
        disk.faults.append(Fault(first=number, times=1 if error == errno.EIO else 3, error=error))
        try:
            simulate(partial(one.life, disk), number)
        except OSError:
            disk.mend()
            disk = disk.crash("drop unsynced") if power == "is lost" else disk
            simulate(partial(one.life, disk), number + LATER)
        where = f"operation {number} of {disk.log}"
        assert one.output(disk) == expected, where
        assert one.output(disk.crash("drop unsynced")) == expected, where


@pytest.mark.parametrize("end", ["fails", "cancelled", "drained"])
@pytest.mark.parametrize("name", ALL)
def test_a_run_that_ends_otherwise_goes_on_without_loss(name: str, end: str) -> None:
    """No checkpoint is kept of a run whose stages have given up what was in their hands."""
    one = explorer(name)
    expected, operations = one.unbroken()

    async def broken(disk: SimulatedDisk) -> None:
        handle = ALL[name](disk).start(checkpoint=SimulatedCheckpoints(disk), every=0.01)
        if end == "fails":
            disk.faults.append(Fault(first=random.randint(3, operations), error=errno.EIO, only=("create", "write")))
            await handle.wait()
        else:
            await asyncio.sleep(random.random() * 0.1)
            await (handle.cancel() if end == "cancelled" else handle.drain())

    for seed in seeds(examples(3, nightly=500)):
        disk = fresh()
        with suppress(OSError):
            simulate(partial(broken, disk), seed)
        simulate(partial(one.life, disk), seed + LATER)
        assert one.output(disk) == expected, f"seed {seed}"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize(("name", "file"), [("spilling", ".part"), ("rolling", ".part"), ("spilling", ".spill")])
def test_what_could_not_be_brought_to_the_disk_fails_the_run_at_once(name: str, file: str, error: int) -> None:
    """Though it is but full: to try again would bring nothing, and a checkpoint would name what may not be there."""
    one, whole = explorer(name), fresh()
    simulate(partial(one.life, whole), 1)
    at = [number for number, what in enumerate(whole.log, 1) if what.startswith("sync") and what.endswith(file)]
    for number in at[1:-1]:
        disk = fresh()
        disk.faults.append(Fault(first=number, error=error))
        with pytest.raises(SyncFailed, match="could not be brought to the disk"):
            simulate(partial(one.life, disk), 1)
        assert disk.log[:number] == whole.log[:number]
        assert "save checkpoints" not in disk.log[number:], "it went on"
        disk = disk.crash("drop unsynced")
        simulate(partial(one.life, disk), LATER)
        assert one.output(disk) == one.output(whole)


def test_a_disk_that_has_no_room_for_what_a_checkpoint_needs_is_tried_again() -> None:
    name, tried = "ordered", 0
    one, whole = explorer(name), fresh()
    simulate(partial(one.life, whole), 1)
    for number, what in enumerate(whole.log, 1):
        if not what.startswith("write"):
            continue
        disk = fresh()
        disk.faults.append(Fault(first=number, times=2, error=errno.ENOSPC, only=("write",)))
        try:
            simulate(partial(one.life, disk), 1)
        except OSError:
            continue  # it was written at the end, or because so much was there
        tried += 1
        assert one.output(disk.crash("drop unsynced")) == one.output(whole)
    assert tried
