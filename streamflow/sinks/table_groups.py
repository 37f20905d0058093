"""Record batches gathered into groups of a size."""

from __future__ import annotations

from typing import Any

from streamflow.codecs.arrow import arrow


class Groups:
    """Gather record batches; each group has exactly `rows` rows but the last, or ends at about `bytes` bytes."""

    def __init__(self, rows: int | None, bytes: int) -> None:
        self._rows = rows
        self._bytes = bytes
        self._gathered: list[Any] = []
        self._count = self._size = 0
        self._full: list[Any] = []

    def add(self, batch: Any) -> None:
        """Put `batch` behind what has come, cut where a group ends."""
        while batch.num_rows:
            size = batch.nbytes
            fits = self._room(batch.num_rows, size)
            self._gathered.append(batch.slice(0, fits))
            self._count += fits
            self._size += size * fits // batch.num_rows
            if self._count == self._rows or self._size >= self._bytes or fits < batch.num_rows:
                self._end()
            batch = batch.slice(fits)

    def _room(self, rows: int, size: int) -> int:
        """Return how many of the next `rows` rows the group takes, at least one."""
        fits = rows
        if self._size + size > self._bytes:
            fits = max(1, -(-rows * (self._bytes - self._size) // max(size, 1)))
        return min(rows, fits, rows if self._rows is None else self._rows - self._count)

    def _end(self) -> None:
        self._full.append(arrow().Table.from_batches(self._gathered))
        self._gathered = []
        self._count = self._size = 0

    def full(self) -> list[Any]:
        """Hand over the groups that are full, as tables."""
        found, self._full = self._full, []
        return found

    def rest(self) -> list[Any]:
        """Hand over everything."""
        if self._gathered:
            self._end()
        return self.full()
