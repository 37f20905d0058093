"""What all joins of two inputs have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal

from streamflow.model.errors import FlowError
from streamflow.model.interfaces import State

#: The ports of the two inputs.
LEFT, RIGHT = 0, 1
#: Which items come out without a partner: none, those of the left input, those of both.
How = Literal["inner", "left", "outer"]
#: Entries of one piece of a snapshot, at most.
PIECE = 2000


class JoinState(State):
    """Hold the items of two inputs until the watermark proves that they can have no more partners.

    Times and watermarks are finite seconds; the watermark is the least of both inputs'. What `advance` returns is made
    one at a time while it is taken, since it may be far more than what is held: take all of it before anything else is
    asked, a snapshot too.
    """

    __slots__ = ("_arrived", "watermark")

    def __init__(self) -> None:
        self.watermark = -math.inf
        self._arrived = [0, 0]

    @abstractmethod
    def add(self, port: int, key: Any, time: float, item: Any, own: float = -math.inf) -> Iterable[Any] | None:
        """Take one item and return what comes of it at once; None if it is too late: nothing was done with it.

        `own` is the watermark of its own input, by which it is late however far the other is. A key that cannot be
        hashed raises TypeError, and nothing was done either.
        """

    @abstractmethod
    def advance(self, watermark: float) -> Iterator[Any]:
        """Take note that nothing below `watermark` is still to come and return what comes of it.

        A lower one than before says nothing; infinity is the regular end of both inputs, after which nothing is held.
        """

    def flush(self) -> list[Any]:
        """Return what is still to come of the items held; `advance(inf)` gives the same, one at a time."""
        return list(self.advance(math.inf))

    @abstractmethod
    def _entries(self) -> Iterator[tuple[str, Iterable[Any]]]:
        """Yield all that is held, by the names of its parts."""

    @abstractmethod
    def _take_back(self, part: str, entries: list[Any]) -> None:
        """Hold some of the entries of a part again, in their order."""

    def chunks(self) -> Iterator[Any]:
        """Yield how far it is, then the entries of each part, 2,000 at most in a piece."""
        yield ("", [self.watermark, *self._arrived])
        for part, entries in self._entries():
            rest = iter(entries)
            while piece := list(islice(rest, PIECE)):
                yield (part, piece)

    def restore_chunk(self, chunk: Any) -> None:
        """Take one of the pieces."""
        part, entries = chunk
        if part:
            self._take_back(part, entries)
        else:
            self.watermark, *self._arrived = entries

    def snapshot(self) -> Any:
        """Return all pieces."""
        return list(self.chunks())

    def restore(self, snapshot: Any) -> None:
        """Take all pieces."""
        for chunk in snapshot:
            self.restore_chunk(chunk)

    def _arrival(self, port: int) -> int:
        """Return the number of an item that has just come, counted for its input alone: that is what orders results."""
        self._arrived[port] += 1
        return self._arrived[port]


def require_how(how: object, known: tuple[str, ...], operator: str) -> None:
    """Raise FlowError unless `how` is one of `known`."""
    if how not in known:
        named = ", ".join(repr(one) for one in known)
        fix = ' (exchange the two inputs and take "left")' if how == "right" else ""
        raise FlowError(f"{operator}(how={how!r}): expected one of {named}{fix}")
