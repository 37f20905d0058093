"""Arrow's own files and streams."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Literal

from streamflow.codecs.arrow import ipc
from streamflow.files.compression import method_of, without_suffix
from streamflow.files.fed import FedFile
from streamflow.files.local import LocalInput
from streamflow.files.random_access import RandomAccess
from streamflow.files.threads import FileThread
from streamflow.model.errors import FlowError, RecordError
from streamflow.model.interfaces import Reader
from streamflow.sources.file_blocks import FileBlocks, open_blocks
from streamflow.sources.lines import Blocks
from streamflow.sources.pipes import PipeBlocks, watchable
from streamflow.sources.table_cursor import Agreed, Table, chosen, one_line
from streamflow.sources.table_stream import StreamReader
from streamflow.sources.tables import GRACE, TableReader, TableSource, open_at_any_place, refuse_compressed

Format = Literal["auto", "file", "stream"]


@dataclass(frozen=True)
class Arrow(TableSource):
    """Read the rows of an Arrow IPC file, as dicts or, with `items="batches"`, as pyarrow's RecordBatches.

    `.arrows` is a stream, which may come through a pipe, from standard input (`-`) or compressed (`.arrows.gz`);
    `.arrow` and `.feather` are files, which are read at any place. `format` says it where the suffix does not. Batches
    are as they were written, or cut to `batch_rows` rows. `path` may be a pattern or a list; the files must have one
    schema. Each batch is checked: one that is damaged is a bad record.
    """

    _: KW_ONLY
    format: Format = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.format not in ("auto", "file", "stream"):
            raise FlowError(f"Arrow(format={self.format!r}): expected 'auto', 'file' or 'stream'")
        for path in self.paths:
            if not is_stream(path, self.format):
                refuse_compressed(path, "Arrow")
            method_of(path, "auto")  # a method that there is not is told now

    @property
    def replayable(self) -> bool:
        """Tell that a file can be read again from any row, which standard input cannot."""
        return "-" not in self.paths

    async def open_like(self, path: str, agreed: Agreed) -> Reader[Any]:
        """Open the file at `path`, whose schema must be the one that was agreed upon."""
        if is_stream(path, self.format):
            return await self._open_stream(path, agreed)
        thread = FileThread(path, grace=GRACE)
        access, seen = await open_at_any_place(thread, self.files, path, "Arrow")
        table = partial(ArrowFile, path=path, columns=self.columns, batch_rows=self.batch_rows)
        return TableReader(self.cursor(access, table, path, agreed), thread, path, access.size, seen)

    async def _open_stream(self, path: str, agreed: Agreed) -> Reader[Any]:
        blocks = _standard_input() if path == "-" else await open_blocks(self.files, path, method_of(path, "auto"))
        table = partial(ArrowStream, path=path, columns=self.columns, batch_rows=self.batch_rows)
        return StreamReader(
            lambda fed: self.cursor(fed, table, path, agreed), blocks, FileThread(path, grace=GRACE), path
        )


def is_stream(path: str, format: Format) -> bool:
    """Tell whether `path` is a stream: as was said, or as its suffix says."""
    if format != "auto":
        return format == "stream"
    return path == "-" or without_suffix(path).lower().endswith(".arrows")


def _standard_input() -> Blocks:
    if not stat.S_ISREG(os.fstat(0).st_mode) and watchable(0):
        return PipeBlocks(0)
    return FileBlocks(LocalInput(os.dup(0)), FileThread("stdin", grace=GRACE), seekable=False)


class ArrowFile(Table):
    """Be an open file of Arrow's, a record batch of which can be read at any place."""

    def __init__(
        self, access: RandomAccess, *, path: str, columns: Sequence[str] | None, batch_rows: int | None
    ) -> None:
        try:
            reader = ipc().open_file(access)
        except Exception as error:
            raise RecordError(f"{path}: this is no Arrow file, or it is cut off ({one_line(error)})") from error
        names = chosen(path, reader.schema.names, columns)
        if names is not None:
            fields = [reader.schema.names.index(name) for name in names]
            reader = ipc().open_file(access, options=ipc().IpcReadOptions(included_fields=fields))
        self._reader = reader
        self._cut = Cut(names, batch_rows)
        self.schema = self._cut.schema(reader.schema)

    def batches(self, group: int) -> Iterator[Any] | None:
        """Return one of the file's record batches, in pieces."""
        if group >= self._reader.num_record_batches:
            return None
        return self._read(group)

    def _read(self, group: int) -> Iterator[Any]:
        yield from self._cut.pieces(self._reader.get_batch(group))

    def share(self, group: int) -> float:
        """Go by the number of record batches."""
        return min(group / max(int(self._reader.num_record_batches), 1), 1.0)


class ArrowStream(Table):
    """Be a stream of Arrow's that is being read."""

    def __init__(self, fed: FedFile, *, path: str, columns: Sequence[str] | None, batch_rows: int | None) -> None:
        try:
            self._reader = ipc().open_stream(fed)
        except Exception as error:
            raise RecordError(f"{path}: this is no Arrow stream, or it is cut off ({one_line(error)})") from error
        self._cut = Cut(chosen(path, self._reader.schema.names, columns), batch_rows)
        self.schema = self._cut.schema(self._reader.schema)
        self._at = 0
        self._ended = False

    def batches(self, group: int) -> Iterator[Any] | None:
        """Return a record batch, in pieces, after passing over those before it."""
        while not self._ended:
            batch = self._following()
            if batch is not None and self._at > group:
                return self._cut.pieces(batch)
        return None

    def _following(self) -> Any:
        self._ended, batch = True, None  # an error ends it, too: what comes behind it cannot be told apart
        try:
            batch = self._reader.read_next_batch()
        except StopIteration:
            return None
        self._ended = False
        self._at += 1
        return batch

    def share(self, group: int) -> float:
        """Say nothing: a stream does not tell how long it is."""
        return 0.0


class Cut:
    """Make of the record batches of a file those that were asked for."""

    def __init__(self, columns: list[str] | None, rows: int | None) -> None:
        self._columns = columns
        self._rows = rows

    def schema(self, schema: Any) -> Any:
        """Return the schema of the pieces."""
        return schema if self._columns is None else schema.empty_table().select(self._columns).schema

    def pieces(self, batch: Any) -> Iterator[Any]:
        """Check that nothing in a batch points elsewhere, and yield it in pieces."""
        batch.validate(full=True)
        if self._columns is not None:
            batch = batch.select(self._columns)
        size = self._rows or max(batch.num_rows, 1)
        for start in range(0, batch.num_rows, size):
            yield batch.slice(start, size)
