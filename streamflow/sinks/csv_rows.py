"""A file of comma-separated values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from streamflow.codecs.csv_rows import Dialect
from streamflow.codecs.text import TextCodec
from streamflow.files.compression import without_suffix
from streamflow.files.target import Target
from streamflow.files.threads import FileThread
from streamflow.model.errors import FlowError
from streamflow.sinks.file_lines import FileLines
from streamflow.sinks.lines import HIGH_WATER, LinesWriter

#: Bytes that a row is taken for until it is written.
ROW = 64


@dataclass(frozen=True, kw_only=True)
class Csv(FileLines[Any]):
    """Write a record for each item to a file of comma-separated values (.csv), or of another `delimiter`.

    Items are dicts, whose fields are `columns` (those of the first item, if not given), or lists and tuples. `header`
    writes the names first. A dict that has not exactly these fields is a bad item: nothing of it would be missing
    silently. Values are written as `str` makes them, None as nothing.
    """

    columns: Sequence[str] | None = None
    header: bool = True
    delimiter: str | None = None
    quote: str = '"'
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        TextCodec(self.encoding)  # an encoding without lines is told now
        self.dialect  # noqa: B018 - a delimiter that cannot be is told now
        if self.columns is not None:
            object.__setattr__(self, "columns", tuple(self.columns))
            if not self.columns or len(set(self.columns)) < len(self.columns):
                raise FlowError(f"Csv(columns={self.columns!r}): expected names, each once")

    @property
    def dialect(self) -> Dialect:
        """Return what was said, or what the suffix says."""
        return Dialect.of(without_suffix(self.label), self.delimiter, self.quote)

    def writer(self, target: Target, thread: FileThread) -> CsvWriter:
        """Return the writer of rows."""
        return CsvWriter(target, thread, self)


class CsvWriter(LinesWriter):
    """Gather rows, and make text of many at a time."""

    #: Rows become text after each slice: the garbage collector walks through those that are kept.
    high_water = 1

    def __init__(self, target: Target, thread: FileThread, sink: Csv) -> None:
        super().__init__(target, thread)
        self.put = self._put  # type: ignore[method-assign]
        self._sink = sink
        self._rows: list[Any] = []
        self._columns: tuple[str, ...] = ()
        self._pick: Callable[[Any], Any] = itemgetter(0)
        if sink.columns is not None:
            self._begin_with(tuple(sink.columns))

    def _begin_with(self, columns: tuple[str, ...]) -> None:
        self._columns = columns
        pick = itemgetter(*columns)
        self._pick = pick if len(columns) > 1 else lambda item: (pick(item),)
        if self._sink.header and not self.target.file.length:
            self._rows.append(columns)

    def _put(self, item: Any) -> object:
        kind = item.__class__
        if kind is dict and len(item) == len(self._columns):
            try:
                self._rows.append(self._pick(item))
                return None
            except KeyError:
                pass
        elif kind is list or kind is tuple:
            self._rows.append(item)
            return None
        self._rows.append(self._row(item))
        return None

    def _row(self, item: Any) -> Any:
        """Return the row of an item that is not as the last one was, or say what is wrong with it."""
        if isinstance(item, (list, tuple)):
            return item
        if not isinstance(item, dict):
            raise TypeError(f"a sink of rows takes dicts, lists or tuples, not {type(item).__qualname__}")
        if not self._columns:
            if not item:
                raise ValueError("the first item has no fields: name them with columns=")
            self._begin_with(tuple(item))
        if item.keys() == set(self._columns):
            return self._pick(item)
        missing = [name for name in self._columns if name not in item]
        unknown = [name for name in item if name not in self._columns]
        raise ValueError(
            f"fields that are not those of the file{f', missing: {missing}' if missing else ''}"
            f"{f', unknown: {unknown}' if unknown else ''}; choose them in a .map(...), or name all with columns="
        )

    @property
    def pending(self) -> int:
        """Return about how many bytes wait."""
        return super().pending + ROW * len(self._rows)

    async def settle(self) -> None:
        """Make text of what has come, and begin to write it if it is enough."""
        self._make_text()
        if super().pending >= HIGH_WATER:
            await super().settle()

    async def flush(self) -> None:
        """Hand everything to the operating system."""
        self._make_text()
        await super().settle()
        await self._written()

    def _make_text(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            self._buffer.write(self._sink.dialect.write(rows).encode(self._sink.encoding))

    async def write(self, batch: Sequence[Any]) -> None:
        """Write the records of `batch`, and wait for it."""
        self.written = 0
        for item in batch:
            self._put(item)
        await self.flush()
        self.written = len(batch)
