"""JSON Lines compressed by gzip in, by zstd out: parse, keep half, transform; and each codec alone."""

import asyncio
import zlib
from functools import partial
from pathlib import Path

from bench import data
from bench.flows import json_lines
from bench.flows.json_lines import MEGABYTE, MIB, Transfer, is_active, to_order
from bench.meter import Meter
from bench.works import ORJSON, STREAMFLOW, ZSTANDARD, Contender, Figure, Outcome, Sizes, Work


def timed(transfer: Transfer, size: int) -> Outcome:
    """Time a transfer from file to file; the checksum is of the lines written, not compressed."""
    source = data.gzip_lines(size)
    with data.output("orders.jsonl.zst") as target:
        with Meter() as meter:
            transfer(source, target)
        count, checksum = read_back(target)
    return meter.outcome(count, checksum, mb_per_s=size / MEGABYTE / meter.seconds)


def read_back(path: Path) -> tuple[int, int]:
    """Count the lines of a compressed file and sum up their bytes."""
    import zstandard

    count = checksum = 0
    with path.open("rb") as compressed:
        content = zstandard.ZstdDecompressor().stream_reader(compressed, read_across_frames=True)
        while block := content.read(MIB):
            count += block.count(b"\n")
            checksum = zlib.crc32(block, checksum)
    return count, checksum


def codec(size: int, *, decode: bool) -> Outcome:
    """Do what one codec does in this work, and nothing else: both contents are in memory."""
    import orjson
    import zstandard

    source = data.gzip_lines(size).read_bytes()
    content = zlib.decompress(source, 31)
    orders = [to_order(record) for record in map(orjson.loads, content.splitlines()) if is_active(record)]
    plain = b"".join(orjson.dumps(order, None, orjson.OPT_APPEND_NEWLINE) for order in orders)
    del orders
    with Meter() as meter:
        if decode:
            decompressor = zlib.decompressobj(31)
            for start in range(0, len(source), MIB):
                decompressor.decompress(source[start : start + MIB])
        else:
            compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
            for start in range(0, len(plain), MIB):
                compressor.compress(plain[start : start + MIB])
            compressor.flush()
    return meter.outcome(plain.count(b"\n"), zlib.crc32(plain), mb_per_s=size / MEGABYTE / meter.seconds)


def by_hand(source: Path, target: Path) -> None:
    """Do one after the other on one thread: what people write."""
    import gzip

    import orjson
    import zstandard

    compressor = zstandard.ZstdCompressor(write_checksum=True)
    with gzip.open(source) as lines, target.open("wb") as out, compressor.stream_writer(out, closefd=False) as sink:
        for line in lines:
            record = orjson.loads(line)
            if is_active(record):
                sink.write(orjson.dumps(to_order(record), None, orjson.OPT_APPEND_NEWLINE))


def streamflow(source: Path, target: Path) -> None:
    """Run our flow from path to path: each codec on the thread of its file."""
    import streamflow as sf

    asyncio.run(sf.flow(str(source)).filter(is_active).map(to_order).to(str(target)).run())


def run_plain(size: int) -> Outcome:
    """Run the same flow over files that are not compressed: what the stages alone take."""
    import streamflow as sf

    source = data.varied_lines(size)
    with data.output("orders") as target:
        with Meter() as meter:
            asyncio.run(sf.flow(str(source)).filter(is_active).map(to_order).to(str(target)).run())
        count, checksum = json_lines.read_back(target)
    return meter.outcome(count, checksum, mb_per_s=size / MEGABYTE / meter.seconds)


NEEDS = (ORJSON, ZSTANDARD)

WORK = Work(
    name="gzip_to_zstd",
    title="gzip JSON Lines in, zstd out: parse, filter, transform",
    unit="bytes",
    sizes=Sizes(quick=200_000, default=100 * MEGABYTE, full=300 * MEGABYTE),
    baseline="gunzip",
    warm_up=100_000,
    contenders=(
        Contender("gunzip", "zlib alone, in memory", partial(codec, decode=True), NEEDS),
        Contender("zstd", "zstd alone, in memory", partial(codec, decode=False), NEEDS),
        Contender("streamflow", "streamflow", partial(timed, streamflow), (STREAMFLOW, *NEEDS)),
        Contender("streamflow_plain", "streamflow, plain files", run_plain, (STREAMFLOW, ORJSON)),
        Contender("by_hand", "for line in gzip.open, zstandard", partial(timed, by_hand), NEEDS),
    ),
    figures=(Figure("streamflow", over="gunzip", at_most=1.1),),
    prepare=partial(data.warm, source=data.gzip_lines),
    shows=("mb_per_s", "peak_mib"),
)
