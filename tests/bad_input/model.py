"""What must come out of an input: slow, obvious, and written without looking at how streamflow does it."""

from __future__ import annotations

import json
import lzma
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import zstandard

LONGEST = 1 << 20
#: What the parser of JSON and the writer of JSON go down to.
DEEPEST_READ, DEEPEST_WRITTEN = 1024, 254
#: The longest field that Python's csv takes.
WIDEST = 131_072


@dataclass(frozen=True)
class Bad:
    """Be a record that is bad, where it begins, and what of it a dead letter must show: None for whatever."""

    line: int
    offset: int
    raw: bytes | None = None


@dataclass(frozen=True)
class Expected:
    """Hold what must come out; `fatal` if no policy lets the run go on."""

    good: tuple[Any, ...]
    bad: tuple[Bad, ...]
    fatal: bool = False


def expected(suffix: str, content: bytes) -> Expected:
    """Return what must come out of a file of `content`."""
    if suffix in (".csv", ".tsv"):
        return _csv(content, "\t" if suffix == ".tsv" else ",")
    good: list[Any] = []
    bad: list[Bad] = []
    for number, offset, line in _lines(content):
        try:
            if len(line.removesuffix(b"\n")) > LONGEST:
                raise ValueError("too long")
            if suffix == ".txt":
                good.append(_text(line))
            elif line.strip():
                good.append(_json(line))
        except (ValueError, RecursionError):
            bad.append(Bad(number, offset, line[:200] if len(line) > LONGEST else line))
    return Expected(tuple(good), tuple(bad))


def _lines(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    number = 1
    while offset < len(content):
        end = content.find(b"\n", offset) + 1 or len(content)
        yield number, offset, content[offset:end]
        number, offset = number + 1, end


def _text(line: bytes) -> str:
    text = line.decode()
    if text.endswith("\n"):
        text = text[:-1]
    return text[:-1] if text.endswith("\r") else text


def _json(line: bytes) -> Any:
    value = json.loads(line.decode(), parse_constant=_refuse, parse_int=_int, parse_float=_float)
    if line.startswith(b"\xef\xbb\xbf"):
        raise ValueError("a mark within the file")
    json.dumps(value, ensure_ascii=False).encode()  # a half of a surrogate pair is no text
    if _depth(line) > DEEPEST_WRITTEN:
        raise ValueError("too deep")
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _int(text: str) -> int | float:
    value = int(text)
    return value if -(2**63) <= value < 2**64 else _float(text)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("too large")
    return value


def _depth(line: bytes) -> int:
    deepest = depth = 0
    for byte in line:
        depth += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, depth)
    return deepest


def _csv(content: bytes, delimiter: str) -> Expected:
    good: list[Any] = []
    bad: list[Bad] = []
    names: list[str] | None = None
    for number, offset, fields, raw in _rows(content, delimiter):
        try:
            if fields is None:
                raise ValueError("not closed, or too long")
            if any(len(field) > WIDEST for field in fields):
                raise ValueError("too wide")
            row = [field.decode() for field in fields]
            if names is None:
                if len(set(row)) < len(row):
                    raise ValueError("a name twice")
                names = row
                continue
            if len(row) != len(names):
                raise ValueError("ragged")
            good.append(dict(zip(names, row, strict=True)))
        except ValueError:
            bad.append(Bad(number, offset, raw if fields is None else None))
            if names is None:
                return Expected((), tuple(bad), fatal=True)
    return Expected(tuple(good), tuple(bad))


def _rows(content: bytes, delimiter: str) -> Iterator[tuple[int, int, list[bytes] | None, bytes]]:
    """Yield line, offset and fields of each row; None for one that is never closed, or too long."""
    at = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    # A line that is too long ends whatever is open before it.
    walls = [offset for _, offset, line in _lines(content) if len(line.removesuffix(b"\n")) > LONGEST]
    number, counted = 1, 0
    while at < len(content):
        number, counted = number + content.count(b"\n", counted, at), at
        end = min([wall for wall in walls if wall > at], default=len(content))
        fields, after = (None, 0) if at in walls else _row(content, at, end, ord(delimiter))
        if fields is None or after - at > LONGEST:
            after = content.find(b"\n", at) + 1 or len(content)
            raw = content[at:after]
            yield number, at, None, raw[:200]
        elif content[at:after].strip(b"\r\n"):
            yield number, at, fields, content[at:after]
        at = after


def _row(content: bytes, at: int, end: int, delimiter: int) -> tuple[list[bytes] | None, int]:
    """Return the fields of the row at `at`, and where the next one begins; None if a quote is open at `end`."""
    fields, field, state = [], bytearray(), "begin"
    while at < end:
        byte = content[at]
        at += 1
        if state == "begin" and byte == ord('"'):
            state = "quoted"
        elif state == "quoted" and byte == ord('"'):
            if at < end and content[at] == ord('"'):
                field.append(byte)
                at += 1
            else:
                state = "plain"
        elif state == "quoted":
            field.append(byte)
        elif byte == delimiter:
            fields.append(bytes(field))
            field, state = bytearray(), "begin"
        elif byte in b"\r\n":
            at += byte == ord("\r") and content[at : at + 1] == b"\n"
            return [*fields, bytes(field)], at
        else:
            field.append(byte)
            state = "plain"
    return (None if state == "quoted" else [*fields, bytes(field)]), at


@cache
def decompressed(method: str, data: bytes) -> tuple[bytes, bool]:
    """Return what can be had of compressed data, a byte at a time, and whether it is whole."""
    content, decoder, at = bytearray(), None, 0
    while at < len(data):
        if decoder is None:
            if data[at] == 0 and (at or method == "zstd"):
                at += 1  # filled up, behind a member
                continue
            decoder = _decoder(method)
        try:
            content += decoder.decompress(data[at : at + 1])
        except (zlib.error, lzma.LZMAError, zstandard.ZstdError):
            return bytes(content), False
        at += 1
        if decoder.eof:
            decoder = None
    return bytes(content), decoder is None


def _decoder(method: str) -> Any:
    if method == "gzip":
        return zlib.decompressobj(31)
    return lzma.LZMADecompressor() if method == "xz" else zstandard.ZstdDecompressor().decompressobj()
