"""A program that dies at each operation on its disk, under each loss, and begins again: what does it write?"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from streamflow.model.notes import add_note
from streamflow.testing.sealed_world import clocks_in_place
from streamflow.testing.simulated_disk import SimulatedDisk
from streamflow.testing.simulation import simulate, this_test
from streamflow.testing.stored import LOSSES, Loss
from streamflow.testing.virtual_clock import LoopDeadlock

#: Names the one series of deaths that is tried, so that a failure can be repeated.
DEATHS = "STREAMFLOW_DEATHS"


class Death(NamedTuple):
    """Say in which operation of one life power was lost, and what the disk made of it."""

    operation: int
    loss: Loss

    def __str__(self) -> str:
        return f"{self.operation} {self.loss}"


class NotRecovered(AssertionError):
    """Say after which deaths a program does not write what it would have written unbroken."""


class Explored(NamedTuple):
    """Count the operations of the unbroken run, and the series of deaths that were tried."""

    operations: int
    tried: int


@dataclass(frozen=True, kw_only=True)
class CrashExplorer:
    """Describe a program, and let it die everywhere.

    `life` runs it to its end on a disk, be it fresh or as an earlier life has left it: called again and again, it must
    leave the same `output` as unbroken, which must outlive a loss of power after the end as well. `disk` makes the
    disk; `always` is called with each disk that is found after a loss of power, and raises if something is wrong.
    `again` of 100 recoveries die as well. Lives are simulated runs: `seed` decides their order.

    >>> async def life(disk: SimulatedDisk) -> None:
    ...     file = disk.open_to_append("/out.txt")
    ...     file.write(memoryview(b"once"))
    >>> CrashExplorer(life=life).explore()
    Traceback (most recent call last):
        ...
    streamflow.testing.crashes.NotRecovered: after its end and a loss of power, '/out.txt' is missing
    """

    life: Callable[[SimulatedDisk], Coroutine[Any, Any, object]]
    disk: Callable[[], SimulatedDisk] = SimulatedDisk
    output: Callable[[SimulatedDisk], dict[str, bytes]] = SimulatedDisk.outputs
    always: Callable[[SimulatedDisk], object] | None = None
    again: int = 20
    seed: int = 0

    def explore(self) -> Explored:
        """Die at each operation and after the last, under each loss; raise NotRecovered, with how to do it again."""
        with clocks_in_place():
            return self._explore()

    def _explore(self) -> Explored:
        expected, operations = self.unbroken()
        told = os.environ.get(DEATHS)
        if told is not None:
            deaths = _deaths(told)
            self._follow(self._die(self.disk(), deaths[0], 0), deaths, expected)
            return Explored(operations, 1)
        chance = random.Random(f"again {self.seed}")
        tried = 0
        for operation in range(1, operations + 2):
            dead = self._die(self.disk(), Death(operation, "keep all"), 0)
            for loss in LOSSES:
                first = Death(operation, loss)
                lived = self._follow(dead, [first], expected)
                tried += 1
                if chance.randrange(100) < self.again:
                    second = Death(chance.randint(1, lived + 1), chance.choice(LOSSES))
                    self._follow(dead, [first, second], expected)
                    tried += 1
        return Explored(operations, tried)

    def unbroken(self) -> tuple[dict[str, bytes], int]:
        """Live once, unbroken; return the output and the number of operations."""
        disk = self.disk()
        simulate(lambda: self.life(disk), self.seed)
        expected = self.output(disk)
        self._compare(disk, expected)
        return expected, disk.operations

    def _die(self, disk: SimulatedDisk, death: Death, number: int) -> SimulatedDisk:
        """Live on `disk` until death, or to the end if that comes before."""
        disk.die_at(death.operation)
        try:
            simulate(lambda: self.life(disk), self.seed + number)
        except LoopDeadlock:
            raise
        except BaseException:
            if not disk.dead:
                raise
        return disk

    def _follow(self, dead: SimulatedDisk, deaths: list[Death], expected: dict[str, bytes]) -> int:
        """Live after the deaths, of which the first has happened on `dead`; return the operations of the last life."""
        try:
            found = self._found(dead, deaths[0], 0)
            for number, death in enumerate(deaths[1:], start=1):
                found = self._found(self._die(found, death, number), death, number)
            simulate(lambda: self.life(found), self.seed + len(deaths))
            self._compare(found, expected)
        except BaseException as error:
            told = ", ".join(map(str, deaths))
            add_note(error, f"died at {told} ({dead.log[-1]}); the same again: {DEATHS}='{told}' {this_test()}")
            raise
        return found.operations

    def _found(self, dead: SimulatedDisk, death: Death, number: int) -> SimulatedDisk:
        found = dead.crash(death.loss, seed=(self.seed + number) * 10_000 + death.operation)
        if self.always is not None:
            self.always(found)
        return found

    def _compare(self, disk: SimulatedDisk, expected: dict[str, bytes]) -> None:
        """Raise NotRecovered unless the output is what it should be, now and after a loss of power."""
        for when, seen in ("at its end", disk), ("after its end and a loss of power", disk.crash("drop unsynced")):
            for difference in _differences(self.output(seen), expected):
                raise NotRecovered(f"{when}, {difference}")


def _differences(found: dict[str, bytes], expected: dict[str, bytes]) -> Iterator[str]:
    for path in sorted({*found, *expected}):
        if path not in found:
            yield f"{path!r} is missing"
        elif path not in expected:
            yield f"{path!r} is there, which an unbroken run does not write"
        elif found[path] != expected[path]:
            pairs = enumerate(zip(found[path], expected[path], strict=False))
            at = next((at for at, (one, other) in pairs if one != other), min(len(found[path]), len(expected[path])))
            sizes = f"{len(found[path]):,} bytes instead of {len(expected[path]):,}"
            shown = f"{found[path][at : at + 20]!r} instead of {expected[path][at : at + 20]!r}"
            yield f"{path!r} is different: {sizes}, from byte {at:,} on {shown}"


def _deaths(told: str) -> list[Death]:
    return [
        Death(int(number), _loss(loss)) for number, _, loss in (one.strip().partition(" ") for one in told.split(","))
    ]


def _loss(told: str) -> Loss:
    return next(loss for loss in LOSSES if loss == told)
