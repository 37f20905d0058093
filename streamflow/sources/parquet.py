"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

from streamflow.codecs.arrow import parquet
from streamflow.files.random_access import RandomAccess
from streamflow.files.threads import FileThread
from streamflow.model.errors import RecordError
from streamflow.model.interfaces import Reader
from streamflow.sources.table_cursor import Agreed, Table, chosen, one_line
from streamflow.sources.tables import GRACE, TableReader, TableSource, open_at_any_place, refuse_compressed

#: Bytes that a record batch is to have, where `batch_rows` does not say how many rows; and the most rows then.
BATCH_BYTES = 8 << 20
BATCH_ROWS = 1 << 16
#: Bytes of a column that are read from the disk at once: never a whole row group.
PIECE = 1 << 18


@dataclass(frozen=True)
class Parquet(TableSource):
    """Read the rows of a Parquet file (.parquet), as dicts or, with `items="batches"`, as pyarrow's RecordBatches.

    Of each row group only the chosen `columns` are read, a record batch at a time: of `batch_rows` rows, or as many as
    take 8 MiB with all columns, 65,536 at most. `path` may be a pattern or a list; the files must have one schema. What
    is no Parquet, or of another schema, is one bad record for the whole file; a row group that is damaged is one, too,
    and what follows it is read on.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for path in self.paths:
            refuse_compressed(path, "Parquet")

    async def open_like(self, path: str, agreed: Agreed) -> Reader[Any]:
        """Open the file at `path`, whose schema must be the one that was agreed upon."""
        thread = FileThread(path, grace=GRACE)
        access, seen = await open_at_any_place(thread, self.files, path, "Parquet")
        table = partial(ParquetTable, path=path, columns=self.columns, batch_rows=self.batch_rows)
        return TableReader(self.cursor(access, table, path, agreed), thread, path, access.size, seen)


class ParquetTable(Table):
    """Be an open Parquet file."""

    def __init__(
        self, access: RandomAccess, *, path: str, columns: Sequence[str] | None, batch_rows: int | None
    ) -> None:
        try:
            self._file = parquet().ParquetFile(access, buffer_size=PIECE, pre_buffer=False)
        except Exception as error:
            raise RecordError(f"{path}: this is no Parquet file, or it is cut off ({one_line(error)})") from error
        self._metadata = self._file.metadata
        whole = self._file.schema_arrow
        self._columns = chosen(path, whole.names, columns)
        self._batch_rows = batch_rows
        self.schema = whole if self._columns is None else whole.empty_table().select(self._columns).schema
        rows: list[int] = [self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups)]
        self._before = [0, *accumulate(rows)]

    def batches(self, group: int) -> Iterator[Any] | None:
        """Return the record batches of a row group, its columns in the order in which they were chosen."""
        if group >= self._metadata.num_row_groups:
            return None
        found: Iterator[Any] = self._file.iter_batches(
            batch_size=self._batch_rows or self._rows(group), row_groups=[group], columns=self._columns
        )
        return found if self._columns is None else (batch.select(self._columns) for batch in found)

    def _rows(self, group: int) -> int:
        """Return how many rows of a group take at most about `BATCH_BYTES`, all columns together.

        The sizes of single columns are not asked for: where they are damaged, pyarrow ends the process.
        """
        found = self._metadata.row_group(group)
        return max(1, min(BATCH_ROWS, BATCH_BYTES * int(found.num_rows) // max(int(found.total_byte_size), 1)))

    def share(self, group: int) -> float:
        """Go by the rows."""
        return self._before[min(group, len(self._before) - 1)] / max(self._before[-1], 1)
