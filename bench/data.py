"""Make the input files, once, from a seed, in a folder outside the repository."""

import gzip
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count, cycle
from pathlib import Path

FOLDER = "STREAMFLOW_BENCH_DATA"
_VERSION = 1
_TEMPLATES = 20_000
_MIB = 1 << 20


def folder() -> Path:
    """Give the folder for inputs and outputs: the environment's, or one below the system's temporary folder."""
    chosen = os.environ.get(FOLDER)
    path = Path(chosen) if chosen else Path(tempfile.gettempdir()) / "streamflow-bench"
    path.mkdir(parents=True, exist_ok=True)
    return path


def json_lines(size: int) -> Path:
    """Give a JSON Lines file of about ``size`` bytes, made now if it is not there yet, and in the page cache."""
    return made(f"orders-{_VERSION}-{size}.jsonl", lambda: _lines(size))


def csv_rows(size: int) -> Path:
    """Give the same orders as comma-separated values, about ``size`` bytes of them."""
    return made(f"orders-{_VERSION}-{size}.csv", lambda: _rows(size))


def varied_lines(size: int) -> Path:
    """Give JSON Lines of which no two are alike: what repeats itself within a codec's window tells nothing of it."""
    return made(f"varied-orders-{_VERSION}-{size}.jsonl", lambda: _varied(size))


def gzip_lines(size: int) -> Path:
    """Give the varied lines of ``size`` compressed by gzip."""
    return made(
        f"varied-orders-{_VERSION}-{size}.jsonl.gz", lambda: [gzip.compress(varied_lines(size).read_bytes(), 6)]
    )


def parquet(rows: int) -> Path:
    """Give a Parquet file of so many rows, 500,000 in a row group: numbers, fractions and few texts."""
    return made(f"orders-{_VERSION}-{rows}.parquet", lambda: [_parquet(rows)])


def _parquet(rows: int) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    dice, out = random.Random(_VERSION), pa.BufferOutputStream()
    schema = pa.schema({"id": pa.int64(), "amount": pa.float64(), "quantity": pa.int64(), "user": pa.string()})
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for start in range(0, rows, 500_000):
            ids = range(start, min(start + 500_000, rows))
            amounts = [dice.random() for _ in ids]
            columns = [list(ids), amounts, [int(one * 1000) for one in amounts], [f"user-{n % 5000}" for n in ids]]
            writer.write_table(pa.table(columns, schema=schema))
    return bytes(out.getvalue())


def made(name: str, pieces: Callable[[], Iterable[bytes]]) -> Path:
    """Give a file of ours, written now if it is not there yet; it bears its name when it is whole."""
    path = folder() / name
    if path.exists():
        return path
    unfinished = path.with_name(f"{name}.{os.getpid()}")
    with unfinished.open("wb", buffering=_MIB) as out:
        for piece in pieces():
            out.write(piece)
    return unfinished.rename(path)


@contextmanager
def output(name: str) -> Iterator[Path]:
    """Give a path to write to, and remove the file afterwards."""
    stem, _, suffix = name.partition(".")
    path = folder() / f"{stem}-{os.getpid()}.{suffix or 'jsonl'}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def warm(size: int, source: Callable[[int], Path] = json_lines) -> None:
    """Make the file and read it once, so that the first contender does not pay for the disk."""
    with source(size).open("rb", buffering=0) as data:
        while data.read(_MIB):
            pass


def _lines(size: int) -> Iterator[bytes]:
    return _numbered(size, cycle(_templates()))


def _varied(size: int) -> Iterator[bytes]:
    chance = random.Random(2026)
    return _numbered(size, (_template(chance) for _ in count()))


def _numbered(size: int, templates: Iterable[bytes]) -> Iterator[bytes]:
    written = 0
    for number, template in enumerate(templates):
        if written >= size:
            return
        line = b'{"id":%d,%s' % (number, template)
        yield line
        written += len(line)


def _rows(size: int) -> Iterator[bytes]:
    names = ["id", "time", "user", "country", "active", "amount", "quantity", "path"]
    templates = [json.loads(b"{" + template) for template in _templates()]
    rows = [",".join(str(order[name]).lower() for name in names[1:]) for order in templates]
    head = ",".join(names).encode() + b"\n"
    yield head
    written, number = len(head), 0
    while written < size:
        line = f"{number},{rows[number % _TEMPLATES]}\n".encode()
        yield line
        written += len(line)
        number += 1


def _templates() -> list[bytes]:
    chance = random.Random(2026)
    return [_template(chance) for _ in range(_TEMPLATES)]


def _template(chance: random.Random) -> bytes:
    """Write what follows the id of one order: about 200 bytes, six kinds of values."""
    return (
        f'"time":"2026-11-{chance.randint(1, 30):02}T{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:00Z",'
        f'"user":"user-{chance.randint(0, 99_999):05}","country":"{chance.choice(["de", "fr", "jp", "us"])}",'
        f'"active":{chance.choice(["true", "false"])},"amount":{chance.randint(100, 99_999) / 100},'
        f'"quantity":{chance.randint(1, 9)},"path":"/shop/articles/{chance.randint(1, 9999)}/order",'
        f'"referrer":null,"tags":["{chance.choice(["new", "gift", "sale"])}","web"]}}\n'
    ).encode()
