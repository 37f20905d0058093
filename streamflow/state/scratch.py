"""The scratch database of one state store: rows of keys and values, and pieces of them ready for a checkpoint."""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from streamflow.model.checkpoint import WRITTEN
from streamflow.state.encoding import encode
from streamflow.state.key_form import group_of, key_form
from streamflow.state.sqlite_errors import FAILURES

#: A row: the key's number, its form, key and value written down, and the moment at which it was put (0.0 if not timed).
Row = tuple[int, bytes, bytes, float]
#: Rows in one piece of a checkpoint.
ROWS_A_PIECE: Final = 2000
#: KiB that SQLite may keep of it in memory.
_CACHE: Final = 8192
_SCHEMA: Final = (
    "PRAGMA journal_mode=OFF",
    "PRAGMA synchronous=OFF",
    "PRAGMA locking_mode=EXCLUSIVE",
    f"PRAGMA cache_size=-{_CACHE}",
    "CREATE TABLE keys(part INTEGER, form BLOB, number INTEGER, moment REAL, data BLOB, PRIMARY KEY(part, form)) "
    "WITHOUT ROWID",
    "CREATE TABLE pieces(part INTEGER, place INTEGER, data BLOB, PRIMARY KEY(part, place))",
)


class Scratch:
    """Hold rows on the disk for one run; every method blocks, and all are called on one thread.

    Nothing here need survive: the file has no name any more once it is open, where the system allows that, so that it
    is gone with the process, however that ends. Keys are in groups; the pieces of a group are made anew only if one
    of its rows was changed since.
    """

    def __init__(self, folder: str | None, *, timed: bool) -> None:
        self.folder = folder or tempfile.gettempdir()
        self._timed = timed
        self._path = os.path.join(self.folder, f"streamflow-state-{os.getpid()}-{secrets.token_hex(6)}.db")
        self._db: sqlite3.Connection | None = None
        #: Groups with rows that their pieces do not show.
        self._changed: set[int] = set()
        #: What the file holds, as of the last write.
        self.bytes = 0

    def open(self) -> None:
        """Make the file; OSError says what is wrong with its folder."""
        if not os.path.isdir(self.folder):
            raise NotADirectoryError(errno.ENOTDIR, "disk_store(path=...): there is no such folder", self.folder)
        with self._told():
            db = self._db = sqlite3.connect(self._path, isolation_level=None)
            for statement in _SCHEMA:
                db.execute(statement)
            if self._timed:
                db.execute("CREATE INDEX by_number ON keys(number)")
        if os.name == "posix":
            os.unlink(self._path)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what SQLite's errors mean: rows are lost, and with them the run; no checkpoint could hold them."""
        try:
            yield
        except FAILURES as error:
            said = f"the state of a keyed stage could not be kept here: {error}"
            raise OSError(errno.EIO, said, self.folder) from error

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._db is not None, "it is open"
        return self._db

    def fetch(self, keys: Sequence[Any]) -> list[tuple[int, bytes]]:
        """Return number and data of those of `keys` that are there."""
        forms = [key_form(key) for key in keys]
        found: list[tuple[int, bytes]] = []
        with self._told():
            ask = self._database.execute
            for form in forms:  # one by one: SQLite would search the whole table for a list of pairs
                row = ask("SELECT number, data FROM keys WHERE part=? AND form=?", (group_of(form), form)).fetchone()
                if row is not None:
                    found.append(row)
        return found

    def write(self, rows: Iterable[Row], gone: Iterable[Any]) -> None:
        """Put rows, and remove keys."""
        placed = [(group_of(form), form, number, moment, data) for number, form, data, moment in rows]
        removed = [(group_of(form), form) for form in map(key_form, gone)]
        with self._told():
            db = self._database
            db.execute("BEGIN")
            db.executemany("DELETE FROM keys WHERE part=? AND form=?", removed)
            db.executemany("INSERT OR REPLACE INTO keys VALUES(?, ?, ?, ?, ?)", placed)
            db.execute("COMMIT")
            self._measure()
        self._changed.update(row[0] for row in placed)
        self._changed.update(row[0] for row in removed)

    def expire(self, before: float, limit: int) -> list[bytes]:
        """Remove up to `limit` rows put at `before` or earlier, the oldest first; return their data."""
        gone: list[tuple[int, bytes]] = []
        found: list[bytes] = []
        with self._told():
            for part, form, moment, data in self._database.execute(
                "SELECT part, form, moment, data FROM keys ORDER BY number LIMIT ?", (limit,)
            ):
                if moment > before:
                    break
                gone.append((part, form))
                found.append(data)
            self._database.executemany("DELETE FROM keys WHERE part=? AND form=?", gone)
        self._changed.update(part for part, _ in gone)
        return found

    def in_order(self) -> Iterator[bytes]:
        """Yield the data of all rows by their numbers."""
        with self._told():
            for (data,) in self._database.execute("SELECT data FROM keys ORDER BY number"):
                yield data

    # -- pieces ---------------------------------------------------------------------------------------------------

    def pieces(self) -> Iterator[bytes]:
        """Yield all rows in pieces, each written down; those of groups that have not changed are as they were."""
        with self._told():
            for part in sorted(self._changed):
                self._make_pieces(part)
                self._changed.discard(part)
            self._measure()
            for (data,) in self._database.execute("SELECT data FROM pieces ORDER BY part, place"):
                yield data

    def _make_pieces(self, part: int) -> None:
        db = self._database
        db.execute("DELETE FROM pieces WHERE part=?", (part,))
        rows = db.execute("SELECT number, form, data, moment FROM keys WHERE part=? ORDER BY number", (part,))
        place = 0
        while some := rows.fetchmany(ROWS_A_PIECE):
            db.execute("INSERT INTO pieces VALUES(?, ?, ?)", (part, place, encode((WRITTEN, tuple(some)))))
            place += 1

    def take_piece(self, rows: Sequence[Row], piece: bytes | None) -> None:
        """Put the rows of a piece that was loaded, and keep it as it is written, if it is of one group."""
        self.write(rows, ())
        parts = {group_of(form) for _, form, _, _ in rows}
        if piece is None or len(parts) != 1:
            return
        (part,) = parts
        with self._told():
            self._database.execute(
                "INSERT INTO pieces SELECT ?, ifnull(max(place) + 1, 0), ? FROM pieces WHERE part=?",
                (part, piece, part),
            )
        self._changed.discard(part)

    def _measure(self) -> None:
        db = self._database
        pages, size = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
        self.bytes = pages * size

    def close(self) -> None:
        """Remove everything."""
        db, self._db = self._db, None
        if db is not None:
            with suppress(*FAILURES):
                db.close()
        with suppress(FileNotFoundError):
            os.unlink(self._path)
