"""What travels over the pipe between a pool and one of its worker processes: small framed messages, no bulk.

To the worker:
    ("chain", key, payload)                              a chain of functions, by cloudpickle
    ("share", number, key, content, placed, frees)       items to be done; `placed` if they are a pair with positions
    ("main", name, payload)                              the answer to "need"
    ("room", frees, beyond)                              the answer to "full"; blocks that nobody refers to any more
    ("trim",)                                            give back the memory that is free
    ("forget",)                                          drop the chains: another run will bring its own
    ("end",)                                             leave the resources and exit
From the worker:
    ("ready",)
    ("outcome", number, content, report, frees)          `report`: what an `Outcome` holds beside its values
    ("need", name)                                       a name of the parent's `__main__`, by value
    ("full",)                                            its arena is exhausted
    ("forgotten", error), ("ended", error)               what leaving the resources raised, or None

`content` is a pickle with its large buffers left out: (payload, buffers, number of items), where a buffer is (offset,
length, readonly, returned) in an arena, and the payload bytes or such a reference itself; or, where all are
arrays of plain numbers, a list of what each of them is.
"""

from __future__ import annotations

import pickle
import struct
import sys
from collections.abc import Iterator
from typing import Any, Final

from streamflow.memory.packing import THRESHOLD, Packed, pack
from streamflow.memory.plain_arrays import Meta

Message = tuple[Any, ...]
#: A buffer: offset, length, whether it may not be written to; and whether it lies not in the sender's arena but in the
#: receiver's, who has sent a block there whose bytes nobody wants any more: then it comes back with others.
Reference = tuple[int, int, bool, bool]
Content = tuple["bytes | Reference | list[Meta]", list[Reference], int]
#: What an `Outcome` holds beside its values: kept, dropped, failures, undone, apart, seconds, fatal.
Report = tuple[Any, ...]
#: Bytes of a pickle from which on it travels through the arena too, so that no message fills a pipe.
INLINE: Final = 16 << 10
_LENGTH: Final = struct.Struct("=I")


def frame(message: Message) -> bytes:
    """Return `message` as it travels."""
    body = pickle.dumps(message, protocol=5)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Cut what arrives into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[Message]:
        """Yield the messages that are whole now."""
        rest = self._rest
        if not rest and len(data) >= _LENGTH.size and _LENGTH.unpack_from(data)[0] == len(data) - _LENGTH.size:
            yield pickle.loads(data[_LENGTH.size :])  # one whole message, as it mostly is
            return
        rest += data
        while len(rest) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(rest)[0]
            if len(rest) < end:
                return
            message = pickle.loads(bytes(rest[_LENGTH.size : end]))
            del rest[:end]
            yield message


def packed(values: list[Any], threshold: int = THRESHOLD) -> Packed:
    """Take values apart for their way to the other side; raise what pickling raises."""
    try:
        return pack(values, threshold)
    except Exception:
        from streamflow.executors.by_value import Pickler  # for what has no name to be found by

        return pack(values, threshold, pickler=Pickler)


def in_one_piece(values: list[Any]) -> bytes:
    """Return values as they travel where there is no room for their buffers in shared memory: through the pipe."""
    payload = packed(values, sys.maxsize).payload
    assert isinstance(payload, bytes)
    return payload
