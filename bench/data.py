"""Make the input files, once, from a seed, in a folder outside the repository."""

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    path = folder() / f"orders-{_VERSION}-{size}.jsonl"
    if path.exists():
        return path
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb", buffering=_MIB) as out:
        for line in _lines(size):
            out.write(line)
    return unfinished.rename(path)


@contextmanager
def output(name: str) -> Iterator[Path]:
    """Give a path to write to, and remove the file afterwards."""
    path = folder() / f"{name}-{os.getpid()}.jsonl"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def warm(size: int) -> None:
    """Make the file and read it once, so that the first contender does not pay for the disk."""
    with json_lines(size).open("rb", buffering=0) as data:
        while data.read(_MIB):
            pass


def _lines(size: int) -> Iterator[bytes]:
    templates = _templates()
    written = number = 0
    while written < size:
        line = b'{"id":%d,%s' % (number, templates[number % _TEMPLATES])
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
