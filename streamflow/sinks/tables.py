"""Files of tables: records or record batches, gathered into groups that are written on the file's thread."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from streamflow.codecs.arrow import arrow, require_arrow
from streamflow.codecs.table_records import TableRecords, require_record
from streamflow.files.gathered import Gathered
from streamflow.files.target import Target
from streamflow.files.threads import FileThread
from streamflow.model.checkpoint import Delivery
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Writer
from streamflow.sinks.file_sink import FileSink
from streamflow.sinks.table_groups import Groups

#: Records up to which they are looked at on the loop: a thread costs more.
FEW = 8


@dataclass(frozen=True)
class TableSink(FileSink[Any]):
    """Describe what all files of tables have in common."""

    guarantee = "whole or not there; no checkpoints"
    extra: ClassVar[str | None] = "tables"

    _: KW_ONLY
    schema: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_arrow(type(self).__name__)
        if self.schema is not None and not isinstance(self.schema, arrow().Schema):
            raise FlowError(f"{type(self).__name__}(schema={self.schema!r}): expected a pyarrow.Schema")

    @property
    def delivery(self) -> Delivery:
        """Tell that no run with checkpoints writes here."""
        return "at least once"

    @property
    def unresumable(self) -> str:
        """Say why a table cannot be gone on with."""
        return (
            "its file has one end only, so that it cannot be cut and gone on with: write JSON Lines or CSV (Rolling "
            "makes many parts), or leave checkpoint= out"
        )

    def target(self, bounded: bool, mark: str | None) -> Target:
        """Open a new file, which bears the final name when it is complete: a table has an end."""
        return Target.open(self.files, self.label, complete=True, lines=False)

    def writer(self, target: Target, thread: FileThread) -> TableWriter:
        """Return what writes to `target`."""
        return TableWriter(target, thread, self)

    @abstractmethod
    def groups(self) -> Groups:
        """Return what gathers groups."""

    @abstractmethod
    def begin(self, file: Any, schema: Any) -> Any:
        """Begin a table; return an object with `close`."""

    @abstractmethod
    def write_group(self, table: Any, group: Any) -> None:
        """Write one group to what `begin` has returned."""


class TableWriter(Writer[Any]):
    """Take records or record batches, as the first item decides, and write a group while the next one is gathered.

    Groups that an error of the disk has kept from the file wait here: the next `write` or `finish` tries again before
    it does anything else.
    """

    def __init__(self, target: Target, thread: FileThread, sink: TableSink) -> None:
        self.target = target
        self._thread = thread
        self._sink = sink
        self._kind: type | None = None
        self._records = TableRecords(sink.schema)
        self._schema: Any = sink.schema
        self._groups = sink.groups()
        self._waiting: list[Any] = []
        self._writing: asyncio.Future[None] | None = None
        #: Whether a write has failed that is to be tried again; and what has made the table unfit to be completed.
        self._owing = False
        self._broken: Exception | None = None
        self._gathered = Gathered(target.file)
        self._table: Any = None
        self._completed = False

    async def write(self, batch: Sequence[Any]) -> None:
        """Take a batch; raise first what has become of the group before."""
        self.written = 0
        await self._settled()
        if not batch:
            return
        try:
            if self._kind is None:
                self._kind = kind_of(batch[0])
            if self._kind is dict:
                await self._take_records(batch)
            else:
                self._take_batches(batch)
        except Exception:
            self._begin_to_write()
            raise
        self._begin_to_write()

    def _take_batches(self, batch: Sequence[Any]) -> None:
        for item in batch:
            require_kind(item, self._kind)
            if self._schema is None:
                self._schema = item.schema
            require_like(item.schema, self._schema)
            self._groups.add(item)
            self.written += 1

    async def _take_records(self, batch: Sequence[Any]) -> None:
        records = self._records
        try:
            if len(batch) <= FEW and not records.due:
                records.take(batch)
            else:
                await asyncio.shield(self._thread.submit(self._bind, list(batch)))
        except Exception:
            self.written = records.taken
            require_kind(batch[self.written], dict)
            raise
        self.written = len(batch)

    async def _settled(self) -> None:
        """Wait for the group that is being written, or write again what could not be written before."""
        if self._broken is not None:
            raise self._broken
        if self._writing is None and self._owing:
            self._writing = self._thread.submit(self._write)
        if self._writing is None:
            return
        try:
            await asyncio.shield(self._writing)
        except Exception as error:
            self._writing = None
            self._owing = isinstance(error, OSError)
            self._broken = None if self._owing else error
            raise
        self._writing, self._owing = None, False

    def _begin_to_write(self) -> None:
        self._waiting += self._groups.full()
        if self._waiting and self._writing is None:
            self._writing = self._thread.submit(self._write)

    async def finish(self) -> None:
        """Write the last group and the end of the table, and give the file its final name."""
        await self._settled()
        self._writing = self._thread.submit(self._complete)
        await self._settled()
        await self._thread.run(self.target.publish)

    async def abort(self) -> None:
        """Remove the unfinished file."""
        await self._thread.run(self.target.discard)

    async def close(self) -> None:
        """Close the file and end its thread."""
        await self._thread.close_after(self.target.close, self._writing)

    # From here on: on the thread.

    def _bind(self, batch: list[Any]) -> None:
        records = self._records
        try:
            records.take(batch)
        finally:
            self._group(records.batches())

    def _group(self, batches: list[Any]) -> None:
        for one in batches:
            self._groups.add(one)

    def _write(self) -> None:
        self._gathered.bring()
        if self._table is None:
            schema = self._schema if self._kind is not dict else self._records.schema
            self._table = self._sink.begin(self._gathered, arrow().schema([]) if schema is None else schema)
        while self._waiting:
            self._sink.write_group(self._table, self._waiting.pop(0))
            arrow().default_memory_pool().release_unused()  # which Arrow keeps otherwise: two groups more at the peak
            self._gathered.bring()

    def _complete(self) -> None:
        if self._kind is dict:
            self._group(self._records.rest())
        self._waiting += self._groups.rest()
        self._write()
        if not self._completed:
            self._completed = True
            self._table.close()
        self._gathered.bring()


def kind_of(item: Any) -> type:
    """Return dict for a record, RecordBatch for one; raise TypeError for what is neither."""
    if isinstance(item, arrow().RecordBatch):
        return type(item)
    require_record(item)
    return dict


def require_kind(item: Any, kind: type | None) -> None:
    """Raise TypeError for an item that is not of the kind of the first one."""
    if kind_of(item) is not kind:
        first, this = (one.__qualname__ for one in (kind or dict, kind_of(item)))
        raise TypeError(f"the first item was a {first}, this one is a {this}: a file takes one kind")


def require_like(found: Any, schema: Any) -> None:
    """Raise ValueError that names the column in which a record batch is not like the file."""
    if found.equals(schema):
        return
    for field in schema:
        at = found.get_field_index(field.name)
        if at < 0:
            raise ValueError(f"the record batch has no column {field.name!r}, {field.type}, as the file has")
        if found.field(at).type != field.type:
            raise ValueError(f"column {field.name!r} is {found.field(at).type}, and {field.type} in the file")
    raise ValueError(f"columns {found.names} (where None is allowed counts too), and {schema.names} in the file")
