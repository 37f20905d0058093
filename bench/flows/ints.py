"""A million ints through map, map and filter with three user functions, into a counting sink."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from bench.meter import Meter
from bench.sinks import Sink, counting_sink
from bench.works import (
    AIOSTREAM,
    BYTEWAX,
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

BATCH = 256
QUEUE = 1000
END: Any = object()


def increment(item: int) -> int:
    """Add one."""
    return item + 1


def triple(item: int) -> int:
    """Multiply by three."""
    return item * 3


def is_even(item: int) -> bool:
    """Keep every second item."""
    return item % 2 == 0


def timed(do: Callable[[int, Sink], None], size: int) -> Outcome:
    """Time a synchronous contender that calls the sink for each item left."""
    sink, seen = counting_sink()
    with Meter() as meter:
        do(size, sink)
    return meter.outcome(*seen())


def generators(size: int, sink: Sink) -> None:
    """Chain generator expressions: the limit of hand-written code, and the baseline."""
    incremented = (increment(item) for item in range(size))
    tripled = (triple(item) for item in incremented)
    for item in (item for item in tripled if is_even(item)):
        sink(item)


def builtins(size: int, sink: Sink) -> None:
    """Chain the built-in map and filter: the same calls, with the hops between them in C."""
    for item in filter(is_even, map(triple, map(increment, range(size)))):
        sink(item)


def run_streamflow(size: int, *, channels: bool = False) -> Outcome:
    """Run our flow; a plain ``buffer()`` forces a channel between two operators."""
    import streamflow as sf

    sink, seen = counting_sink()
    with Meter() as meter:
        flow = sf.flow(range(size)).map(increment)
        flow = flow.buffer().map(triple).buffer() if channels else flow.map(triple)
        asyncio.run(flow.filter(is_even).to(sink).run())
    return meter.outcome(*seen())


def run_asyncio_queue(size: int) -> Outcome:
    """Hand single items from task to task over bounded queues: what people write by hand."""
    return timed(lambda size, sink: asyncio.run(pass_items(size, sink)), size)


async def pass_items(size: int, sink: Sink) -> None:
    """Run source, three steps and sink as tasks with a queue between each two."""
    first, second, third, last = (asyncio.Queue[int](QUEUE) for _ in range(4))

    async def source() -> None:
        for item in range(size):
            await first.put(item)
        await first.put(END)

    async def mapped(step: Callable[[int], int], inbound: asyncio.Queue[int], outbound: asyncio.Queue[int]) -> None:
        while (item := await inbound.get()) is not END:
            await outbound.put(step(item))
        await outbound.put(END)

    async def filtered() -> None:
        while (item := await third.get()) is not END:
            if is_even(item):
                await last.put(item)
        await last.put(END)

    async def drain() -> None:
        while (item := await last.get()) is not END:
            sink(item)

    await asyncio.gather(source(), mapped(increment, first, second), mapped(triple, second, third), filtered(), drain())


def run_queue_of_batches(size: int) -> Outcome:
    """Hand lists of 256 items over the same queues: the limit of hand-written asyncio."""
    return timed(lambda size, sink: asyncio.run(pass_batches(size, sink)), size)


async def pass_batches(size: int, sink: Sink) -> None:
    """Run the three steps as tasks with a queue of batches between each two."""
    second, third = (asyncio.Queue[list[int]](QUEUE // BATCH) for _ in range(2))

    async def first_step() -> None:
        for batch in in_batches(size):
            await second.put([increment(item) for item in batch])
        await second.put(END)

    async def second_step() -> None:
        while (batch := await second.get()) is not END:
            await third.put([triple(item) for item in batch])
        await third.put(END)

    async def third_step() -> None:
        while (batch := await third.get()) is not END:
            for item in batch:
                if is_even(item):
                    sink(item)

    await asyncio.gather(first_step(), second_step(), third_step())


def in_batches(size: int) -> Iterator[list[int]]:
    """Cut the ints into lists of 256."""
    items = iter(range(size))
    while batch := list(islice(items, BATCH)):
        yield batch


def run_streamable(size: int, *, channels: bool = False) -> Outcome:
    """Run streamable's synchronous stream, with its buffers for the work with channels."""
    from streamable import stream

    def do(size: int, sink: Sink) -> None:
        flow = stream(range(size)).map(increment)
        flow = flow.buffer(QUEUE).map(triple).buffer(QUEUE) if channels else flow.map(triple)
        for item in flow.filter(is_even):
            sink(item)

    return timed(do, size)


def run_aiostream(size: int) -> Outcome:
    """Run aiostream's piped operators."""
    from aiostream import pipe, stream

    async def pull(size: int, sink: Sink) -> None:
        mapped: Any = pipe.map  # its types ask for a function of any number of arguments
        flow = stream.iterate(range(size)) | mapped(increment) | mapped(triple) | pipe.filter(is_even)
        async with flow.stream() as items:
            async for item in items:
                sink(item)

    return timed(lambda size, sink: asyncio.run(pull(size, sink)), size)


