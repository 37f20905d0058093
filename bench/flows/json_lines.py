"""JSON Lines from file to file: parse, keep half, transform, write; as dicts and as typed records."""

import asyncio
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from bench import data
from bench.meter import Meter
from bench.works import BYTEWAX, MSGSPEC, ORJSON, STREAMABLE, STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

MIB = 1 << 20
MEGABYTE = 1_000_000
Transfer = Callable[[Path, Path], None]
Record = dict[str, Any]


def is_active(record: Record) -> bool:
    """Keep about every second record."""
    return bool(record["active"])


def to_order(record: Record) -> Record:
    """Take three fields and compute a fourth."""
    return {
        "id": record["id"],
        "user": record["user"],
        "country": record["country"],
        "total": record["amount"] * record["quantity"],
    }


def timed(transfer: Transfer, size: int) -> Outcome:
    """Time a transfer from file to file; the checksum is of the bytes written."""
    source = data.json_lines(size)
    with data.output("orders") as target:
        with Meter() as meter:
            transfer(source, target)
        count, checksum = read_back(target)
    return meter.outcome(count, checksum, mb_per_s=source.stat().st_size / MEGABYTE / meter.seconds)


def read_back(path: Path) -> tuple[int, int]:
    """Count the lines of a file and sum up its bytes."""
    count = checksum = 0
    with path.open("rb", buffering=0) as written:
        while block := written.read(MIB):
            count += block.count(b"\n")
            checksum = zlib.crc32(block, checksum)
    return count, checksum


def run_lines(size: int) -> Outcome:
    """Loop over the lines with orjson, big buffers, bound names: the best naive code, and the baseline."""
    import orjson

    def transfer(source: Path, target: Path) -> None:
        loads, dumps, newline = orjson.loads, orjson.dumps, orjson.OPT_APPEND_NEWLINE
        with source.open("rb", buffering=MIB) as lines, target.open("wb", buffering=MIB) as out:
            write = out.write
            for line in lines:
                record = loads(line)
                if is_active(record):
                    write(dumps(to_order(record), None, newline))

    return timed(transfer, size)


def run_streamflow(size: int) -> Outcome:
    """Run our flow from path to path, as dicts."""
    import streamflow as sf

    def transfer(source: Path, target: Path) -> None:
        asyncio.run(sf.flow(str(source)).filter(is_active).map(to_order).to(str(target)).run())

    return timed(transfer, size)


def run_streamable(size: int) -> Outcome:
    """Run streamable over the lines of the open file."""
    import orjson
    from streamable import stream

    def encoded(record: Record) -> bytes:
        return orjson.dumps(record, None, orjson.OPT_APPEND_NEWLINE)

    def transfer(source: Path, target: Path) -> None:
        with source.open("rb", buffering=MIB) as lines, target.open("wb", buffering=MIB) as out:
            for line in stream(lines).map(orjson.loads).filter(is_active).map(to_order).map(encoded):
                out.write(line)

    return timed(transfer, size)


def run_bytewax(size: int, *, own_source: bool = True) -> Outcome:
    """Run a Bytewax dataflow over its own file source, or over a hand-written one that skips decoding text.

    The sink is a hand-written one for both: its own syncs each batch to the disk.
    """
    import bytewax.operators as op
    import orjson
    from bytewax.connectors.files import FileSource
    from bytewax.dataflow import Dataflow
    from bytewax.testing import run_main

    from bench.flows.bytewax_parts import BatchSource, CallableSink

    def encoded(record: Record) -> bytes:
        return orjson.dumps(record, None, orjson.OPT_APPEND_NEWLINE)

    def transfer(source: Path, target: Path) -> None:
        with source.open("rb", buffering=MIB) as lines, target.open("wb", buffering=MIB) as out:
            flow = Dataflow("orders")
            origin = FileSource(source) if own_source else BatchSource(lambda: in_batches(lines))
            records = op.map("parse", op.input("source", flow, origin), orjson.loads)
            orders = op.map("to_order", op.filter("is_active", records, is_active), to_order)
            op.output("sink", op.map("encode", orders, encoded), CallableSink(out.write))
            run_main(flow)  # type: ignore[no-untyped-call]

    return timed(transfer, size)


