"""A table of an SQLite database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any

from streamflow.files.threads import FileThread
from streamflow.model.checkpoint import Delivery
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Writer
from streamflow.sinks.file_sink import FilePolicy
from streamflow.sinks.policed import PolicedSink
from streamflow.sinks.sqlite_database import StagedTable
from streamflow.sinks.sqlite_rows import Rows

#: Rows that are gathered before they are handed to the thread of the database.
SHARE = 1000


@dataclass(frozen=True)
class SqliteTable(PolicedSink[Any]):
    """Add a row to `table` of the SQLite database at `path` for each item: a dict, a dataclass, or a tuple.

    `columns` are the names of its values: those of the first item, or what is said, as it must be for tuples. The table
    is made if it is not there (with columns of no type, which change no value), unless `create` is off. With a `key`, a
    row replaces the one that has the same values in these columns.

    The rows of a flow that ends by itself appear all at once, in one transaction at its end, and until then nobody else
    is kept from the database. Those of a flow without an end appear whenever it waits for input. With checkpoints, they
    appear at each, together with its number in one transaction. Rows of an earlier run stay where one begins anew
    (`resume="never"`), and come twice then: delete them first, or use `key`. Values are texts, numbers, bytes and None;
    SQLite keeps a NaN as NULL.
    """

    guarantee = "all rows in one transaction; as they come if the flow has no end; exactly once with checkpoints"

    path: str | os.PathLike[str]
    table: str
    _: KW_ONLY
    columns: Sequence[str] | None = None
    create: bool = True
    key: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "errors", FilePolicy(self.on_error, self.max_failures))
        path = os.fspath(self.path)
        if not isinstance(path, str) or not path or path.startswith((":", "file:")):
            raise FlowError(f"SqliteTable(path={self.path!r}): expected the path of a file")
        object.__setattr__(self, "path", path)
        if not self.table or self.table.lower().startswith(("sqlite_", "_streamflow_")) or "\0" in self.table:
            raise FlowError(f"SqliteTable(table={self.table!r}): expected the name of a table of your own")
        for name in ("columns", "key"):
            self._take_names(name)
        unknown = [name for name in self.key_columns if self.columns is not None and name not in self.columns]
        if unknown:
            raise FlowError(f"SqliteTable(key={unknown[0]!r}): this is none of columns={list(self.columns or ())!r}")

    def _take_names(self, option: str) -> None:
        given = getattr(self, option)
        if given is None:
            return
        names = (given,) if isinstance(given, str) and option == "key" else tuple(given)
        if (isinstance(given, str) and option != "key") or not names or len({*map(str.lower, names)}) < len(names):
            raise FlowError(f"SqliteTable({option}={given!r}): expected names, each once")
        object.__setattr__(self, option, names)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Return the columns of the key."""
        return tuple(self.key or ())

    @property
    def delivery(self) -> Delivery:
        """Tell that rows and the number of their checkpoint come in one transaction."""
        return "exactly once"

    @property
    def file(self) -> str | None:
        """Return the absolute path."""
        return os.path.abspath(self.path)

    def missing(self) -> str | None:
        """Return the path if there is no database any more."""
        return None if os.path.exists(self.path) else os.fspath(self.path)

    @property
    def label(self) -> str:
        """Return the path and the table."""
        return f"{os.fspath(self.path)}#{self.table}"

    async def open_marked(self, bounded: bool, mark: str) -> SqliteWriter:
        """Open it for a run that earlier ones with the same checkpoints can be told by."""
        return await self.open(bounded, mark)

    async def open(self, bounded: bool, mark: str = "") -> SqliteWriter:
        """Open the database on a thread of its own; raise an OSError that names what is wrong."""
        thread = FileThread(self.label)
        names = os.fspath(self.path), self.table
        making = partial(StagedTable, *names, create=self.create, key=self.key_columns, mark=mark)
        opening = thread.submit(making)
        try:
            table = await asyncio.shield(opening)
            if self.columns is not None:
                await thread.run(table.begin, self.columns)
        except BaseException:
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                await thread.close_after(opening.result().close)
            else:
                await thread.close()
                if opening.done() and opening.exception() is None:
                    opening.result().close()
            raise
        return SqliteWriter(table, thread, Rows(self.columns), self.key_columns, at_once=not bounded)


class SqliteWriter(Writer[Any]):
    """Make rows of items, and have them put where they belong."""

    def __init__(
        self, table: StagedTable, thread: FileThread, rows: Rows, key: tuple[str, ...], *, at_once: bool
    ) -> None:
        self._table = table
        self._thread = thread
        self._rows = rows
        self._key = key
        self._waiting: list[tuple[Any, ...]] = []
        #: Whether rows appear without a commit; checkpoints end that.
        self._at_once = self.watched = at_once

    async def write(self, batch: Sequence[Any]) -> None:
        """Take the items up to one that has no row."""
        self.written = 0
        if batch and self._rows.columns is None:
            await self._begin(batch[0])
        row, add = self._rows.row, self._waiting.append
        for item in batch:
            add(row(item))
            self.written += 1
        if len(self._waiting) >= SHARE:
            await self._hand_over()

    async def _begin(self, first: Any) -> None:
        """Have the first item decide the columns, if it is a good one."""
        columns = self._rows.columns_of(first)
        trial = Rows(columns)
        trial.row(first)
        unknown = [name for name in self._key if name not in columns]
        if unknown:
            raise ValueError(f"the item has no {unknown[0]!r}, which is the key")
        await self._thread.run(self._table.begin, columns)
        self._rows.columns = columns

    async def _hand_over(self) -> None:
        rows, self._waiting = self._waiting, []
        await self._thread.run(self._table.take, rows)

    async def flush(self) -> None:
        """Show the rows of a flow without an end; those of others are shown together."""
        await self._hand_over()
        if self._at_once:
            await self._thread.run(self._table.insert)

    async def prepare(self, epoch: int) -> dict[str, Any]:
        """Bring the rows to the disk, aside from the table."""
        await self.flush()
        self._at_once = self.watched = False
        return await self._thread.run(self._table.prepare, epoch)

    async def commit(self, epoch: int) -> None:
        """Put the rows of that epoch into the table."""
        await self._thread.run(self._table.commit, epoch)

    async def resume(self, prepared: dict[str, Any]) -> None:
        """Go on as the run that prepared this."""
        self._at_once = self.watched = False
        columns = prepared["columns"]
        if columns is not None:
            if self._rows.columns not in (None, tuple(columns)):
                raise FlowError(
                    f"SqliteTable(columns=...): they were {list(columns)!r}; say so again, or run with "
                    f"resume='never', which leaves the rows of the earlier run in the table: delete them first"
                )
            self._rows.columns = tuple(columns)
        await self._thread.run(self._table.resume, prepared["run"], prepared["epoch"], columns)

    async def suspend(self) -> None:
        """Leave what was prepared where it is."""
        if not self._table.kept:
            await self.abort()

    async def abort(self) -> None:
        """Remove what was never committed; a flow without an end keeps what it has written."""
        if self._at_once:
            with suppress(OSError, ValueError):
                await self.flush()
        await self._thread.run(self._table.discard)

    async def finish(self) -> None:
        """Put everything into the table."""
        await self._hand_over()
        await self._thread.run(self._table.finish)

    async def close(self) -> None:
        """Let go of the database, and end its thread."""
        await self._thread.close_after(self._table.close)