def run_bytewax(size: int, *, own_source: bool = True) -> Outcome:
    """Run a Bytewax dataflow on one worker, fed with batches of 256 by its own source or a leaner one of ours."""
    import bytewax.operators as op
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSource, run_main

    from bench.flows.bytewax_parts import BatchSource, CallableSink

    def do(size: int, sink: Sink) -> None:
        source = TestingSource(range(size), BATCH) if own_source else BatchSource(lambda: in_batches(size))
        flow = Dataflow("ints")
        items = op.input("source", flow, source)
        tripled = op.map("triple", op.map("increment", items, increment), triple)
        op.output("sink", op.filter("is_even", tripled, is_even), CallableSink(sink))
        run_main(flow)  # type: ignore[no-untyped-call]

    return timed(do, size)


def run_spdl(size: int) -> Outcome:
    """Run an SPDL pipeline whose items are lists of 256, as a call a thread hop costs it 0.1 ms and more."""
    from spdl.pipeline import PipelineBuilder

    def do(size: int, sink: Sink) -> None:
        builder: Any = PipelineBuilder()
        builder.add_source(in_batches(size))
        builder.pipe(lambda batch: [increment(item) for item in batch])
        builder.pipe(lambda batch: [triple(item) for item in batch])
        builder.pipe(lambda batch: [item for item in batch if is_even(item)])
        pipeline = builder.add_sink(8).build(num_threads=3, task_hook_factory=lambda _: [])
        with pipeline.auto_stop():
            for batch in pipeline:
                for item in batch:
                    sink(item)

    return timed(do, size)


def run_reactivex(size: int) -> Outcome:
    """Run a reactivex observable that is subscribed by the sink."""
    import reactivex
    from reactivex import operators as ops

    def do(size: int, sink: Sink) -> None:
        items: Any = reactivex.from_iterable(range(size))
        items.pipe(ops.map(increment), ops.map(triple), ops.filter(is_even)).subscribe(sink)

    return timed(do, size)


def run_pypeln(size: int) -> Outcome:
    """Run pypeln's synchronous stages: its threads and tasks cost many times that for each item."""
    import pypeln  # type: ignore[import-untyped]

    def do(size: int, sink: Sink) -> None:
        stages: Any = pypeln.sync
        for item in stages.filter(is_even, stages.map(triple, stages.map(increment, range(size)))):
            sink(item)

    return timed(do, size)


SIZES = Sizes(quick=5_000, default=1_000_000, full=1_000_000)
GENERATORS = Contender("generators", "generator chain", partial(timed, generators))

FUSED = Work(
    name="ints_fused",
    title="1 M ints: map, map, filter, counting sink",
    unit="items",
    sizes=SIZES,
    baseline="generators",
    warm_up=1_000,
    contenders=(
        GENERATORS,
        Contender("builtins", "built-in map and filter", partial(timed, builtins)),
        Contender("streamflow", "streamflow", run_streamflow, (STREAMFLOW,)),
        Contender("streamable", "streamable", run_streamable, (STREAMABLE,)),
        Contender("bytewax", "Bytewax, batches of 256", run_bytewax, (BYTEWAX,)),
        Contender("bytewax_lean", "Bytewax, hand-written source", partial(run_bytewax, own_source=False), (BYTEWAX,)),
        Contender("spdl", "SPDL, lists of 256", run_spdl, (SPDL,)),
        Contender("reactivex", "reactivex", run_reactivex, (REACTIVEX,)),
        Contender("pypeln", "pypeln.sync", run_pypeln, (PYPELN,)),
        Contender("asyncio_queue", "asyncio.Queue per item", run_asyncio_queue),
        Contender("aiostream", "aiostream", run_aiostream, (AIOSTREAM,)),
    ),
    figures=(
        Figure("streamflow", over="generators", at_most=0.92),
        Figure("bytewax", over="streamflow", at_least=2.7),
        Figure("asyncio_queue", over="streamflow", at_least=13),
    ),
)

CHANNELS = Work(
    name="ints_channels",
    title="the same, a channel between each two operators",
    unit="items",
    sizes=SIZES,
    baseline="generators",
    warm_up=1_000,
    contenders=(
        GENERATORS,
        Contender("streamflow", "streamflow", partial(run_streamflow, channels=True), (STREAMFLOW,)),
        Contender("queue_of_batches", "asyncio.Queue of batches of 256", run_queue_of_batches),
        Contender("asyncio_queue", "asyncio.Queue per item", run_asyncio_queue),
        Contender("streamable", "streamable with buffers", partial(run_streamable, channels=True), (STREAMABLE,)),
    ),
    figures=(Figure("streamflow", over="generators", at_most=1.25),),
)
