"""Ten million items from a generator: by how much memory grows while they pass."""

import asyncio
from collections.abc import Iterator

from bench.flows.ints import increment, is_even, triple
from bench.meter import Meter
from bench.sinks import counting_sink
from bench.works import STREAMFLOW, Contender, Figure, Outcome, Sizes, Work


def numbers(size: int, meter: Meter) -> Iterator[int]:
    """Give the ints below ``size``; growth counts from the first hundredth on, when all is imported and warm."""
    yield from range(size // 100)
    meter.mark()
    yield from range(size // 100, size)


def run_generators(size: int) -> Outcome:
    """Chain generators: nothing is kept, so this is the machine's own noise."""
    sink, seen = counting_sink()
    with Meter() as meter:
        tripled = (triple(increment(item)) for item in numbers(size, meter))
        for item in (item for item in tripled if is_even(item)):
            sink(item)
    return meter.outcome(*seen(), growth_mib=meter.growth_mib)


def run_streamflow(size: int) -> Outcome:
    """Run our flow with a channel in the middle, where items could pile up."""
    import streamflow as sf

    sink, seen = counting_sink()
    with Meter() as meter:
        flow = sf.flow(numbers(size, meter)).map(increment).map(triple).buffer().filter(is_even).to(sink)
        asyncio.run(flow.run())
    return meter.outcome(*seen(), growth_mib=meter.growth_mib)


WORK = Work(
    name="memory_10m",
    title="10 M items from a generator, growth of resident memory",
    unit="items",
    sizes=Sizes(quick=20_000, default=10_000_000, full=10_000_000),
    baseline="generators",
    warm_up=1_000,
    contenders=(
        Contender("generators", "generator chain", run_generators),
        Contender("streamflow", "streamflow", run_streamflow, (STREAMFLOW,)),
    ),
    figures=(Figure("streamflow", metric="growth_mib", at_most=8),),
    shows=("growth_mib",),
)
