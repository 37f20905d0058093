"""Flows with checkpoints put together at random, and lives at random: stopped, failed, killed, and begun again."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import orjson

import streamflow as sf
from streamflow.flows.runnable import Runnable
from streamflow.metrics.report import RunReport
from streamflow.model.errors import RunCancelled
from streamflow.testing import Fault, SimulatedCheckpoints, SimulatedDisk, simulate
from streamflow.testing.stored import LOSSES
from tests.simulation.durable import N, files, fresh, hop, lines, numbers, odd, out, plain, spill, twice

#: From the seed of a life to that of the next one: what is random must be another.
LATER = 1_000_000
#: What goes wrong with a disk that is full or fails. A file that cannot be removed stays, and a warning says so.
WRITING = ("make", "create", "write", "sync", "truncate", "rename", "save", "saved")


class Half(NamedTuple):
    """Hold a flow of numbers under construction, and whether it gives them in an order of its own."""

    flow: sf.Flow[Any]
    ordered: bool = True


class Drawn(NamedTuple):
    """Hold what makes a flow on a disk, whether its output has an order, and what it was put together from."""

    make: Callable[[SimulatedDisk], Runnable]
    ordered: bool
    words: str


Step = Callable[[Half, SimulatedDisk, int], Half]


def refuse(k: int) -> Callable[[int], int]:
    def step(n: int) -> int:
        if n % 5 == k % 5:
            raise ValueError(f"{n} is refused")
        return n

    return step


def same(step: Callable[[sf.Flow[Any], SimulatedDisk, int], Any]) -> Step:
    return lambda half, disk, k: half._replace(flow=step(half.flow, disk, k))


def mixed(step: Callable[[sf.Flow[Any], SimulatedDisk, int], Any]) -> Step:
    return lambda half, disk, k: Half(step(half.flow, disk, k), ordered=False)


def letters(flow: sf.Flow[int], disk: SimulatedDisk, k: int) -> Any:
    return flow.map(refuse(k), on_error=sf.dead_letter(out(disk, f"bad-{k}.jsonl")), name=f"refuse {k}")


def tumbling(flow: sf.Flow[int], disk: SimulatedDisk, k: int) -> Any:
    timed = flow.event_time(lambda n: n % 60, max_lateness=100.0)
    found = timed.key_by(lambda n: n % 3).window(sf.tumbling(k + 2)).aggregate(total=sf.agg.sum(lambda n: n))
    return found.map(lambda one: one.value["total"])


def early(flow: sf.Flow[int], disk: SimulatedDisk, k: int) -> Any:
    timed = flow.event_time(lambda n: n % 60, max_lateness=k)
    found = timed.key_by(lambda n: n % 2).window(sf.sliding(4, 2), every=1).aggregate(total=sf.agg.sum(lambda n: n))
    return found.map(lambda one: one.value["total"])


def shared(flow: sf.Flow[int], disk: SimulatedDisk, k: int) -> Any:
    return sf.merge(flow.map(hop, concurrency=k + 1), flow.buffer(2 * N * N).filter(lambda n: n % 3))


def branched(flow: sf.Flow[int], disk: SimulatedDisk, k: int) -> Any:
    yes, no = flow.branch(lambda n: n % 3 == 0)
    return sf.merge(yes.map(hop, concurrency=k + 1), spill(no, disk))


def source(disk: SimulatedDisk, k: int) -> sf.Flow[Any]:
    return (lines, files, lambda _: numbers(), lambda _: numbers(0.002))[k % 4](disk)


ANY: dict[str, Step] = {
    "map": same(lambda flow, disk, k: flow.map(lambda n: n + k)),
    "filter": same(lambda flow, disk, k: flow.filter(lambda n: n % 6 != k)),
    "hop": same(lambda flow, disk, k: flow.map(hop, concurrency=k + 1)),
    "odd": same(lambda flow, disk, k: flow.filter(odd, concurrency=k + 1)),
    "unordered": mixed(lambda flow, disk, k: flow.map(hop, concurrency=k + 2, ordered=False)),
    "repeat": same(lambda flow, disk, k: flow.flat_map(lambda n: [n] * (k % 3))),
    "twice": same(lambda flow, disk, k: flow.flat_map(twice)),
    "skip bad": same(lambda flow, disk, k: flow.map(refuse(k), on_error="skip")),
    "letters": same(letters),
    "buffer": same(lambda flow, disk, k: flow.buffer(k + 1)),
    "spill": same(lambda flow, disk, k: spill(flow, disk, items=k + 1)),
    "spill slowly": same(lambda flow, disk, k: spill(flow, disk, items=k + 1).throttle(1, per=0.004)),
    "batches": same(lambda flow, disk, k: flow.batch(k + 1).unbatch()),
    "within": same(lambda flow, disk, k: flow.batch(k + 2, within=0.004).unbatch()),
    "throttle": same(lambda flow, disk, k: flow.throttle(k + 1, per=0.003)),
    "distinct": same(lambda flow, disk, k: flow.distinct()),
    "merge": mixed(lambda flow, disk, k: sf.merge(flow, source(disk, k))),
    "shared": mixed(shared),
    "branched": mixed(branched),
    "sums": same(lambda flow, disk, k: flow.key_by(lambda n: n % 4).reduce(lambda a, b: a + b).map(lambda one: one[1])),
    "windows": same(tumbling),
}
ORDERED: dict[str, Step] = {
    "take": same(lambda flow, disk, k: flow.take(k * 5 + 1)),
    "skip": same(lambda flow, disk, k: flow.skip(k)),
    "scan": same(lambda flow, disk, k: flow.scan(lambda total, n: (total + n) % 97, k)),
    "concat": same(lambda flow, disk, k: sf.concat(flow, source(disk, k).map(hop))),
    "zip": same(lambda flow, disk, k: sf.zip(flow, source(disk, k).buffer(k + 1)).map(sum)),
    "keyed scan": same(
        lambda flow, disk, k: flow.key_by(lambda n: n % 3).scan(lambda s, n: s + n, 0).map(lambda one: one[1])
    ),
    "early windows": same(early),
    "state": same(
        lambda flow, disk, k: (
            flow.event_time(lambda n: n % 60)
            .key_by(lambda n: n % 4)
            .map_with_state(lambda s, n: ((s or 0) + n, (s or 0) + n), ttl=k + 1)
        )
    ),
}


def draw(seed: int) -> Drawn:
    """Put a flow together: the same seed, the same one."""
    chance = random.Random(f"flow {seed}")
    begin, end = chance.randrange(4), chance.randrange(6)
    steps = [(chance.choice([*ANY, *ORDERED]), chance.randrange(6)) for _ in range(chance.randrange(6))]
    ordered, kept = True, list[tuple[str, int]]()
    for what, k in steps:
        if (what in ORDERED and not ordered) or (what == "letters" and ("letters", k) in kept):
            continue
        if what in ("take", "zip") and any(before == "letters" for before, _ in kept):
            continue  # what they leave unread is set aside or not, as it comes
        kept.append((what, k))
        ordered = ordered and what not in ("unordered", "merge", "shared", "branched")

    def make(disk: SimulatedDisk) -> Runnable:
        half = Half(source(disk, begin))
        for what, k in kept:
            half = (ANY.get(what) or ORDERED[what])(half, disk, k)
        return _ended(half.flow, disk, end, ordered=ordered)

    return Drawn(make, ordered, f"source {begin}, {', '.join(f'{what} {k}' for what, k in kept)}, end {end}")


def _ended(flow: sf.Flow[int], disk: SimulatedDisk, end: int, *, ordered: bool) -> Runnable:
    match end:
        case 0:
            return flow.to(out(disk, "out.jsonl.gz"))
        case 1:
            return flow.map(lambda n: {"n": n, "more": 2 * n}).to(out(disk, "out.csv"))
        case 2:
            items = 3 if ordered else None
            parts = sf.sinks.Rolling(out(disk, "out/{key}-{n}.jsonl"), key=lambda n: n % 2, items=items)
            return flow.to(parts)
        case 3:
            return sf.together(flow.to(out(disk)), flow.buffer(1).map(hop).to(out(disk, "more.jsonl")))
        case _:
            return flow.to(out(disk))


# -- lives ------------------------------------------------------------------------------------------------------------


class Told(NamedTuple):
    """Hold what a life has been, in words, and the hash of everything that happened in it."""

    words: str
    trace: str


def live_through(seed: int) -> list[Told]:
    """Live broken lives, then a whole one; raise AssertionError if that does not end as one that was never broken."""
    drawn, chance = draw(seed), random.Random(f"lives {seed}")
    every = chance.choice((0.01, 0.02, 0.05))
    told = list[Told]()
    try:
        expected, operations = unbroken(drawn, seed, every)
        disk = fresh()
        for number in range(chance.randint(1, 3)):
            disk, one = _broken(drawn, disk, chance, seed + LATER * (number + 1), every, operations)
            told.append(one)
        last = simulate(partial(_whole, drawn, disk, every), seed + LATER * 9)
        told.append(Told("whole", last.trace))
        for when, seen in ("at its end", disk), ("after a loss of power", disk.crash("drop unsynced")):
            found = output(drawn, seen)
            assert found == expected, f"{when}: {_difference(found, expected)}"
        assert not any(path.endswith(".spill") for path in disk.files())
    except BaseException as error:
        error.add_note(f"seed {seed}: {drawn.words}; every {every:g} s; lives: {'; '.join(one.words for one in told)}")
        raise
    return told


def unbroken(drawn: Drawn, seed: int, every: float) -> tuple[dict[str, list[bytes]], int]:
    """Live once; return the output, and the number of operations on the disk."""
    disk = fresh()
    simulate(partial(_whole, drawn, disk, every), seed)
    return output(drawn, disk), disk.operations


async def _whole(drawn: Drawn, disk: SimulatedDisk, every: float) -> None:
    check_books(await drawn.make(disk).run(checkpoint=SimulatedCheckpoints(disk), every=every))


def _broken(
    drawn: Drawn, disk: SimulatedDisk, chance: random.Random, seed: int, every: float, operations: int
) -> tuple[SimulatedDisk, Told]:
    how = chance.choice(("crash", "crash", "drain", "cancel", "full", "fails", "pause", "slow"))
    at, when, loss = chance.randint(1, operations), chance.random() * 0.2, chance.choice(LOSSES)
    match how:
        case "crash":
            disk.die_at(at)
        case "full":
            disk.faults.append(Fault(first=at, times=chance.randint(1, 12), error=errno.ENOSPC, only=WRITING))
        case "fails":
            disk.faults.append(Fault(first=at, error=errno.EIO, only=WRITING))
        case "slow":
            disk.faults.append(Fault(first=at, times=10, seconds=0.05))
    told = f"{how} at operation {at} or {when:.3f} s, {loss}"
    trace = ""
    try:
        trace = simulate(partial(_stopped, drawn, disk, how, when, every), seed).trace
    except BaseException as error:
        if not disk.dead and (how not in ("full", "fails") or not isinstance(error, OSError)):
            error.add_note(f"in a life: {told}")
            raise
        trace = f"{error}"
    if disk.dead or chance.random() < 0.3:
        return disk.crash(loss, seed), Told(told, trace)
    disk.mend()
    return disk, Told(told, trace)


async def _stopped(drawn: Drawn, disk: SimulatedDisk, how: str, when: float, every: float) -> None:
    handle = drawn.make(disk).start(checkpoint=SimulatedCheckpoints(disk), every=every)
    try:
        if how == "pause":
            await asyncio.sleep(when)
            await handle.pause()
            await asyncio.sleep(0.1)
            await handle.resume()
        if how in ("drain", "cancel"):
            await asyncio.sleep(when)
            with suppress(RunCancelled):
                await (handle.drain() if how == "drain" else handle.cancel())
        else:
            await handle.wait()
    finally:
        if handle.report is not None:
            check_books(handle.report)


def check_books(report: RunReport) -> None:
    """Raise AssertionError if a stage or an edge cannot say where each of its items is."""
    for one in (*report.statistics.stages, *report.statistics.edges):
        assert one.conserved, one


def output(drawn: Drawn, disk: SimulatedDisk) -> dict[str, list[bytes]]:
    """Return what is comparable of what lies there: lines, in order if there is one."""
    found = {path: [*map(_bare, plain(path, content))] for path, content in disk.outputs().items()}
    return found if drawn.ordered else {path: sorted(lines) for path, lines in found.items()}


def _bare(line: bytes) -> bytes:
    """Leave of a dead letter what does not go by batches."""
    if not line.startswith(b'{"item'):
        return line
    read = orjson.loads(line)
    return orjson.dumps([read[key] for key in ("item", "message")])


def _difference(found: dict[str, list[bytes]], expected: dict[str, list[bytes]]) -> str:
    for path in sorted({*found, *expected}):
        if found.get(path) != expected.get(path):
            return f"{path}: {found.get(path)} instead of {expected.get(path)}"
    return "nothing is different"
