"""A source of your own, a frozen description that opens a reader: the rows of an SQLite table, a page at a time."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamflow as sf
from streamflow.model.interfaces import Reader, Source

Row = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Rows(Source[Row]):
    """Read the rows of `table`, in the order of their row ids."""

    path: Path
    table: str

    @property
    def replayable(self) -> bool:
        return True

    async def open(self) -> "RowReader":
        return RowReader(self.path, self.table)


class RowReader(Reader[Row]):
    """Ask for the rows after the last one: that is all it takes to be able to go on from a checkpoint."""

    def __init__(self, path: Path, table: str) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._table = table
        self._last = 0

    async def read(self, limit: int) -> Sequence[Row] | None:
        rows = await asyncio.to_thread(self._page, limit)  # a query may take long: not on the loop
        if not rows:
            return None
        self._last = rows[-1][0]
        return rows

    def _page(self, limit: int) -> list[Row]:
        query = f"SELECT rowid, * FROM {self._table} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        return self._connection.execute(query, (self._last, limit)).fetchall()

    def position(self) -> sf.Position:
        return sf.Position(self._table, index=self._last)

    async def seek(self, position: sf.Position) -> None:
        self._last = position.index or 0

    async def close(self) -> None:
        self._connection.close()


def make_table(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sales (product TEXT, price REAL)")
        connection.executemany("INSERT INTO sales VALUES (?, ?)", ((f"p{n % 7}", n / 10) for n in range(5000)))
    connection.close()


def total(so_far: float, row: Row) -> float:
    return so_far + row[2]


async def main() -> None:
    path = Path(tempfile.mkdtemp()) / "sales.sqlite"
    make_table(path)
    expensive = sf.flow(Rows(path=path, table="sales")).filter(lambda row: row[2] > 100)
    print(f"sum of the expensive ones: {await expensive.reduce(total, 0.0):,.1f}")


if __name__ == "__main__":
    asyncio.run(main())
