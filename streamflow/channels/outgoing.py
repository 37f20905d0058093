"""What a sender still has in its hands: a batch in pieces, encoded as far as it is to be written. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from streamflow.channels.sizes import size_of_items
from streamflow.model.batches import Batch
from streamflow.model.errors import NotSerialisable

#: The most items and bytes (estimated) of one record; they are decoded at a stretch, which holds the loop.
RECORD_ITEMS = 512
RECORD_BYTES = 1 << 18


class Piece(NamedTuple):
    """Be a part of a batch that makes one record."""

    batch: Batch
    payload: bytes


class Outgoing:
    """Cut a batch of the edge `edge` as needed: what is first goes first, in memory as it is or encoded to the disk."""

    def __init__(self, batch: Batch, encode: Callable[[list[Any]], bytes], edge: str) -> None:
        self._edge = edge
        self._encode = encode
        self._encoded: deque[Piece] = deque()
        self._rest: deque[Batch] = deque([batch])

    def __bool__(self) -> bool:
        return bool(self._encoded or self._rest)

    @property
    def first(self) -> Batch:
        """Return what goes next."""
        return self._encoded[0].batch if self._encoded else self._rest[0]

    def passed(self) -> None:
        """Take note that the first has gone."""
        if self._encoded:
            self._encoded.popleft()
        else:
            self._rest.popleft()

    def cut(self, after: int) -> None:
        """Make two of the first: so many items, and the others."""
        first = self.first
        self.passed()
        self._rest.extendleft(piece.batch for piece in reversed(self._encoded))
        self._encoded.clear()
        self._rest.appendleft(Batch(first.items[after:], first.origin))
        self._rest.appendleft(Batch(first.items[:after], first.origin))

    def encoded(self, most_items: int, most_bytes: int) -> deque[Piece]:
        """Encode about as much as is written at once, in records within these bounds; return it in its order."""
        size = sum(len(piece.payload) for piece in self._encoded)
        enough = min(RECORD_BYTES, most_bytes)
        while self._rest and size < enough:
            items, origin = self._rest.popleft()
            each, at = _bound(items, most_items, most_bytes), 0
            while at < len(items) and size < enough:
                batch = Batch(items[at : at + each], origin)
                self._encoded.append(Piece(batch, self._encode_items(batch.items)))
                size += len(self._encoded[-1].payload)
                at += each
            if at < len(items):
                self._rest.appendleft(Batch(items[at:], origin))
        return self._encoded

    def take(self, count: int) -> list[Piece]:
        """Hand out the first `count` that were encoded."""
        return [self._encoded.popleft() for _ in range(count)]

    def give_back(self, pieces: list[Piece]) -> None:
        """Take back what was handed out last."""
        self._encoded.extendleft(reversed(pieces))

    def left(self) -> int:
        """Return the number of items that have not gone."""
        return sum(len(one.items) for one in (*(piece.batch for piece in self._encoded), *self._rest))

    def _encode_items(self, items: list[Any]) -> bytes:
        try:
            return self._encode(items)
        except Exception:
            for item in items:
                self._refuse(item)
            raise

    def _refuse(self, item: Any) -> None:
        try:
            self._encode([item])
        except Exception as error:
            raise NotSerialisable(
                f"edge {self._edge!r} spills to the disk, and an item ({type(item).__name__}) cannot go there: "
                f"{error}; hand on plain data, or choose another overflow"
            ) from error


def _bound(items: list[Any], most_items: int, most_bytes: int) -> int:
    """Return how many of `items` make one record."""
    each = max(1, size_of_items(items) // len(items))
    return max(1, min(RECORD_ITEMS, most_items, min(RECORD_BYTES, most_bytes) // each))
