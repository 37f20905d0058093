"""Whole flows with checkpoints die at each operation on the disk, go on, and write what an unbroken run writes.

A flow more is one line in `FLOWS`. `STREAMFLOW_DEATHS='17 torn tail, 3 keep all' python -m pytest … -k name` repeats
one series of deaths.
"""

from __future__ import annotations

import asyncio
import errno
import gzip
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
import pytest

import streamflow as sf
from streamflow.flows.runnable import Runnable
from streamflow.testing import CrashExplorer, Fault, FaultySource, SimulatedCheckpoints, SimulatedDisk, seeds, simulate
from tests.sizes import examples

N = 24
#: From a seed to that of the life after it: what is random must be another.
LATER = 1_000_000


async def hop(n: int) -> int:
    await asyncio.sleep(random.choice((0, 0.001, 0.006)))
    return n + 1


def refuse(n: int) -> int:
    if n % 7 == 3:
        raise ValueError(n)
    return n


def fresh() -> SimulatedDisk:
    return SimulatedDisk({"/d/in.jsonl": b"".join(b"%d\n" % n for n in range(N))})


def lines(disk: SimulatedDisk) -> sf.Flow[Any]:
    """Read the file, slowly."""
    source = sf.sources.JsonLines("/d/in.jsonl", files=disk, chunk=8)
    return sf.flow(source).buffer(2).throttle(2, per=0.005)


def numbers() -> sf.Flow[int]:
    return sf.flow(FaultySource(items=range(N), batch=3, delay=0.006, name="numbers"))


def counted() -> sf.Flow[int]:
    return sf.flow(lambda: iter(range(N))).buffer(2).throttle(3, per=0.007)


def out(disk: SimulatedDisk, name: str = "out.jsonl") -> Any:
    kind = sf.sinks.Csv if "csv" in name else sf.sinks.JsonLines
    return kind(f"/d/{name}", files=disk)


def letters(disk: SimulatedDisk) -> Runnable:
    return numbers().map(refuse, on_error=sf.dead_letter(out(disk, "bad.jsonl"))).to(out(disk))


def both(disk: SimulatedDisk) -> Runnable:
    common = lines(disk).map(hop, concurrency=3)
    return sf.together(common.to(out(disk, "one.jsonl")), common.buffer(4).scan(lambda s, n: s + n, 0).to(out(disk)))


def parted(disk: SimulatedDisk) -> Runnable:
    yes, no = numbers().branch(lambda n: n % 3 == 0)
    return sf.together(yes.map(hop, concurrency=2).to(out(disk, "yes.jsonl")), no.buffer(2).to(out(disk, "no.jsonl")))


def rolling(disk: SimulatedDisk) -> Any:
    return sf.sinks.Rolling(out(disk, "{key}-{n:02}.jsonl"), key=lambda n: n % 2, items=4)


def events() -> Any:
    """Come out of order, by up to four seconds."""
    return numbers().event_time(lambda n: float(n - n * 7 % 5), max_lateness=5.0).key_by(lambda n: n % 3)


def counts(windows: Any) -> sf.Flow[Any]:
    found = windows.aggregate(n=sf.agg.count(), total=sf.agg.sum(lambda n: n))
    return found.map(lambda one: [one.key, str(one.start), str(one.end), one.value])


