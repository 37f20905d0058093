"""Flows put together at random, against the same steps done to a plain list."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import FaultySource, run


class Both(NamedTuple):
    """Hold a flow and what it should give; once order is lost, only steps that do not look at it follow."""

    flow: sf.Flow[int]
    model: list[int]
    ordered: bool = True
    #: False once the flow may stop reading before its source ends.
    whole: bool = True


async def hop(n: int) -> int:
    await asyncio.sleep((n * 7 % 5) * 0.001)
    return n + 1


async def even(n: int) -> bool:
    await asyncio.sleep((n * 3 % 4) * 0.001)
    return n % 2 == 0


async def twice(n: int) -> Any:
    yield n
    await asyncio.sleep(0.001)
    yield n + 1


def fail_at(k: int) -> Callable[[int], int]:
    def step(n: int) -> int:
        if n % 5 == k:
            raise ValueError(n)
        return n

    return step


def source(k: int) -> Both:
    items = [n * 3 % 17 for n in range(k * 11)]
    described = FaultySource(items=items, batch=k + 1, delay=0.001) if k % 2 else (lambda: iter(items))
    return Both(sf.flow(described), items)


def same(step: Callable[[sf.Flow[int]], sf.Flow[int]], model: Callable[[list[int]], list[int]]) -> Any:
    return lambda both, k: both._replace(flow=step(both.flow), model=model(both.model))


def shared(both: Both, k: int) -> Both:
    left = both.flow.map(hop, concurrency=k + 1)
    merged = sf.merge(left, both.flow.buffer(k + 1).filter(lambda n: n % 3 != 0))
    model = [n + 1 for n in both.model] + [n for n in both.model if n % 3 != 0]
    return both._replace(flow=merged, model=model, ordered=False)


def routed(both: Both, k: int) -> Both:
    outputs = both.flow.route(lambda n: n % 4, 0, 1, 2, default=3)
    parts = [outputs[0].map(hop), outputs[1].buffer(k + 1), outputs[3]]  # nobody reads output 2
    model = [n + (n % 4 == 0) for n in both.model if n % 4 != 2]
    return both._replace(flow=sf.merge(*parts), model=model, ordered=False)


def joined(both: Both, k: int) -> Both:
    other = source(k)
    return both._replace(
        flow=sf.concat(both.flow, other.flow.map(hop)), model=both.model + [n + 1 for n in other.model]
    )


def zipped(both: Both, k: int) -> Both:
    other = source(k)
    flow = sf.zip(both.flow, other.flow.buffer(k + 1)).map(sum)
    return both._replace(flow=flow, model=[a + b for a, b in zip(both.model, other.model, strict=False)], whole=False)


ANY: dict[str, Callable[[Both, int], Both]] = {
    "map": lambda both, k: same(lambda f: f.map(lambda n: n + k), lambda m: [n + k for n in m])(both, k),
    "filter": lambda both, k: same(lambda f: f.filter(lambda n: n % 6 != k), lambda m: [n for n in m if n % 6 != k])(
        both, k
    ),
    "hop": lambda both, k: same(lambda f: f.map(hop, concurrency=k + 1), lambda m: [n + 1 for n in m])(both, k),
    "auto": lambda both, k: same(lambda f: f.map(hop, concurrency="auto"), lambda m: [n + 1 for n in m])(both, k),
    "even": lambda both, k: same(lambda f: f.filter(even, concurrency=k + 1), lambda m: [n for n in m if n % 2 == 0])(
        both, k
    ),
    "unordered": lambda both, k: both._replace(
        flow=both.flow.map(hop, concurrency=k + 2, ordered=False), model=[n + 1 for n in both.model], ordered=False
    ),
    "repeat": lambda both, k: same(lambda f: f.flat_map(lambda n: [n] * k), lambda m: [n for n in m for _ in range(k)])(
        both, k
    ),
    "twice": lambda both, k: same(lambda f: f.flat_map(twice), lambda m: [x for n in m for x in (n, n + 1)])(both, k),
    "skip bad": lambda both, k: same(
        lambda f: f.map(fail_at(k), on_error="skip"), lambda m: [n for n in m if n % 5 != k]
    )(both, k),
    "buffer": lambda both, k: both._replace(flow=both.flow.buffer(k + 1)),
    "batches": lambda both, k: both._replace(flow=both.flow.batch(k + 1).unbatch()),
    "within": lambda both, k: both._replace(flow=both.flow.batch(k + 1, within=0.002).unbatch()),
    "throttle": lambda both, k: both._replace(flow=both.flow.throttle(k + 1, per=0.001)),
    "shared": shared,
    "routed": routed,
    "merge": lambda both, k: both._replace(
        flow=sf.merge(both.flow, source(k).flow), model=both.model + source(k).model, ordered=False
    ),
}
ORDERED: dict[str, Callable[[Both, int], Both]] = {
    "take": lambda both, k: both._replace(flow=both.flow.take(k * 5), model=both.model[: k * 5], whole=False),
    "skip": lambda both, k: same(lambda f: f.skip(k), lambda m: m[k:])(both, k),
    "scan": lambda both, k: same(lambda f: f.scan(lambda total, n: (total + n) % 97, k), scanned(k))(both, k),
    "concat": joined,
    "zip": zipped,
}


def scanned(k: int) -> Callable[[list[int]], list[int]]:
    def model(items: list[int]) -> list[int]:
        total, out = k, []
        for n in items:
            total = (total + n) % 97
            out.append(total)
        return out

    return model


STEPS = st.lists(st.tuples(st.sampled_from([*ANY, *ORDERED]), st.integers(0, 5)), max_size=6)


def put_together(steps: list[tuple[str, int]], start: int) -> Both:
    both = source(start)
    for what, k in steps:
        if what in ANY:
            both = ANY[what](both, k)
        elif both.ordered:
            both = ORDERED[what](both, k)
    return both


@settings(max_examples=150)
@given(STEPS, st.integers(0, 5), st.booleans())
def test_a_flow_gives_what_its_steps_say(steps: list[tuple[str, int]], start: int, fuse: bool) -> None:
    both = put_together(steps, start)

    async def main() -> None:
        out: list[int] = []
        report = await both.flow.to(out).run(fuse=fuse)
        if both.ordered:
            assert out == both.model
        else:
            assert Counter(out) == Counter(both.model)
        assert all(stage.conserved for stage in report.statistics.stages)
        assert all(edge.conserved for edge in report.statistics.edges)
        if both.whole:
            assert not any(stage.abandoned for stage in report.statistics.stages)
            assert not any(edge.abandoned for edge in report.statistics.edges)

    run(main)


@settings(max_examples=80)
@given(STEPS, st.integers(1, 5), st.floats(0, 0.1), st.sampled_from(["cancel", "drain", "pause"]))
def test_stopped_at_any_time_it_loses_nothing_without_counting_it(
    steps: list[tuple[str, int]], start: int, when: float, gear: str
) -> None:
    both = put_together(steps, start)

    async def main() -> None:
        out: list[int] = []
        handle = both.flow.to(out).start()
        await asyncio.sleep(when)
        if gear == "pause":
            await handle.pause()
            await asyncio.sleep(5)
            settled = list(out)
            await asyncio.sleep(5)
            assert out == settled
            await handle.resume()
            report = await handle.wait()
            assert Counter(out) == Counter(both.model) if not both.ordered else out == both.model
        else:
            report = await (handle.cancel() if gear == "cancel" else handle.drain())
        assert all(stage.conserved for stage in report.statistics.stages)
        assert all(edge.conserved for edge in report.statistics.edges)
        if gear == "drain" and both.whole:
            assert not any(stage.abandoned for stage in report.statistics.stages)
            assert not any(edge.abandoned for edge in report.statistics.edges)

    run(main)
