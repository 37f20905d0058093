"""Files of tables, read ahead on a thread of their own."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Literal, TypeVar

from streamflow.codecs.arrow import require_arrow
from streamflow.files.compression import method_of
from streamflow.files.file_system import FileSystem
from streamflow.files.looking import look_at, require_same
from streamflow.files.random_access import RandomAccess
from streamflow.files.tail_state import Seen, mark_of
from streamflow.files.threads import FileThread
from streamflow.model.arguments import whole_number
from streamflow.model.errors import FlowError, RecordError
from streamflow.model.interfaces import Reader
from streamflow.model.positions import Position
from streamflow.model.statistics import Progress
from streamflow.sources.file_source import FileSource
from streamflow.sources.many_files import Opening
from streamflow.sources.table_blocks import BadRecord, TableBlock
from streamflow.sources.table_cursor import Access, Agreed, Cursor, Table
from streamflow.sources.taking import Take

T = TypeVar("T")

Items = Literal["records", "batches"]
#: Seconds that `close` gives a read that hangs.
GRACE = 1.0


@dataclass(frozen=True)
class TableSource(FileSource[Any]):
    """Describe what all files of tables have in common."""

    extra: ClassVar[str | None] = "tables"

    _: KW_ONLY
    columns: Sequence[str] | None = None
    items: Items = "records"
    batch_rows: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        what = type(self).__name__
        require_arrow(what)
        if self.items not in ("records", "batches"):
            raise FlowError(f"{what}(items={self.items!r}): expected 'records' (dicts) or 'batches' (RecordBatches)")
        if self.columns is not None:
            columns = (self.columns,) if isinstance(self.columns, str) else tuple(self.columns)
            if not columns or len(set(columns)) < len(columns) or not all(isinstance(one, str) for one in columns):
                raise FlowError(f"{what}(columns={self.columns!r}): expected names, each once")
            object.__setattr__(self, "columns", columns)
        if self.batch_rows is not None:
            whole_number(f"{what}(batch_rows=...)", self.batch_rows, 1)

    @property
    def decode(self) -> Callable[[Any], Any]:
        """Return what hands on good records, and raises the error of a bad one."""
        return Take(BadRecord)

    def opener(self) -> Callable[[str], Opening]:
        """Return what opens one file of several, which must be alike."""
        agreed = Agreed()
        return lambda path: self.open_like(path, agreed)

    async def open_one(self, path: str) -> Reader[Any]:
        """Open the file at `path`."""
        return await self.open_like(path, Agreed())

    @abstractmethod
    async def open_like(self, path: str, agreed: Agreed) -> Reader[Any]:
        """Open the file at `path`, whose schema must be the one that was agreed upon."""

    def cursor(self, access: Access, open_table: Callable[[Any], Table], path: str, agreed: Agreed) -> Cursor:
        """Return what reads the blocks of a table."""
        return Cursor(access, open_table, path, agreed, whole=self.items == "batches")


class TableReader(Reader[Any]):
    """Have one block read while the flow is at the one before it."""

    def __init__(
        self, cursor: Cursor, thread: FileThread, path: str, size: int | None, seen: Seen | None = None
    ) -> None:
        self._cursor = cursor
        self._seen = seen
        self._mark = None if seen is None else mark_of(seen)
        self._thread = thread
        self._path = path
        self._size = size
        self._reading: asyncio.Future[TableBlock | None] | None = None
        self._next = Position(path, group=0, index=0)
        self._done = 0
        self._ended = False

    async def read(self, limit: int) -> TableBlock | None:
        """Return the next rows; `limit` is not heeded, since a block is small."""
        if self._ended:
            return None
        reading = self._reading or self._read_on()
        try:
            block = await self.arrival(reading)
        except Exception:
            self._reading = None
            raise
        self._reading = None
        if block is None:
            self._ended = True
            return None
        self._next = block.position(len(block)) if block.broken is None else self._behind(block)
        self._done = max(self._done, int((self._size or 0) * self._cursor.share(self._next.group or 0)))
        self.ahead()
        return block

    async def arrival(self, reading: asyncio.Future[TableBlock | None]) -> TableBlock | None:
        """Wait for the block that is being read; cancelling this loses nothing."""
        return await asyncio.shield(reading)

    def ahead(self) -> None:
        """Begin to read the next block."""
        self._read_on()

    def _read_on(self) -> asyncio.Future[TableBlock | None]:
        self._reading = self._thread.submit(self._cursor.next)
        return self._reading

    def _behind(self, block: TableBlock) -> Position:
        return Position(self._path, group=(block.position(0).group or 0) + 1, index=0)

    def position(self) -> Position:
        """Return group and row of the next record."""
        return replace(self._next, file=self._mark)

    def progress(self) -> Progress:
        """Go by the groups that lie behind; the last of them ends with the file."""
        size = self._size
        return Progress(done=size if self._ended and size is not None else self._done, total=size)

    async def seek(self, position: Position) -> None:
        """Go on at a row of a group."""
        if position.group is None and position.index:
            raise RecordError(f"cannot seek to {position}: it has no group")
        require_same(self._seen, position)
        if self._reading is not None:
            await asyncio.wait([self._reading])
            self._reading = None
        await self._thread.run(self._cursor.seek, position.group or 0, position.index or 0)
        self._next = Position(self._path, group=position.group or 0, index=position.index or 0)
        self._ended = False

    async def close(self) -> None:
        """Close the file behind the read that may be at work, then end the thread."""
        await self._thread.close_after(self._cursor.close, self._reading)


def refuse_compressed(path: str, what: str) -> None:
    """Raise FlowError for a path whose suffix says that the file must be read from its beginning."""
    if method_of(path, "auto") is not None:
        raise FlowError(f"{what}({path!r}): it is read at any place, and compressed inside; decompress the file first")


async def open_at_any_place(
    thread: FileThread, files: FileSystem, path: str, what: str
) -> tuple[RandomAccess, Seen | None]:
    """Open a file on `thread`, which ends if that fails; a pipe is a mistake."""
    opening = thread.submit(_open, files, path, what)
    try:
        return await asyncio.shield(opening)
    except BaseException:
        await thread.close()
        if opening.done() and opening.exception() is None:
            opening.result()[0].close()
        raise


def _open(files: FileSystem, path: str, what: str) -> tuple[RandomAccess, Seen | None]:
    if files.kind(path) in ("pipe", "special"):
        raise FlowError(f"{what}({path!r}): it is read from its end, which a pipe has not; write it to a file first")
    file = files.open_to_read(path)
    try:
        return RandomAccess(file), look_at(file, path)
    except BaseException:
        file.close()
        raise
