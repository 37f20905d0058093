"""A table of an SQLite database, to which rows come by way of a stage. Everything here blocks."""

from __future__ import annotations

import errno
import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Row = tuple[Any, ...]

#: Rows that are kept in memory before they are put aside in a temporary table.
MOST = 10_000
#: Seconds in which another connection may let go of its lock. (`FileThread` gives up a call after 5.)
PATIENCE = 4.0
#: One row for each run with checkpoints: the latest epoch that is in the table, and whether all is.
RUNS = "_streamflow_runs"
_log = logging.getLogger("streamflow.checkpoints")


class StagedTable:
    """Put rows aside until their epoch is committed, then into the table, with that epoch, in one transaction.

    Rows wait in memory, then in a temporary table, which no one else sees and nothing is locked for. `prepare` brings
    them to a table of the database itself that bears the name of this run; `commit` and `finish` move them. That name
    begins with `mark`, which runs with the same checkpoints share.
    """

    def __init__(self, path: str, table: str, *, create: bool, key: Sequence[str], mark: str = "") -> None:
        self._path = path
        self._table = table
        self._create = create
        self._key = tuple(key)
        self._columns: tuple[str, ...] | None = None
        self._rows: list[Row] = []
        #: Whether there are rows in the temporary table; in the run's own, which no commit has moved.
        self._aside = self._staged = False
        self._mark = f"{mark}-" if mark else ""
        self._run = f"{self._mark}{secrets.token_hex(8)}"
        #: Whether this run is in the database, for a later one; and whether an earlier one had done everything.
        self._known = self._done = False
        #: What is true once the transaction at work is through.
        self._afterwards: Callable[[], None] = _nothing
        with self._named_errors():
            self._database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            with self._named_errors():
                self._database.execute("PRAGMA synchronous = FULL")
                self._require_table()
        except BaseException:
            self._database.close()
            raise

    def begin(self, columns: Sequence[str]) -> None:
        """Fix the columns; ValueError if the table has others."""
        with self._named_errors():
            there = self._columns_there()
        missing = [name for name in columns if there and name not in there]
        if missing:
            raise ValueError(f"table {self._table!r} has no column {missing[0]!r}; it has {', '.join(there)}")
        self._columns = tuple(columns)

    def take(self, rows: Sequence[Row]) -> None:
        """Take rows, which nobody sees before a commit."""
        if self._done and rows:
            raise OSError(
                errno.EINVAL, f"the earlier run had finished: run with resume='never'; {self._stay}", self._path
            )
        self._rows += rows
        if len(self._rows) >= MOST:
            with self._transaction():
                self._put_aside()

    def insert(self) -> None:
        """Put what was taken into the table, at once."""
        if not self._rows and not self._aside:
            return
        with self._transaction():
            self._bring_to_table()

    def prepare(self, epoch: int) -> dict[str, Any]:
        """Bring what was taken to the disk, for that epoch; return what `resume` needs."""
        if not self._known:
            self._tell_of_earlier_rows()
        if not self._known or self._rows or self._aside:
            with self._transaction():
                self._stage(epoch)
        return {"run": self._run, "epoch": epoch, "columns": self._columns}

    def _tell_of_earlier_rows(self) -> None:
        """Warn if a run that these checkpoints knew before they were begun anew has rows in the table."""
        if not self._mark or self._key:
            return
        with self._named_errors():
            earlier = (
                self._exists(RUNS)
                and self._execute(
                    f"SELECT 1 FROM {RUNS} WHERE substr(run, 1, ?) = ? AND name = ? AND (epoch >= 0 OR finished)",
                    (len(self._mark), self._mark, self._table),
                ).fetchone()
            )
            rows = (
                earlier and self._columns_there() and self._execute(f"SELECT 1 FROM {_quoted(self._table)}").fetchone()
            )
        if rows:
            _log.warning(
                "%s: table %r has rows of an earlier run with these checkpoints: %s",
                self._path,
                self._table,
                self._stay,
            )

    def resume(self, run: str, epoch: int, columns: Sequence[str] | None) -> None:
        """Be the run of that name as it was then: what it put aside for later epochs is removed."""
        with self._named_errors():
            known = (
                self._exists(RUNS)
                and self._execute(f"SELECT epoch, finished FROM {RUNS} WHERE run = ?", (run,)).fetchone()
            )
        if not known:
            raise self._lost("knows nothing of that run (was it removed, or is it another one?)")
        committed, finished = known
        if committed > epoch:
            raise self._lost(f"has the rows of a later checkpoint already, {committed} after {epoch}")
        self._run, self._known, self._done = run, True, bool(finished)
        if columns is not None:
            self.begin(columns)
        with self._transaction():
            if columns is None:
                self._execute(f"DROP TABLE IF EXISTS {_quoted(self._stage_name)}")
            elif self._exists(self._stage_name):
                self._execute(f"DELETE FROM {_quoted(self._stage_name)} WHERE epoch > ?", (epoch,))
                self._staged = True

    def commit(self, epoch: int) -> None:
        """Move the rows of that epoch and of those before it into the table; a second call does nothing."""
        if not self._staged or self._done:
            return
        with self._transaction():
            self._move("WHERE epoch <= ?", (epoch,))
            self._execute(f"UPDATE {RUNS} SET epoch = ? WHERE run = ?", (epoch, self._run))
        self._staged = False

    def finish(self) -> None:
        """Move everything into the table, and forget the stage; a second call, of a later run too, does nothing."""
        if self._done:
            return
        with self._transaction():
            if self._columns is not None:
                self._make_table()
            if self._exists(self._stage_name):
                self._move("WHERE true", ())
                self._execute(f"DROP TABLE {_quoted(self._stage_name)}")
            self._bring_to_table()
            if self._known:
                self._execute(f"UPDATE {RUNS} SET finished = 1 WHERE run = ?", (self._run,))
        self._done = True

    def discard(self) -> None:
        """Remove what was never committed."""
        self._rows.clear()
        if not self._known or self._done:
            return
        with self._transaction():
            self._execute(f"DROP TABLE IF EXISTS {_quoted(self._stage_name)}")
            self._execute(f"DELETE FROM {RUNS} WHERE run = ?", (self._run,))
        self._known = False

    @property
    def kept(self) -> bool:
        """Tell whether a later run may go on with what was prepared."""
        return self._known

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    # Within a transaction.

    def _stage(self, epoch: int) -> None:
        self._execute(f"CREATE TABLE IF NOT EXISTS {RUNS} (run TEXT PRIMARY KEY, name TEXT, epoch INT, finished INT)")
        self._execute(f"INSERT OR IGNORE INTO {RUNS} VALUES (?, ?, -1, 0)", (self._run, self._table))
        aside, rows = self._aside, self._rows
        if self._columns is not None and (aside or rows):
            stage = _quoted(self._stage_name)
            self._execute(f"CREATE TABLE IF NOT EXISTS {stage} (epoch INT, {self._places})")
            if aside:
                self._execute(f"INSERT INTO {stage} SELECT ?, {self._places} FROM temp.aside ORDER BY rowid", (epoch,))
                self._execute("DELETE FROM temp.aside")
            self._database.executemany(
                f"INSERT INTO {stage} VALUES ({epoch:d}, {self._marks})",
                rows,
            )
        self._afterwards = self._staged_all

    def _staged_all(self) -> None:
        self._staged = self._staged or bool(self._aside or self._rows)
        self._known, self._aside = True, False
        self._rows.clear()

    def _put_aside(self) -> None:
        self._execute(f"CREATE TABLE IF NOT EXISTS temp.aside ({self._places})")
        self._database.executemany(f"INSERT INTO temp.aside VALUES ({self._marks})", self._rows)
        self._afterwards = self._aside_all

    def _aside_all(self) -> None:
        self._aside = True
        self._rows.clear()

    def _bring_to_table(self) -> None:
        if not self._rows and not self._aside:
            return
        self._make_table()
        if self._aside:
            self._execute(
                f"{self._into} SELECT {self._places} FROM temp.aside WHERE true ORDER BY rowid {self._upsert}"
            )
            self._execute("DELETE FROM temp.aside")
        self._database.executemany(f"{self._into} VALUES ({self._marks}) {self._upsert}", self._rows)
        self._afterwards = self._brought_all

    def _brought_all(self) -> None:
        self._aside = False
        self._rows.clear()

    def _move(self, which: str, values: Row) -> None:
        stage = _quoted(self._stage_name)
        self._make_table()
        self._execute(f"{self._into} SELECT {self._places} FROM {stage} {which} ORDER BY rowid {self._upsert}", values)
        self._execute(f"DELETE FROM {stage} {which}", values)

    def _make_table(self) -> None:
        # Columns without a type change no value.
        key = f", PRIMARY KEY ({_listed(self._key)})" if self._key else ""
        if self._create:
            self._execute(f"CREATE TABLE IF NOT EXISTS {_quoted(self._table)} ({_listed(self._columns or ())}{key})")

    # What statements are made of.

    @property
    def _stage_name(self) -> str:
        return f"_streamflow_staged_{self._run}"

    @property
    def _places(self) -> str:
        return ", ".join(f"c{place}" for place, _ in enumerate(self._columns or ()))

    @property
    def _marks(self) -> str:
        return ", ".join("?" for _ in self._columns or ())

    @property
    def _into(self) -> str:
        return f"INSERT INTO {_quoted(self._table)} ({_listed(self._columns or ())})"

    @property
    def _upsert(self) -> str:
        if not self._key:
            return ""
        others = [_quoted(name) for name in self._columns or () if name not in self._key]
        do = f"UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)}" if others else "NOTHING"
        return f"ON CONFLICT ({_listed(self._key)}) DO {do}"

    # The database.

    def _require_table(self) -> None:
        if self._create or self._columns_there():
            return
        tables = [name for (name,) in self._execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        raise FileNotFoundError(
            errno.ENOENT,
            f"there is no table {self._table!r} (there is {', '.join(tables) or 'none'}): make it, or say create=True",
            self._path,
        )

    def _columns_there(self) -> list[str]:
        return [row[1] for row in self._execute(f"PRAGMA table_info({_quoted(self._table)})")]

    def _exists(self, table: str) -> bool:
        return self._execute("SELECT 1 FROM main.sqlite_master WHERE name = ?", (table,)).fetchone() is not None

    def _execute(self, statement: str, values: Row = ()) -> sqlite3.Cursor:
        return self._database.execute(statement, values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Do all that is done within, or nothing; what is to be remembered of it is so only then."""
        self._afterwards = _nothing
        with self._named_errors():
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._execute("ROLLBACK")
                raise
        self._afterwards()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise ValueError(
                f"{self._path}: table {self._table!r} refuses rows: {error}; key= replaces those that are there"
            ) from error
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            locked = name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
            number = errno.EBUSY if locked else errno.ENOSPC if name == "SQLITE_FULL" else errno.EIO
            raise OSError(number, f"SQLite: {error}{f' for {PATIENCE:g} s' if locked else ''}", self._path) from error

    def _lost(self, what: str) -> OSError:
        return OSError(
            errno.ENOENT,
            f"this database {what}: put back what the checkpoint knows, or use resume='never'; {self._stay}",
            self._path,
        )

    @property
    def _stay(self) -> str:
        """Say what becomes of the rows of an earlier run where all begins anew."""
        if self._key:
            return "rows that the earlier run has put into the table stay, and are replaced by key"
        return (
            "rows that the earlier run has put into the table stay, and come again beside them: delete them first, or "
            "use key=, by which rows replace them"
        )


def _nothing() -> None:
    return


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))
