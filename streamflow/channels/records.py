"""How items and markers lie in a segment: records, each with its length, its number and a checksum. Pure.

A segment begins with a header that says which one it is. Every byte of both is covered by a checksum, so that a record
that is torn, damaged, or of another segment is never taken for a whole one.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple
from zlib import crc32

from streamflow.model.markers import Idle, Marker, Watermark

_MAGIC = b"sfspill\x01"
_CHECKSUM = Struct("<I")
_HEADER = Struct("<8s16sQ")  # magic, token, number
_REST = Struct("<IIBQ")  # length of the payload, items, kind, sequence
_TIME = Struct("<d")

SEGMENT_HEADER = _CHECKSUM.size + _HEADER.size
RECORD_HEADER = _CHECKSUM.size + _REST.size
#: What a record holds.
_ITEMS, _WATERMARK, _IDLE = 0, 1, 2


class Damaged(Exception):
    """Say that what was read is no whole record, or not the one that stood there."""


class Record(NamedTuple):
    """Be one record: `items` items encoded in `payload`, or one marker."""

    sequence: int
    kind: int
    items: int
    payload: bytes

    @property
    def marker(self) -> Marker | None:
        """Return the marker that was written, None where it is items."""
        if self.kind == _WATERMARK:
            return Watermark(*_TIME.unpack(self.payload))
        return Idle() if self.kind == _IDLE else None


def segment_header(token: str, number: int) -> bytes:
    """Return how segment `number` of the edge `token` (16 letters) begins."""
    return _checked(_HEADER.pack(_MAGIC, token.encode(), number))


def check_segment_header(found: bytes, name: str) -> None:
    """Raise Damaged unless `found` is how the segment called `name` begins."""
    number, _, token = name.partition(".")[0].partition("-")
    if found != segment_header(token, int(number)):
        raise Damaged("it does not begin as this segment does")


def items_record(sequence: int, items: int, payload: bytes) -> bytes:
    """Return the bytes of record `sequence`, which holds so many items, encoded."""
    return _record(sequence, _ITEMS, items, payload)


def marker_record(sequence: int, marker: Watermark | Idle) -> bytes:
    """Return the bytes of record `sequence`, which holds a marker."""
    if isinstance(marker, Watermark):
        return _record(sequence, _WATERMARK, 0, _TIME.pack(marker.time))
    return _record(sequence, _IDLE, 0, b"")


def size_of_record(header: bytes | memoryview) -> int:
    """Return the bytes of the record of which the header was read; it may be damaged."""
    length: int = _REST.unpack_from(header, _CHECKSUM.size)[0]
    return RECORD_HEADER + length


def read_record(found: memoryview, sequence: int) -> Record:
    """Return the record in `found`, which holds that and nothing else; raise Damaged unless it is number `sequence`."""
    (checksum,) = _CHECKSUM.unpack_from(found)
    if crc32(found[_CHECKSUM.size :]) != checksum:
        raise Damaged("the checksum of the record there does not match")
    _, items, kind, number = _REST.unpack_from(found, _CHECKSUM.size)
    if number != sequence:
        raise Damaged(f"record {number:,} is there, where record {sequence:,} was written")
    return Record(number, kind, items, bytes(found[RECORD_HEADER:]))


def _record(sequence: int, kind: int, items: int, payload: bytes) -> bytes:
    return _checked(_REST.pack(len(payload), items, kind, sequence), payload)


def _checked(*parts: bytes) -> bytes:
    checksum = 0
    for part in parts:
        checksum = crc32(part, checksum)
    return b"".join((_CHECKSUM.pack(checksum), *parts))
