"""Shapes of flows, each with what a plain list would give: one line here is another flow under every seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import streamflow as sf
from streamflow.testing import FaultySource


class Shape(NamedTuple):
    """Hold a flow, and what comes out of it: in this order, or in any."""

    flow: sf.Flow[Any]
    model: list[Any]
    ordered: bool = True
    #: False if it may stop reading before its source ends.
    whole: bool = True


N = 30


async def hop(n: int) -> int:
    await asyncio.sleep(random.choice((0, 0, 0.001, 0.004)))
    return n + 1


async def odd(n: int) -> bool:
    await asyncio.sleep(random.choice((0, 0.002)))
    return n % 2 == 1


async def twice(n: int) -> Any:
    yield n
    await asyncio.sleep(random.choice((0, 0.001)))
    yield -n


def refuse(n: int) -> int:
    if n % 5 == 3:
        raise ValueError(n)
    return n


async def refuse_late(n: int) -> int:
    await hop(n)
    return refuse(n)


def numbers(batch: int = 4) -> sf.Flow[int]:
    """Come a few at a time, and sometimes late."""
    return sf.flow(FaultySource(items=range(N), batch=batch, delay=random.choice((0.0, 0.001))))


def plain(start: int = 0) -> sf.Flow[int]:
    return sf.flow(lambda: iter(range(start, start + N)))


def parted() -> sf.Flow[Any]:
    yes, no = numbers().branch(lambda n: n % 3 == 0)
    return sf.merge(yes.map(hop, concurrency=2), no.buffer(2))


def routed() -> sf.Flow[Any]:
    outputs = numbers().route(lambda n: n % 3, 0, 1, default=2)
    return sf.merge(outputs[0].map(hop), outputs[1].buffer(1), outputs[2].flat_map(twice))


def shared() -> sf.Flow[Any]:
    common = numbers().map(hop, concurrency=3)
    return sf.merge(common, common.buffer(N).map(lambda n: -n))


ALL = list(range(N))
MORE = [n + 1 for n in ALL]

SHAPES: dict[str, Callable[[], Shape]] = {
    "fused": lambda: Shape(numbers().map(abs).filter(lambda n: n % 3), [n for n in ALL if n % 3]),
    "state": lambda: Shape(plain().scan(lambda s, n: s + n, 0).skip(2), [sum(ALL[: n + 1]) for n in ALL][2:]),
    "edges": lambda: Shape(plain().buffer(1).map(abs).buffer(3).map(abs), ALL),
    "ordered": lambda: Shape(numbers().map(hop, concurrency=4).buffer(1), MORE),
    "unordered": lambda: Shape(numbers().map(hop, concurrency=4, ordered=False), MORE, ordered=False),
    "auto": lambda: Shape(plain().map(hop, concurrency="auto"), MORE),
    "tests": lambda: Shape(plain().filter(odd, concurrency=3), ALL[1::2]),
    "expand": lambda: Shape(plain().flat_map(twice).buffer(2), [x for n in ALL for x in (n, -n)]),
    "many": lambda: Shape(numbers().flat_map(lambda n: [n] * 7).buffer(3), [n for n in ALL for _ in range(7)]),
    "within": lambda: Shape(numbers().batch(4, within=0.002).map(list).unbatch(), ALL),
    "batches": lambda: Shape(plain().batch(7).buffer(1), [ALL[n : n + 7] for n in range(0, N, 7)]),
    "merge": lambda: Shape(sf.merge(numbers(), plain(N).map(hop), plain()), ALL * 2 + [n + N for n in MORE], False),
    "zip": lambda: Shape(sf.zip(numbers().map(hop), plain().buffer(2)), list(zip(MORE, ALL, strict=True)), whole=False),
    "concat": lambda: Shape(sf.concat(numbers(), plain().map(hop, concurrency=2)), ALL + MORE),
    "branch": lambda: Shape(parted(), [n + 1 for n in ALL[::3]] + [n for n in ALL if n % 3], ordered=False),
    "route": lambda: Shape(
        routed(), [n + 1 for n in ALL[::3]] + ALL[1::3] + ALL[2::3] + [-n for n in ALL[2::3]], False
    ),
    "shared": lambda: Shape(shared(), MORE + [-n for n in MORE], ordered=False),
    "skips": lambda: Shape(numbers().map(refuse, on_error="skip"), [n for n in ALL if n % 5 != 3]),
    "skips late": lambda: Shape(
        plain().map(refuse_late, concurrency=3, on_error="skip"), [n for n in ALL if n % 5 != 3]
    ),
    "take": lambda: Shape(numbers().map(hop, concurrency=3).take(9), MORE[:9], whole=False),
    "throttle": lambda: Shape(numbers().throttle(4, per=0.003), ALL),
    "timeout": lambda: Shape(numbers().timeout(5.0).map(hop, concurrency=2), MORE),
}
