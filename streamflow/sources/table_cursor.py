"""Where in a file of tables the reading stands. Everything here blocks, on the file's thread."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from streamflow.model.errors import FlowError, RecordError
from streamflow.sources.table_blocks import TableBlock


class Access(Protocol):
    """Be what a table is read from."""

    #: The latest error of the file system, which is no damage of the file.
    failed: OSError | None

    def close(self) -> None:
        """Close it."""


class Table(ABC):
    """Be an open file of tables: groups of rows, each read in record batches."""

    schema: Any

    @abstractmethod
    def batches(self, group: int) -> Iterator[Any] | None:
        """Return the record batches of group number `group`, or None if there is no such group."""

    @abstractmethod
    def share(self, group: int) -> float:
        """Return which part of the file, from 0 to 1, comes before `group`."""


class Agreed:
    """Remember the schema of the first of several files, which the others must have."""

    def __init__(self) -> None:
        self._path = ""
        self._schema: Any = None

    def check(self, path: str, schema: Any) -> None:
        """Raise RecordError that names the column in which `path` differs from the first file."""
        if self._schema is None:
            self._path, self._schema = path, schema
            return
        if schema.equals(self._schema):
            return
        for field in self._schema:
            at = schema.get_field_index(field.name)
            found = "missing" if at < 0 else str(schema.field(at).type)
            if found != str(field.type):
                raise RecordError(f"{path}: column {field.name!r} is {found}, where {self._path} has {field.type}")
        more = [name for name in schema.names if name not in self._schema.names]
        if more:
            raise RecordError(f"{path}: column {more[0]!r}, which {self._path} has not; choose with columns=")
        # What is left: another order of the columns, or other nullability, which make no other records.


class Cursor:
    """Read block after block; what cannot be read is a block's broken record, and the reading goes on behind it."""

    def __init__(
        self, access: Access, open_table: Callable[[Any], Table], label: str, agreed: Agreed, *, whole: bool
    ) -> None:
        self._access = access
        self._open_table = open_table
        self._label = label
        self._agreed = agreed
        self._whole = whole
        self._table: Table | None = None
        self._batches: Iterator[Any] | None = None
        self._group = self._row = 0
        #: Rows of this group that are passed over, after a `seek` into it.
        self._skip = 0
        self._ended = False

    def next(self) -> TableBlock | None:
        """Return the next rows, or None at the end."""
        while not self._ended:
            try:
                batch = self._next_batch()
            except Exception as error:
                return self._broken(error)
            if batch is not None and batch.num_rows:
                block = TableBlock(batch, self._label, self._group, self._row, whole=self._whole)
                self._row += batch.num_rows
                return block
        return None

    def _next_batch(self) -> Any:
        """Return the next batch; None if there is none here, and the next call looks further."""
        if self._table is None:
            table = self._table = self._open_table(self._access)
            require_distinct(self._label, table.schema, whole=self._whole)
            self._agreed.check(self._label, table.schema)
        if self._batches is None:
            self._batches = self._table.batches(self._group)
            self._ended = self._batches is None
        batch = None if self._batches is None else next(self._batches, None)
        if batch is None:
            self._batches = None
            self._group, self._row, self._skip = self._group + 1, 0, 0
            return None
        passed = min(self._skip, batch.num_rows)
        self._skip -= passed
        self._row += passed
        return batch.slice(passed) if passed else batch

    def _broken(self, error: Exception) -> TableBlock:
        """Return a block that tells what is wrong with a group, or the file; raise what is no damage of data."""
        failed, self._access.failed = self._access.failed, None
        if failed is not None:
            raise failed
        if isinstance(error, FlowError):
            raise error
        group, row = self._group, self._row
        if self._batches is None:
            self._ended = True
            text = str(error) if isinstance(error, RecordError) else f"{self._label}: {one_line(error)}"
        else:
            text = f"{self._label}: group {group:,} cannot be read from row {row:,} on: {one_line(error)}"
            self._batches = None
            self._group, self._row, self._skip = group + 1, 0, 0
        broken = RecordError(text)
        broken.__cause__ = error
        return TableBlock(None, self._label, group, row, whole=self._whole, broken=broken)

    def seek(self, group: int, row: int) -> None:
        """Go on at row number `row` of a group."""
        self._batches = None
        self._group, self._row, self._skip = group, 0, row
        self._ended = False

    def share(self, group: int) -> float:
        """Return which part of the file comes before `group`."""
        return self._table.share(group) if self._table is not None else 0.0

    def close(self) -> None:
        """Close what is open."""
        self._batches = self._table = None
        self._access.close()


def require_distinct(label: str, schema: Any, *, whole: bool) -> None:
    """Raise RecordError if records would lose a column that bears another's name."""
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice and not whole:
        raise RecordError(f"{label}: several columns are called {twice[0]!r}; read it with items='batches'")


def chosen(label: str, names: Sequence[str], columns: Sequence[str] | None) -> list[str] | None:
    """Return the columns to read, or None for all; raise FlowError for one that there is not."""
    for name in columns or ():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names) or 'none'}"
            raise FlowError(f"columns={list(columns or ())}: {label} has no column {name!r} ({hint})")
    return None if columns is None else list(columns)


def one_line(error: BaseException) -> str:
    """Return what `error` says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