#: Those whose output is the same in every order.
FLOWS: dict[str, Callable[[SimulatedDisk], Runnable]] = {
    "fused": lambda disk: lines(disk).map(abs).filter(lambda n: n % 3).to(out(disk)),
    "state": lambda disk: lines(disk).scan(lambda s, n: s + n, 0).skip(3).to(out(disk)),
    "distinct": lambda disk: numbers().map(lambda n: n % 9).distinct().to(out(disk)),
    "take": lambda disk: numbers().skip(2).take(20).to(out(disk)),
    "ordered": lambda disk: lines(disk).map(hop, concurrency=4).to(out(disk)),
    "batches": lambda disk: counted().batch(5).map(sum).to(out(disk)),
    "expand": lambda disk: counted().flat_map(lambda n: [n] * 5).buffer(3).to(out(disk)),
    "zip": lambda disk: sf.zip(numbers().map(hop, concurrency=2), lines(disk)).to(out(disk)),
    "concat": lambda disk: sf.concat(numbers(), lines(disk)).to(out(disk)),
    "branch": parted,
    "two sinks": both,
    "csv": lambda disk: lines(disk).map(lambda n: {"n": n, "twice": 2 * n}).to(out(disk, "out.csv")),
    "keyed": lambda disk: numbers().key_by(lambda n: n % 4).reduce(lambda a, b: a + b).map(str).to(out(disk)),
    "windows": lambda disk: counts(events().window(sf.tumbling(6))).to(out(disk)),
    "sliding": lambda disk: counts(events().window(sf.sliding(6, 2))).to(out(disk)),
    "sessions": lambda disk: counts(events().window(sf.session(3.0))).to(out(disk)),
    "rolling": lambda disk: lines(disk).map(hop, concurrency=2).to(rolling(disk)),
}
#: Those whose items come in any order, or that are written in another way each time.
MIXED: dict[str, Callable[[SimulatedDisk], Runnable]] = {
    "unordered": lambda disk: numbers().map(hop, concurrency=4, ordered=False).to(out(disk)),
    "merge": lambda disk: sf.merge(numbers(), lines(disk).map(hop, concurrency=2)).to(out(disk)),
    "compressed": lambda disk: lines(disk).map(hop, concurrency=3).to(out(disk, "out.jsonl.gz")),
    "letters": letters,
    "within": lambda disk: numbers().batch(5, within=0.01).unbatch().to(out(disk)),
}


def explorer(name: str, every: float = 0.02, **options: Any) -> CrashExplorer:
    make = FLOWS.get(name) or MIXED[name]

    async def life(disk: SimulatedDisk) -> None:
        await make(disk).run(checkpoint=SimulatedCheckpoints(disk), every=every)

    output = SimulatedDisk.outputs if name in FLOWS else sorted_outputs
    return CrashExplorer(life=life, disk=fresh, output=output, **options)


def sorted_outputs(disk: SimulatedDisk) -> dict[str, bytes]:
    return {path: b"".join(sorted(map(bare, plain(path, content)))) for path, content in disk.outputs().items()}


def plain(path: str, content: bytes) -> list[bytes]:
    """Return lines; where compressed data is parted, for each checkpoint anew, is no part of them."""
    return (gzip.decompress(content) if path.endswith("gz") else content).splitlines(True)


def bare(line: bytes) -> bytes:
    """Leave what a dead letter says of its item; its traceback names generated code, by a number of this process."""
    read = orjson.loads(line)
    return orjson.dumps([read[key] for key in ("item", "message", "position")]) if isinstance(read, dict) else line


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
@pytest.mark.parametrize("name", [*FLOWS, *MIXED])
def test_the_same_under_many_seeds(name: str) -> None:
    for seed in range(1, 21):
        explorer(name, every=0.01, seed=seed, again=100).explore()


@pytest.mark.parametrize(("name", "error"), [("ordered", errno.ENOSPC), ("ordered", errno.EIO), ("rolling", errno.EIO)])
def test_a_disk_that_is_full_for_a_while_or_fails_once_costs_nothing_that_a_second_run_does_not_bring(
    name: str, error: int
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
            disk = disk.crash("drop unsynced")
            simulate(partial(one.life, disk), number + LATER)
        where = f"operation {number} of {disk.log}"
        assert one.output(disk) == expected, where
        assert one.output(disk.crash("drop unsynced")) == expected, where


@pytest.mark.parametrize("end", ["fails", "cancelled", "drained"])
@pytest.mark.parametrize("name", [*FLOWS, *MIXED])
def test_a_run_that_ends_otherwise_goes_on_without_loss(name: str, end: str) -> None:
    """No checkpoint is kept of a run whose stages have given up what was in their hands."""
    one = explorer(name)
    expected, operations = one.unbroken()

    async def broken(disk: SimulatedDisk) -> None:
        handle = (FLOWS.get(name) or MIXED[name])(disk).start(checkpoint=SimulatedCheckpoints(disk), every=0.01)
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
