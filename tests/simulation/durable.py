"""Flows that outlive crashes, each made anew for the disk of one life: one line here is killed everywhere."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import Callable
from typing import Any

import orjson

import streamflow as sf
from streamflow.flows.runnable import Runnable
from streamflow.operators.edge import Buffer
from streamflow.testing import FaultySource, SimulatedDisk

N = 24
Made = Callable[[SimulatedDisk], Runnable]


async def hop(n: int) -> int:
    await asyncio.sleep(random.choice((0, 0.001, 0.006)))
    return n + 1


async def odd(n: int) -> bool:
    await asyncio.sleep(random.choice((0, 0.004)))
    return n % 2 == 1


async def twice(n: int) -> Any:
    yield n
    await asyncio.sleep(random.choice((0, 0.003)))
    yield -n


def refuse(n: int) -> int:
    if n % 7 == 3:
        raise ValueError(n)
    return n


def late(n: int) -> float:
    """Return a time that is out of order, by up to four seconds."""
    return float(n - n * 7 % 5)


def fresh() -> SimulatedDisk:
    """Return a disk with one file of numbers, and the same numbers in three."""
    lines = [b"%d\n" % n for n in range(N)]
    parts = {f"/d/in-{k}.jsonl": b"".join(lines[k * N // 3 : (k + 1) * N // 3]) for k in range(3)}
    return SimulatedDisk({"/d/in.jsonl": b"".join(lines), **parts})


# -- where they begin -------------------------------------------------------------------------------------------------


def lines(disk: SimulatedDisk) -> sf.Flow[Any]:
    """Read the file, slowly."""
    source = sf.sources.JsonLines("/d/in.jsonl", files=disk, chunk=8)
    return sf.flow(source).buffer(2).throttle(2, per=0.005)


def files(disk: SimulatedDisk) -> sf.Flow[Any]:
    """Read three files, one after the other."""
    paths = [f"/d/in-{k}.jsonl" for k in range(3)]
    return sf.flow(sf.sources.JsonLines(paths, files=disk, chunk=6)).buffer(1).throttle(2, per=0.006)


def numbers(delay: float = 0.006) -> sf.Flow[int]:
    return sf.flow(FaultySource(items=range(N), batch=3, delay=delay, name="numbers"))


def counted() -> sf.Flow[int]:
    return sf.flow(lambda: iter(range(N))).buffer(2).throttle(3, per=0.007)


def timed(flow: sf.Flow[int], max_lateness: float = 5.0) -> Any:
    return flow.event_time(late, max_lateness=max_lateness)


def events(max_lateness: float = 5.0) -> Any:
    return timed(numbers(), max_lateness).key_by(lambda n: n % 3)


# -- on the way -------------------------------------------------------------------------------------------------------


def spill(flow: sf.Flow[Any], disk: SimulatedDisk, *, items: int = 2, name: str | None = None) -> sf.Flow[Any]:
    return flow._then(Buffer(items, 1 << 16, "spill", None, name, files=disk))


def slowly(flow: sf.Flow[Any]) -> sf.Flow[Any]:
    """Have what comes before wait."""
    return flow.throttle(1, per=0.008).map(hop)


def long(n: int) -> list[Any]:
    """Return so much that a spilling edge holds ten of them."""
    return [n, "x" * 3000]


def shown(one: Any) -> list[Any]:
    """Return what is in a result of windows or keys, as JSON has it."""
    times = [str(getattr(one, name, "")) for name in ("start", "end")]
    return [type(one).__name__, str(one.key), *times, one.value]


def counts(windows: Any) -> Any:
    return windows.aggregate(n=sf.agg.count(), total=sf.agg.sum(lambda n: n))


# -- where they end ---------------------------------------------------------------------------------------------------


def out(disk: SimulatedDisk, name: str = "out.jsonl") -> Any:
    kind = sf.sinks.Csv if "csv" in name else sf.sinks.JsonLines
    return kind(f"/d/{name}", files=disk)


def rolling(disk: SimulatedDisk, name: str = "{key}-{n:02}.jsonl", **options: Any) -> Any:
    return sf.sinks.Rolling(out(disk, name), key=lambda n: n % 2, **options)


# -- whole ones -------------------------------------------------------------------------------------------------------


def letters(disk: SimulatedDisk) -> Runnable:
    return numbers().map(refuse, on_error=sf.dead_letter(out(disk, "bad.jsonl"))).to(out(disk))


def letters_of_files(disk: SimulatedDisk) -> Runnable:
    set_aside = sf.dead_letter(out(disk, "bad.jsonl"))
    return files(disk).map(hop, concurrency=3).map(refuse, on_error=set_aside).to(out(disk))


def letters_of_batches(disk: SimulatedDisk) -> Runnable:
    """Have items wait with their positions."""
    batches = lines(disk).batch(5, within=0.02).unbatch()
    return batches.map(refuse, on_error=sf.dead_letter(out(disk, "bad.jsonl"))).to(out(disk))


def letters_of_pairs(disk: SimulatedDisk) -> Runnable:
    pairs = sf.zip(numbers(0.002), lines(disk))
    return pairs.map(lambda pair: refuse(pair[1]), on_error=sf.dead_letter(out(disk, "bad.jsonl"))).to(out(disk))


def both(disk: SimulatedDisk) -> Runnable:
    common = lines(disk).map(hop, concurrency=3)
    return sf.together(common.to(out(disk, "one.jsonl")), common.buffer(4).scan(lambda s, n: s + n, 0).to(out(disk)))


def parted(disk: SimulatedDisk) -> Runnable:
    yes, no = numbers().branch(lambda n: n % 3 == 0)
    return sf.together(yes.map(hop, concurrency=2).to(out(disk, "yes.jsonl")), no.buffer(2).to(out(disk, "no.jsonl")))


def routed(disk: SimulatedDisk) -> Runnable:
    outputs = files(disk).route(lambda n: n % 3, 0, 1, default=2)
    return sf.together(
        outputs[0].map(hop, concurrency=3).to(out(disk, "0.jsonl")),
        outputs[1].map(lambda n: {"n": n}).to(out(disk, "1.csv")),
        slowly(spill(outputs[2], disk, items=1)).to(rolling(disk, items=3)),
    )


def aside(disk: SimulatedDisk) -> Runnable:
    """Have late items leave by an output of their own."""
    found = counts(events(max_lateness=1.0).window(sf.tumbling(2)))
    return sf.together(found.map(shown).to(out(disk)), found.late.to(out(disk, "late.jsonl")))


def two_levels(disk: SimulatedDisk) -> Runnable:
    small = counts(events().window(sf.tumbling(3)))
    large = small.key_by(lambda one: "all").window(sf.tumbling(9)).aggregate(n=sf.agg.sum(lambda one: one.value["n"]))
    return large.map(shown).to(out(disk))


def merged_times(disk: SimulatedDisk) -> Runnable:
    merged = sf.merge(timed(numbers()), timed(lines(disk).map(hop, concurrency=2)))
    return counts(merged.key_by(lambda n: n % 3).window(sf.tumbling(6))).map(shown).to(out(disk))


def zipped_times(disk: SimulatedDisk) -> Runnable:
    zipped = sf.zip(numbers(), lines(disk)).map(lambda pair: pair[0])
    return counts(timed(zipped).key_by(lambda n: n % 3).window(sf.sliding(6, 3))).map(shown).to(out(disk))


def spilled_windows(disk: SimulatedDisk) -> Runnable:
    """Have watermarks go by the disk too."""
    slow = slowly(spill(timed(numbers(0.002)), disk))
    return counts(slow.key_by(lambda n: n % 3).window(sf.tumbling(4))).map(shown).to(out(disk))


def two_spills(disk: SimulatedDisk) -> Runnable:
    first = spill(counted().map(hop, concurrency=3), disk, name="first")
    return slowly(spill(first.map(abs).buffer(1), disk, items=4, name="second")).to(out(disk))


def spilled_branches(disk: SimulatedDisk) -> Runnable:
    common = numbers(0.002)
    fast, slow = spill(common, disk, name="fast"), spill(common, disk, name="slow")
    return sf.together(fast.map(abs).to(out(disk, "fast.jsonl")), slowly(slow).to(out(disk)))


def sums(flow: sf.Flow[int]) -> Any:
    return flow.key_by(lambda n: n % 4).map_with_state(lambda s, n: ((s or 0) + n, [n, (s or 0) + n]), ttl=6)


#: Those whose output is the same in every order.
FLOWS: dict[str, Made] = {
    "fused": lambda disk: lines(disk).map(abs).filter(lambda n: n % 3).to(out(disk)),
    "files": lambda disk: files(disk).map(hop, concurrency=2).to(out(disk)),
    "state": lambda disk: lines(disk).scan(lambda s, n: s + n, 0).skip(3).to(out(disk)),
    "distinct": lambda disk: numbers().map(lambda n: n % 9).distinct().to(out(disk)),
    "take": lambda disk: numbers().skip(2).take(20).to(out(disk)),
    "ordered": lambda disk: lines(disk).map(hop, concurrency=4).to(out(disk)),
    "tests": lambda disk: files(disk).filter(odd, concurrency=3).to(out(disk)),
    "batches": lambda disk: counted().batch(5).map(sum).to(out(disk)),
    "expand": lambda disk: counted().flat_map(lambda n: [n] * 5).buffer(3).to(out(disk)),
    "twice": lambda disk: counted().flat_map(twice).buffer(2).map(hop, concurrency=2).to(out(disk)),
    "zip": lambda disk: sf.zip(numbers().map(hop, concurrency=2), lines(disk)).to(out(disk)),
    "concat": lambda disk: sf.concat(numbers(), lines(disk)).to(out(disk)),
    "branch": parted,
    "route": routed,
    "two sinks": both,
    "csv": lambda disk: lines(disk).map(lambda n: {"n": n, "twice": 2 * n}).to(out(disk, "out.csv")),
    "keyed": lambda disk: numbers().key_by(lambda n: n % 4).reduce(lambda a, b: a + b).map(str).to(out(disk)),
    "keyed scan": lambda disk: files(disk).key_by(lambda n: n % 4).scan(lambda s, n: s + n, 0).map(shown).to(out(disk)),
    "keyed aggregate": lambda disk: (
        (numbers().map(hop, concurrency=3).key_by(lambda n: n % 4).aggregate(n=sf.agg.count(), all=sf.agg.collect()))
        .map(shown)
        .to(out(disk))
    ),
    "keyed state": lambda disk: sums(timed(numbers())).to(out(disk)),
    "windows": lambda disk: counts(events().window(sf.tumbling(6))).map(shown).to(out(disk)),
    "early windows": lambda disk: counts(events().window(sf.tumbling(8), every=2)).map(shown).to(out(disk)),
    "late windows": lambda disk: (
        counts(events(1.0).window(sf.tumbling(4), late="update", keep=3)).map(shown).to(out(disk))
    ),
    "late aside": aside,
    "sliding": lambda disk: counts(events().window(sf.sliding(6, 2))).map(shown).to(out(disk)),
    "sessions": lambda disk: counts(events().window(sf.session(3.0))).map(shown).to(out(disk)),
    "global windows": lambda disk: counts(events().window(sf.global_window(count=3))).map(shown).to(out(disk)),
    "global by time": lambda disk: (
        counts(events().window(sf.global_window(every=5, keep=True))).map(shown).to(out(disk))
    ),
    "windows apart": lambda disk: (
        counts(timed(lines(disk)).map(hop, concurrency=3).key_by(lambda n: n % 3).window(sf.tumbling(6)))
        .map(shown)
        .to(out(disk))
    ),
    "two levels": two_levels,
    "zipped times": zipped_times,
    "rolling": lambda disk: lines(disk).map(hop, concurrency=2).to(rolling(disk, items=4)),
    "rolling folders": lambda disk: files(disk).to(rolling(disk, "{key}/{n}.jsonl", bytes=7)),
    "rolling keys": lambda disk: numbers().to(rolling(disk, "{key}-{n}.jsonl", open_parts=1)),
    "spilling": lambda disk: slowly(spill(numbers(0.002), disk)).to(out(disk)),
    "spilling much": lambda disk: (
        spill(numbers(0.002).map(long), disk).throttle(1, per=0.01).map(lambda one: one[0]).to(out(disk))
    ),
    "spilling windows": spilled_windows,
    "spilling twice": two_spills,
    "spilling branches": spilled_branches,
}
#: Those whose items come in any order, or that are written in another way each time.
MIXED: dict[str, Made] = {
    "unordered": lambda disk: numbers().map(hop, concurrency=4, ordered=False).to(out(disk)),
    "unordered tests": lambda disk: files(disk).filter(odd, concurrency=4, ordered=False).to(out(disk)),
    "unordered spilling": lambda disk: slowly(spill(numbers().map(hop, concurrency=4, ordered=False), disk)).to(
        out(disk)
    ),
    "unordered letters": lambda disk: (
        lines(disk)
        .map(hop, concurrency=4, ordered=False)
        .map(refuse, on_error=sf.dead_letter(out(disk, "bad.jsonl")))
        .to(rolling(disk, "{key}-{n}.jsonl"))
    ),
    "merge": lambda disk: sf.merge(numbers(), lines(disk).map(hop, concurrency=2)).to(out(disk)),
    "merged times": merged_times,
    "compressed": lambda disk: lines(disk).map(hop, concurrency=3).to(out(disk, "out.jsonl.gz")),
    "compressed csv": lambda disk: files(disk).map(lambda n: {"n": n}).to(out(disk, "out.csv.gz")),
    "letters": letters,
    "letters of files": letters_of_files,
    "letters of batches": letters_of_batches,
    "letters of pairs": letters_of_pairs,
    "within": lambda disk: numbers().batch(5, within=0.01).unbatch().to(out(disk)),
    "processing time": lambda disk: (
        numbers()
        .processing_time()
        .key_by(lambda n: n % 2)
        .window(sf.tumbling(0.02))
        .collect()
        .flat_map(lambda one: one.value)
        .to(out(disk))
    ),
}
ALL = FLOWS | MIXED


# -- what comes of them -----------------------------------------------------------------------------------------------


def output_of(name: str) -> Callable[[SimulatedDisk], dict[str, bytes]]:
    return SimulatedDisk.outputs if name in FLOWS else sorted_outputs


def sorted_outputs(disk: SimulatedDisk) -> dict[str, bytes]:
    return {path: b"".join(sorted(map(bare, plain(path, content)))) for path, content in disk.outputs().items()}


def plain(path: str, content: bytes) -> list[bytes]:
    """Return lines; where compressed data is parted, for each checkpoint anew, is no part of them."""
    return (gzip.decompress(content) if path.endswith("gz") else content).splitlines(True)


def bare(line: bytes) -> bytes:
    """Leave what a dead letter says of its item; its traceback names generated code, by a number of this process."""
    if not line.startswith(b"{"):
        return line
    read = orjson.loads(line)
    return orjson.dumps([read[key] for key in ("item", "message", "position")])


def remains(disk: SimulatedDisk) -> list[str]:
    """Return what a run that has finished must not have left of edges that spill.

    A file beside its final name is left by whoever dies before the first checkpoint: nobody knows of it.
    """
    return [path for path in disk.files() if path.endswith(".spill")]
