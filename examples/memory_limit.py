"""Keep a run below a memory limit, although its source is fast, its sink slow, and the buffer between them huge."""

import asyncio
from collections.abc import Iterator

import psutil

import streamflow as sf
from streamflow.model import events

MIB = 1 << 20


def frames() -> Iterator[bytearray]:
    for _ in range(256):
        yield bytearray(MIB)


async def upload(frame: bytearray) -> None:
    await asyncio.sleep(0.002)


def tell(event: events.Event) -> None:
    if isinstance(event, events.SourcesHeld | events.SourcesLetGo):
        print(f"{type(event).__name__} at {event.now // MIB} MiB")


async def main() -> None:
    limit = psutil.Process().memory_info().rss + 96 * MIB  # or "512MB"
    report = await sf.flow(frames).buffer(items=10_000, bytes=1 << 30).to(upload).run(memory=limit, on_event=tell)
    memory = report.statistics.memory
    assert memory is not None
    print(f"{report.items_in} frames in; peak {memory.peak // MIB} of {memory.limit // MIB} MiB")


if __name__ == "__main__":
    asyncio.run(main())