def in_batches(lines: Any) -> Iterator[list[bytes]]:
    """Cut lines into lists of 256."""
    while batch := list(islice(lines, 256)):
        yield batch


def run_typed_lines(size: int) -> Outcome:
    """Loop over the lines with a typed msgspec decoder: the hand-written limit of the typed work."""
    import msgspec

    from bench.flows.records import Sale, is_active_sale, to_typed_order

    def transfer(source: Path, target: Path) -> None:
        decode, encode = msgspec.json.Decoder(Sale).decode, msgspec.json.Encoder().encode
        with source.open("rb", buffering=MIB) as lines, target.open("wb", buffering=MIB) as out:
            write = out.write
            for line in lines:
                sale = decode(line)
                if is_active_sale(sale):
                    write(encode(to_typed_order(sale)))
                    write(b"\n")

    return timed(transfer, size)


def run_typed_streamflow(size: int) -> Outcome:
    """Run our flow with ``type=`` a msgspec.Struct."""
    import streamflow as sf
    from bench.flows.records import Sale, is_active_sale, to_typed_order

    def transfer(source: Path, target: Path) -> None:
        sales = sf.sources.JsonLines(path=str(source), type=Sale)
        asyncio.run(sf.flow(sales).filter(is_active_sale).map(to_typed_order).to(str(target)).run())

    return timed(transfer, size)


SIZES = Sizes(quick=200_000, default=300 * MEGABYTE, full=1000 * MEGABYTE)
SMALLER = Sizes(quick=100_000, default=100 * MEGABYTE, full=100 * MEGABYTE)
LINES = Contender("lines", "for line in file, orjson", run_lines, (ORJSON,))

DICTS = Work(
    name="jsonl_dicts",
    title="JSON Lines: parse, filter, transform, write; dicts",
    unit="bytes",
    sizes=SIZES,
    baseline="lines",
    warm_up=100_000,
    contenders=(
        LINES,
        Contender("streamflow", "streamflow", run_streamflow, (STREAMFLOW,)),
        Contender("streamflow_100mb", "streamflow, 100 MB", run_streamflow, (STREAMFLOW,), SMALLER),
        Contender("streamable", "streamable", run_streamable, (STREAMABLE, ORJSON)),
        Contender("bytewax", "Bytewax, FileSource", run_bytewax, (BYTEWAX, ORJSON)),
        Contender(
            "bytewax_lean",
            "Bytewax, hand-written source",
            partial(run_bytewax, own_source=False),
            (BYTEWAX, ORJSON),
        ),
    ),
    figures=(
        Figure("streamflow", over="lines", at_most=1.1),
        Figure("bytewax", over="streamflow", at_least=1.5),
        Figure("streamflow", metric="peak_mib", at_most=24),
        Figure("streamflow_100mb", metric="peak_mib", at_most=24),
    ),
    prepare=data.warm,
    shows=("mb_per_s", "peak_mib"),
)

STRUCTS = Work(
    name="jsonl_struct",
    title="the same, typed records",
    unit="bytes",
    sizes=SIZES,
    baseline="lines",
    warm_up=100_000,
    contenders=(
        LINES,
        Contender("streamflow", "streamflow, msgspec.Struct", run_typed_streamflow, (STREAMFLOW, MSGSPEC)),
        Contender("typed_lines", "for line in file, msgspec.Struct", run_typed_lines, (MSGSPEC,)),
    ),
    figures=(Figure("lines", over="streamflow", at_least=2.2),),
    prepare=data.warm,
    shows=("mb_per_s", "peak_mib"),
)
