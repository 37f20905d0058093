"""What travels on an edge, besides markers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from streamflow.model.positions import Position, Span


class Origin(NamedTuple):
    """Remember from which stretch of a source a batch came, at the cost of one tuple a batch.

    `locate` gives the position of an ordinal of that stretch; `first` and `last` are the ordinals at its ends, where -1
    is the last one of a block whose length is not known yet.
    """

    locate: Callable[[int], Position]
    first: int
    last: int

    def span(self) -> Span:
        """Return the stretch, with its positions worked out."""
        return Span(self.locate(self.first), self.locate(self.last))


class Batch(NamedTuple):
    """Carry items down an edge. Consumers of a fan-out share it: nobody changes `items` once it was sent.

    In a flow where positions were asked for downstream of the source, each element of `items` is a pair
    `(item, position)`.
    """

    items: list[Any]
    origin: Origin | None = None


class Located(list[Any]):
    """Be a source's batch whose items know where they came from one by one."""

    __slots__ = ("positions",)

    def __init__(self, items: Iterable[Any], positions: Sequence[Position]) -> None:
        super().__init__(items)
        self.positions = positions

    def position(self, index: int) -> Position:
        """Return the position of item `index`."""
        return self.positions[index]
