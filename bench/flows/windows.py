"""A keyed tumbling count over events that are a little out of order."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from bench.meter import Meter
from bench.works import BYTEWAX, STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

KEYS = 10_000
LATENESS = 1.0
SIZE = 60
START = 1_700_000_000.0
Event = tuple[float, int]


@lru_cache(maxsize=2)
def events(size: int) -> list[Event]:
    """Make events of 10,000 keys, a thousand a second, up to half a second out of order."""
    draw = random.Random(5)
    return [(START + n * 0.001 - draw.random() * 0.5, draw.randrange(KEYS)) for n in range(size)]


def summed(results: int, total: int) -> int:
    """Join what contenders must agree upon: how many results, and what they count."""
    return results * 1_000_003 + total


def measured(size: int, count: Callable[[list[Event]], tuple[int, int]]) -> Outcome:
    """Time a contender over a list that is there."""
    found = events(size)
    with Meter() as meter:
        results, total = count(found)
    return meter.outcome(size, summed(results, total))


def run_dicts(size: int) -> Outcome:
    """Hand-write it: a dict of counts for each open window, and a watermark."""

    def count(found: list[Event]) -> tuple[int, int]:
        results = total = 0

        def take(result: tuple[int, float, float, dict[str, int]]) -> None:
            nonlocal results, total
            results += 1
            total += result[3]["n"]

        def close(start: int, cells: dict[int, int]) -> None:
            for key, n in cells.items():
                take((key, start * SIZE, (start + 1) * SIZE, {"n": n}))

        windows: dict[int, dict[int, int]] = {}
        highest = 0.0
        for time, key in found:
            start = int(time // SIZE)
            if time > highest:
                highest = time
                watermark = highest - LATENESS
                for closed in [one for one in windows if (one + 1) * SIZE <= watermark]:
                    close(closed, windows.pop(closed))
            if (start + 1) * SIZE <= highest - LATENESS:
                continue
            cells = windows.get(start)
            if cells is None:
                cells = windows[start] = {}
            cells[key] = cells.get(key, 0) + 1
        for start, cells in windows.items():
            close(start, cells)
        return results, total

    return measured(size, count)


def run_streamflow(size: int) -> Outcome:
    """Run our flow."""
    import streamflow as sf

    def count(found: list[Event]) -> tuple[int, int]:
        results = total = 0

        def take(result: Any) -> None:
            nonlocal results, total
            results += 1
            total += result.value["n"]

        flow = (
            sf.flow(found)
            .event_time(lambda event: event[0], max_lateness=LATENESS)
            .key_by(lambda event: event[1])
            .window(sf.tumbling(SIZE))
            .aggregate(n=sf.agg.count())
            .to(take)
        )
        asyncio.run(flow.run())
        return results, total

    return measured(size, count)


def run_bytewax(size: int) -> Outcome:
    """Run Bytewax's ``fold_window``."""
    import bytewax.operators as op
    import bytewax.operators.windowing as windowing
    from bytewax.dataflow import Dataflow
    from bytewax.testing import run_main

    from bench.flows.bytewax_parts import BatchSource, CallableSink

    def count(found: list[Event]) -> tuple[int, int]:
        results = total = 0

        def take(result: Any) -> None:
            nonlocal results, total
            results += 1
            total += result[1][1]

        zero = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)  # START
        clock = windowing.EventClock(
            lambda event: zero + timedelta(seconds=event[0] - START),
            wait_for_system_duration=timedelta(seconds=LATENESS),
            now_getter=lambda: zero,  # else its watermark goes on with the wall clock, and the result depends on it
        )
        windower = windowing.TumblingWindower(length=timedelta(seconds=SIZE), align_to=zero.replace(second=0))
        flow = Dataflow("windows")
        batches = lambda: (found[at : at + 256] for at in range(0, len(found), 256))  # noqa: E731
        keyed = op.key_on("key", op.input("source", flow, BatchSource(batches)), lambda event: str(event[1]))
        counted = windowing.fold_window(
            "count", keyed, clock, windower, lambda: 0, lambda n, _: n + 1, lambda one, other: one + other
        )
        op.output("sink", counted.down, CallableSink(take))
        run_main(flow)  # type: ignore[no-untyped-call]
        return results, total

    return measured(size, count)


WORK = Work(
    name="keyed_windows",
    title="keyed tumbling count, 10,000 keys, 1 s of lateness",
    unit="events",
    sizes=Sizes(quick=5_000, default=1_000_000, full=1_000_000),
    baseline="dicts",
    warm_up=5_000,
    contenders=(
        Contender("dicts", "a dict of counts, hand-written", run_dicts),
        Contender("streamflow", "streamflow", run_streamflow, (STREAMFLOW,)),
        Contender(
            "bytewax",
            "Bytewax, fold_window, 50,000 events",
            run_bytewax,
            (BYTEWAX,),
            Sizes(quick=2_000, default=50_000, full=50_000),
        ),
    ),
    figures=(
        Figure("streamflow", over="dicts", at_most=1.6),
        Figure("bytewax", over="streamflow", at_least=50),
    ),
)
