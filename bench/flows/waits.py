"""A hundred thousand items through an async function that waits 1 to 5 ms, a thousand at once."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from bench.meter import Meter
from bench.sinks import Seen, Sink, counting_sink, ordered_sink
from bench.works import (
    AIOSTREAM,
    PYPELN,
    REACTIVEX,
    SPDL,
    STREAMABLE,
    STREAMFLOW,
    Contender,
    Figure,
    Outcome,
    Sizes,
    Work,
)

CONCURRENCY = 1000
PERIOD = 8192
END: Any = object()
Wait = Callable[[int], Coroutine[Any, Any, int]]


def waiting(*, tail: bool) -> Wait:
    """Make the user's function: a wait fixed for each item, 1 to 5 ms, or 50 ms for 1 % of them."""
    chance = random.Random(7)
    delays = [0.001 + 0.004 * chance.random() for _ in range(PERIOD)]
    if tail:
        for slow in chance.sample(range(PERIOD), PERIOD // 100):
            delays[slow] = 0.050

    async def wait(item: int) -> int:
        await asyncio.sleep(delays[item % PERIOD])
        return item

    return wait


def made_sink(*, ordered: bool) -> tuple[Sink, Seen]:
    """Make the sink that checks as much as the work promises."""
    return ordered_sink() if ordered else counting_sink()


def timed(do: Callable[[int, Sink, Wait], Awaitable[None]], size: int, *, ordered: bool, tail: bool) -> Outcome:
    """Time an asynchronous contender, its loop's start and end included."""
    sink, seen = made_sink(ordered=ordered)
    wait = waiting(tail=tail)

    async def run() -> None:
        await do(size, sink, wait)

    with Meter() as meter:
        asyncio.run(run())
    return meter.outcome(*seen())


async def workers(size: int, sink: Sink, wait: Wait) -> None:
    """Let a thousand long-lived workers fill the slots of one list: hand-written, ordered, and the baseline."""
    slots = [0] * size
    items = iter(range(size))

    async def work() -> None:
        for item in items:
            slots[item] = await wait(item)

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    for item in slots:
        sink(item)


async def queue_workers(size: int, sink: Sink, wait: Wait) -> None:
    """Put a queue before and behind a thousand workers: what people write by hand, out of order."""
    inbound, outbound = asyncio.Queue[int](CONCURRENCY), asyncio.Queue[int](CONCURRENCY)

    async def source() -> None:
        for item in range(size):
            await inbound.put(item)
        for _ in range(CONCURRENCY):
            await inbound.put(END)

    async def work() -> None:
        while (item := await inbound.get()) is not END:
            await outbound.put(await wait(item))

    async def drain() -> None:
        for _ in range(size):
            sink(await outbound.get())

    await asyncio.gather(source(), drain(), *(work() for _ in range(CONCURRENCY)))


def run_streamflow(size: int, *, ordered: bool, tail: bool) -> Outcome:
    """Run our concurrent map."""
    import streamflow as sf

    async def do(size: int, sink: Sink, wait: Wait) -> None:
        await sf.flow(range(size)).map(wait, concurrency=CONCURRENCY, ordered=ordered).to(sink).run()

    return timed(do, size, ordered=ordered, tail=tail)


def run_streamable(size: int, *, ordered: bool, tail: bool) -> Outcome:
    """Run streamable's concurrent map on the loop."""
    from streamable import stream

    async def do(size: int, sink: Sink, wait: Wait) -> None:
        async for item in stream(range(size)).map(wait, concurrency=CONCURRENCY, as_completed=not ordered):
            sink(item)

    return timed(do, size, ordered=ordered, tail=tail)


def run_aiostream(size: int, *, ordered: bool, tail: bool) -> Outcome:
    """Run aiostream's map with a task limit."""
    from aiostream import pipe, stream

    async def do(size: int, sink: Sink, wait: Wait) -> None:
        mapped: Any = pipe.map  # its types know no awaitable result
        flow = stream.iterate(range(size)) | mapped(wait, ordered=ordered, task_limit=CONCURRENCY)
        async with flow.stream() as items:
            async for item in items:
                sink(item)

    return timed(do, size, ordered=ordered, tail=tail)


def run_spdl(size: int, *, ordered: bool, tail: bool) -> Outcome:
    """Run an SPDL pipe in its fastest shape found: no hooks, an async source, results handed over in lists of 256."""
    from spdl.pipeline import PipelineBuilder

    sink, seen = made_sink(ordered=ordered)
    wait = waiting(tail=tail)

    async def source() -> AsyncIterator[int]:
        for item in range(size):
            yield item

    with Meter() as meter:
        builder: Any = PipelineBuilder()
        builder.add_source(source())
        builder.pipe(wait, concurrency=CONCURRENCY, output_order="input" if ordered else "completion")
        builder.aggregate(256).add_sink(8)
        pipeline = builder.build(num_threads=1, task_hook_factory=lambda _: [])
        with pipeline.auto_stop():
            for batch in pipeline:
                for item in batch:
                    sink(item)
    return meter.outcome(*seen())


def run_pypeln(size: int, *, ordered: bool, tail: bool) -> Outcome:
    """Run pypeln's tasks, put in order at the end where that is asked for: it holds everything then."""
    import pypeln  # type: ignore[import-untyped]

    tasks: Any = pypeln.task

    async def do(size: int, sink: Sink, wait: Wait) -> None:
        results = tasks.map(wait, range(size), workers=CONCURRENCY, maxsize=CONCURRENCY)
        async for item in tasks.ordered(results) if ordered else results:
            sink(item)

    return timed(do, size, ordered=ordered, tail=tail)


def run_reactivex(size: int, *, tail: bool) -> Outcome:
    """Run reactivex' merge of futures, a thousand at once: it has no order for that."""
    import reactivex
    from reactivex import operators as ops

    async def do(size: int, sink: Sink, wait: Wait) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        begun: Any = ops.map(
            lambda item: reactivex.defer(lambda _: reactivex.from_future(loop.create_task(wait(item))))
        )
        items: Any = reactivex.from_iterable(range(size))
        items.pipe(begun, ops.merge(max_concurrent=CONCURRENCY)).subscribe(
            on_next=sink, on_error=done.set_exception, on_completed=lambda: done.set_result(None)
        )
        await done

    return timed(do, size, ordered=False, tail=tail)


def contenders(*, ordered: bool, tail: bool = False) -> tuple[Contender, ...]:
    """List who takes part; the queues give no order and stand only where none is asked for."""
    options = {"ordered": ordered, "tail": tail}
    queues = Contender("queue_workers", "asyncio.Queue, workers, Queue", partial(timed, queue_workers, **options))
    return (
        Contender("workers", "hand-written workers", partial(timed, workers, **options)),
        Contender("streamflow", "streamflow", partial(run_streamflow, **options), (STREAMFLOW,)),
        *(() if ordered else (queues,)),
        Contender("streamable", "streamable", partial(run_streamable, **options), (STREAMABLE,)),
        Contender("aiostream", "aiostream", partial(run_aiostream, **options), (AIOSTREAM,)),
        Contender("spdl", "SPDL", partial(run_spdl, **options), (SPDL,)),
        Contender("pypeln", "pypeln.task", partial(run_pypeln, **options), (PYPELN,)),
        *(() if ordered else (Contender("reactivex", "reactivex", partial(run_reactivex, tail=tail), (REACTIVEX,)),)),
    )


SIZES = Sizes(quick=3_000, default=100_000, full=100_000)
AGAINST_PEERS = (
    Figure("streamable", over="streamflow", at_least=1.7),
    Figure("aiostream", over="streamflow", at_least=8),
)

ORDERED = Work(
    name="async_ordered",
    title="100 k waits of 1–5 ms, 1000 at once, ordered",
    unit="items",
    sizes=SIZES,
    baseline="workers",
    warm_up=1_000,
    contenders=contenders(ordered=True),
    figures=(Figure("streamflow", over="workers", at_most=1.15), *AGAINST_PEERS),
)

UNORDERED = Work(
    name="async_unordered",
    title="the same, unordered",
    unit="items",
    sizes=SIZES,
    baseline="workers",
    warm_up=1_000,
    contenders=contenders(ordered=False),
    figures=(Figure("streamflow", over="workers", at_most=1.15), *AGAINST_PEERS),
)

TAIL = Work(
    name="async_tail",
    title="the same, ordered, 1 % of the waits at 50 ms",
    unit="items",
    sizes=SIZES,
    baseline="workers",
    warm_up=1_000,
    contenders=contenders(ordered=True, tail=True),
    figures=(Figure("streamflow", over="workers", at_most=1.6),),
)
