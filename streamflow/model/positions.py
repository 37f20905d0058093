"""Where an item came from: what `sf.position()` and an error's note name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class FileMark:
    """Tell a file from others that bear its name before or after it, or its inode after it.

    `digest` is that of its first `length` bytes.
    """

    device: int
    inode: int
    length: int
    digest: str


@dataclass(frozen=True, slots=True)
class FilesBefore:
    """Tell which files of a source come before one of them: how many, and the sum of the digests of their names."""

    count: int = 0
    digest: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Name the place of one item in its source.

    `source` is a path or the source's name; `index` its ordinal from 0 where the source counts items, within `group`
    where it has groups (row groups of Parquet, record batches of Arrow);
    `line` (from 1) and `offset` (bytes from the start of the decoded stream) where it is a file; `file` says
    which one where several bear the name in turn; `before` which files were read before it where a source has several.
    """

    source: str
    index: int | None = None
    line: int | None = None
    offset: int | None = None
    file: FileMark | None = None
    group: int | None = None
    before: FilesBefore | None = None

    def __str__(self) -> str:
        parts = [self.source]
        if self.line is not None:
            parts.append(f"line {self.line:,}")
        if self.offset is not None:
            parts.append(f"byte {self.offset:,}")
        if self.group is not None:
            parts.append(f"group {self.group:,}, row {self.index or 0:,}")
        elif self.index is not None:
            parts.append(f"item {self.index:,}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Span:
    """Name the stretch of a source from which a batch came, where the exact place was not tracked."""

    first: Position
    last: Position

    def __str__(self) -> str:
        return f"between {self.first} and {self.last}"


class Place(NamedTuple):
    """Be a position that is worked out when somebody asks: finding a line in its block costs more than handling it."""

    locate: Callable[[int], Position]
    ordinal: int

    def __str__(self) -> str:
        return str(self.locate(self.ordinal))


@dataclass(frozen=True, slots=True)
class Gathered:
    """Name the places of all items in one list that `batch` has made of them."""

    positions: tuple[Where, ...]

    def nth(self, index: int) -> Where:
        """Return the place of the item that stood at `index`, the last one's beyond the end."""
        return self.positions[min(index, len(self.positions) - 1)]

    def __str__(self) -> str:
        return f"{len(self.positions)} items, from {self.positions[0]} to {self.positions[-1]}"


class Stamp(NamedTuple):
    """Carry the event time of an item, and the watermark as it stood with it, beside its position across an edge.

    Both are seconds since the epoch.
    """

    time: float
    watermark: float
    position: Where

    def __str__(self) -> str:
        return str(self.position)


class Answerable(ABC):
    """Be a position at whose other end somebody waits for what becomes of the item."""

    __slots__ = ()

    @abstractmethod
    def answer(self, result: object) -> None:
        """Tell them the result."""

    @abstractmethod
    def reject(self, error: BaseException) -> None:
        """Tell them that the item failed."""


Where = Position | Span | Place | Gathered | Stamp | None
Bare = Position | Span | Place | Gathered | None
Known = Position | Span | Gathered | None


def plain(where: Where) -> Bare:
    """Return the position itself, without the time that travels with it."""
    return plain(where.position) if isinstance(where, Stamp) else where


def settled(pairs: Iterable[tuple[Any, Where]]) -> tuple[tuple[Any, Where], ...]:
    """Return items with their positions worked out: what they would be worked out from is in memory."""
    return tuple((item, _settled(where)) for item, where in pairs)


def _settled(where: Where) -> Where:
    return where._replace(position=resolved(where)) if isinstance(where, Stamp) else resolved(where)


def resolved(where: Where) -> Known:
    """Work out a position that was left open."""
    found = plain(where)
    if isinstance(found, Place):
        return found.locate(found.ordinal)
    if isinstance(found, Gathered):
        return Gathered(tuple(resolved(one) for one in found.positions))
    return found
