"""A made-up access log: the same for the same seed, with about one malformed line in a hundred."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from streamflow.model.errors import FlowError

_METHODS = ("GET",) * 8 + ("POST", "PUT")
_STATUSES = (200,) * 14 + (301, 304, 404, 404, 500, 503)
_PATHS = ("/", "/login", "/search", "/cart", "/api/items", "/api/users", "/static/app.js", "/healthz")
#: What the demo's flow writes beside the log.
_OUTPUTS = ("enriched.jsonl", "bad.jsonl")
#: One line in so many is malformed.
MALFORMED_EVERY = 100


def write_access_log(path: Path, lines: int, seed: int, progress: Callable[[int], object]) -> bool:
    """Write `lines` lines to `path`, unless it holds them already; tell whether it was written.

    `progress` is told how many were. Files that this did not write are not touched: FlowError says so.
    """
    mark = f"# streamflow demo: {lines} lines, seed {seed}\n".encode()
    if path.exists():
        with path.open("rb") as existing:
            first = existing.readline(200)
        if first == mark:
            return False
        if not first.startswith(b"# streamflow demo: "):
            raise FlowError(f"{path} exists and is not a log of this demo: move it away, or give --dir another folder")
    elif any((path.parent / name).exists() for name in _OUTPUTS):
        raise FlowError(
            f"{path.parent} holds {' or '.join(_OUTPUTS)}, but not the log of this demo: give --dir another folder"
        )
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as log:
            log.write(mark)
            written = 0
            for chunk in _chunks(lines, random.Random(seed)):
                log.write(chunk)
                written = min(written + 10_000, lines)
                progress(written)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _chunks(lines: int, source: random.Random) -> Iterator[bytes]:
    for start in range(0, lines, 10_000):
        yield b"".join(_line(n, source) for n in range(start, min(start + 10_000, lines)))


def _line(n: int, source: random.Random) -> bytes:
    # One draw of many bits, cut up: a draw for each field would take most of the time.
    bits = source.getrandbits(64)
    client = f"10.{bits & 7}.{(bits >> 3) & 255}.{(bits >> 11) & 63}"
    second = n // 50
    stamp = f"2026-11-{1 + second // 86400 % 28:02}T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}Z"
    method = _METHODS[(bits >> 17) % 10]
    path = _PATHS[(bits >> 21) & 7]
    status = _STATUSES[(bits >> 24) % 20]
    line = f"{client} {stamp} {method} {path} {status} {(bits >> 29) % 50_000} {(bits >> 45) % 900}\n".encode()
    return _malformed(line, bits >> 55) if bits % MALFORMED_EVERY == 0 else line


def _malformed(line: bytes, kind: int) -> bytes:
    """Return `line` spoilt in one of four ways: cut off, a wrong status, bytes that are no text, another format."""
    if kind % 4 == 0:
        return line[: len(line) // 2] + b"\n"
    if kind % 4 == 1:
        return line.replace(b" 200 ", b" ??? ").replace(b" 404 ", b" -- ")
    if kind % 4 == 2:
        return line[:10] + b"\xff\xfe\x80" + line[13:]
    return b'{"not": "this format"}\n'
