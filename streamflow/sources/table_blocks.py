"""Rows of a table as they were read, not made into records yet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from operator import length_hint
from typing import Any

from streamflow.model.errors import RecordError
from streamflow.model.interfaces import Block
from streamflow.model.positions import Position

#: Values that are made at once, so that the loop is not held for long.
VALUES = 1024


class BadRecord(dict[str, Any]):
    """Be what could be read of a record that cannot be handed on, and why."""

    __slots__ = ("error",)

    def __init__(self, error: ValueError, record: dict[str, Any]) -> None:
        super().__init__(record)
        self.error = error


class TableBlock(Block):
    """Hold consecutive rows of one group: a record for each, or one RecordBatch of all."""

    __slots__ = ("_base", "_batch", "_group", "_label", "_piece", "_row", "_whole", "broken")

    def __init__(
        self, batch: Any, label: str, group: int, row: int, *, whole: bool = False, broken: RecordError | None = None
    ) -> None:
        self.broken = broken
        self._batch = batch
        self._label = label
        self._group = group
        self._row = row
        self._whole = whole
        #: The records before the end of the piece that is being handed out, and the rest of that.
        self._base = 0
        self._piece: Iterator[Any] = iter(())

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return 0 if self._batch is None else int(self._batch.num_rows)

    def __len__(self) -> int:
        return min(self.rows, 1) if self._whole else self.rows

    def raw(self) -> Iterator[Any]:
        """Return an iterator over the records; one with a value that Python has no form for is a `BadRecord`."""
        self._base = 0
        self._piece = iter(())
        return chain.from_iterable(self._pieces())

    def _pieces(self) -> Iterator[Iterator[Any]]:
        if self._batch is None:
            return
        size = self.rows if self._whole else max(16, VALUES // max(self._batch.num_columns, 1))
        for start in range(0, self.rows, size):
            piece = [self._batch] if self._whole else _records(self._batch.slice(start, size))
            self._base += len(piece)
            self._piece = iter(piece)
            yield self._piece

    def consumed(self, raw: Iterator[Any]) -> int:
        """Return how many records the latest `raw` has handed out."""
        return self._base - length_hint(self._piece)

    def position(self, index: int) -> Position:
        """Return group and row of record `index`."""
        index += len(self) if index < 0 else 0
        row = self.rows if self._whole and index else index
        return Position(self._label, group=self._group, index=self._row + row)


def _records(batch: Any) -> list[Any]:
    names = batch.schema.names
    try:
        columns = [column.to_pylist() for column in batch.columns]
    except Exception:  # one value among them: text that is not UTF-8, a time that Python cannot hold
        return [_record(batch, row) for row in range(batch.num_rows)]
    if not columns:
        return [{} for _ in range(batch.num_rows)]
    return list(map(dict, map(zip, repeat(names), zip(*columns, strict=True))))


def _record(batch: Any, row: int) -> Any:
    record: dict[str, Any] = {}
    bad: ValueError | None = None
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            record[name] = column[row].as_py()
        except Exception as error:
            record[name] = None
            bad = bad or ValueError(f"column {name!r}, {column.type}: {_plain(error)}")
    return record if bad is None else BadRecord(bad, record)


def _plain(error: Exception) -> str:
    if "Nanosecond" in str(error):
        return (
            "a time with nanoseconds, which Python's datetime has not; "
            "read items='batches' and cast the column, or install pandas"
        )
    return str(error)
