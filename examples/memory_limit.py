"""A fast source, a slow sink and a limit: the sources are held before memory is short, and go on when it is not."""

import asyncio
from collections.abc import Iterator

import streamflow as sf

SIZE, COUNT = 4 << 20, 150
LIMIT = "200MB"


def blocks() -> Iterator[bytes]:
    """Make 600 MiB, four at a time, as fast as anybody takes them."""
    for n in range(COUNT):
        yield bytes([n % 256]) * SIZE


async def store(block: bytes) -> None:
    """Stand for an upload."""
    await asyncio.sleep(0.005)


async def main() -> None:
    # The edges alone would hold more than the limit leaves: they are bounded by bytes as well, but each by its own.
    flow = sf.flow(blocks).buffer(bytes=256 << 20).map(bytearray).buffer(bytes=256 << 20).to(store)
    report = await flow.run(memory=LIMIT)
    print(f"{report.items_in} blocks, {report.items_in * SIZE >> 20} MiB in all, with a limit of {LIMIT}")
    print(f"peak {report.peak_rss / 1e6:.0f} MB")
    print(report)


if __name__ == "__main__":
    asyncio.run(main())
