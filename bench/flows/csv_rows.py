"""Comma-separated values from file to file: keep the orders that are active."""

import asyncio
import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench import data
from bench.flows.json_lines import MEGABYTE, MIB, read_back
from bench.meter import Meter
from bench.works import BYTEWAX, DUCKDB, POLARS, STREAMFLOW, Contender, Figure, Outcome, Sizes, Work

ACTIVE = 4
Transfer = Callable[[Path, Path], None]


def is_active(row: Sequence[str]) -> bool:
    """Keep about every second row."""
    return row[ACTIVE] == "true"


def is_active_record(record: dict[str, str]) -> bool:
    """Keep the same records, as dicts."""
    return record["active"] == "true"


def timed(transfer: Transfer, size: int) -> Outcome:
    """Time a transfer from file to file; the checksum is of the bytes written."""
    source = data.csv_rows(size)
    with data.output("orders.csv") as target:
        with Meter() as meter:
            transfer(source, target)
        count, checksum = read_back(target)
    return meter.outcome(count, checksum, mb_per_s=source.stat().st_size / MEGABYTE / meter.seconds)


def rows(source: Path, target: Path) -> None:
    """Loop over csv's rows as lists with big buffers: the best naive code, and the baseline."""
    with (
        source.open(newline="", encoding="utf-8", buffering=MIB) as lines,
        target.open("w", newline="", encoding="utf-8", buffering=MIB) as out,
    ):
        reader = csv.reader(lines)
        write = csv.writer(out, lineterminator="\n").writerow
        write(next(reader))
        for row in reader:
            if is_active(row):
                write(row)


def records(source: Path, target: Path) -> None:
    """Loop over csv's own dicts: what people write."""
    with source.open(newline="", encoding="utf-8") as lines, target.open("w", newline="", encoding="utf-8") as out:
        reader = csv.DictReader(lines)
        writer = csv.DictWriter(out, reader.fieldnames or (), lineterminator="\n")
        writer.writeheader()
        for record in reader:
            if is_active_record(record):
                writer.writerow(record)


def streamflow(source: Path, target: Path) -> None:
    """Run our flow from path to path: dicts."""
    import streamflow as sf

    asyncio.run(sf.flow(str(source)).filter(is_active_record).to(str(target)).run())


def streamflow_lists(source: Path, target: Path) -> None:
    """Run our flow with rows as lists, the header as one of them."""
    import streamflow as sf

    def keep(row: list[str]) -> bool:
        return is_active(row) or row[0] == "id"

    rows = sf.sources.Csv(source, header=False)
    asyncio.run(sf.flow(rows).filter(keep).to(sf.sinks.Csv(target, header=False)).run())


def polars(source: Path, target: Path) -> None:
    """Run Polars' streaming engine, without its guess of types: an expression, no function of ours."""
    import polars as pl

    pl.scan_csv(source, infer_schema=False).filter(pl.col("active") == "true").sink_csv(target)


def duckdb(source: Path, target: Path) -> None:
    """Run DuckDB's COPY, all columns text: SQL, no function of ours."""
    import duckdb

    duckdb.sql(
        f"COPY (SELECT * FROM read_csv('{source}', all_varchar=true) WHERE active = 'true') TO '{target}' (HEADER)"
    )


def bytewax(source: Path, target: Path) -> None:
    """Run a Bytewax dataflow over its own CSV source; the sink is hand-written, its own syncs each batch."""
    import bytewax.operators as op
    from bytewax.connectors.files import CSVSource
    from bytewax.dataflow import Dataflow
    from bytewax.testing import run_main

    from bench.flows.bytewax_parts import CallableSink

    names = source.open().readline().strip().split(",")
    with target.open("w", newline="", encoding="utf-8", buffering=MIB) as out:
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        flow = Dataflow("orders")
        kept = op.filter("is_active", op.input("source", flow, CSVSource(source)), is_active_record)
        op.output("sink", kept, CallableSink(writer.writerow))
        run_main(flow)  # type: ignore[no-untyped-call]


WORK = Work(
    name="csv_filter",
    title="CSV: filter, write",
    unit="bytes",
    sizes=Sizes(quick=100_000, default=200 * MEGABYTE, full=1000 * MEGABYTE),
    baseline="rows",
    warm_up=100_000,
    contenders=(
        Contender("rows", "csv.reader, csv.writer", partial(timed, rows)),
        Contender("streamflow", "streamflow, dicts", partial(timed, streamflow), (STREAMFLOW,)),
        Contender("streamflow_lists", "streamflow, lists", partial(timed, streamflow_lists), (STREAMFLOW,)),
        Contender("records", "csv.DictReader, csv.DictWriter", partial(timed, records)),
        Contender("bytewax", "Bytewax, CSVSource", partial(timed, bytewax), (BYTEWAX,)),
        Contender("polars", "Polars, two threads", partial(timed, polars), (POLARS,)),
        Contender("duckdb", "DuckDB, two threads", partial(timed, duckdb), (DUCKDB,)),
    ),
    figures=(Figure("streamflow", over="rows", at_most=1.2), Figure("streamflow_lists", over="rows", at_most=1.2)),
    prepare=partial(data.warm, source=data.csv_rows),
    shows=("mb_per_s", "peak_mib"),
)
