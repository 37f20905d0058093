"""A file of comma-separated values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from streamflow.codecs.csv_rows import Dialect, texts
from streamflow.codecs.text import TextCodec
from streamflow.files.compression import without_suffix
from streamflow.files.target import Target
from streamflow.files.threads import FileThread
from streamflow.model.errors import FlowError
from streamflow.sinks.file_lines import FileLines
from streamflow.sinks.lines import HIGH_WATER, LinesWriter, Securing

#: Bytes that a row is taken for until it is written.
ROW = 64


@dataclass(frozen=True, kw_only=True)
class Csv(FileLines[Any]):
    """Write a record for each item to a file of comma-separated values (.csv), or of another `delimiter`.

    Items are dicts, whose fields are `columns` (those of the first item, if not given), or lists and tuples: the first
    item decides which. `header` writes the names first. A dict that has not exactly these fields is a bad item, since
    nothing of it is to be missing silently; so is a list that is longer or shorter than the first one, or empty. Values
    are written as `str` makes them, None as nothing; bytes are refused.
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
    """Gather rows, and make text of many at a time.

    What can be wrong with an item is found when it is put: each value is text by then, in the encoding, and the row has
    the kind and the width of those before it. So nothing but the disk can fail a batch.
    """

    #: Rows become text after each slice: the garbage collector walks through those that are kept.
    high_water = 1

    def __init__(self, target: Target, thread: FileThread, sink: Csv) -> None:
        super().__init__(target, thread)
        self.put = self._put  # type: ignore[method-assign]
        self._sink = sink
        self._dialect = sink.dialect
        self._join = self._dialect.delimiter.join
        self._encoding = sink.encoding
        self._rows: list[Sequence[str]] = []
        #: Each of them joined already, for a row whose texts need no quotes.
        self._lines: list[str] = []
        self._add_row, self._add_line = self._rows.append, self._lines.append  # looked up once: 10 ns a row
        #: Whether one of them was not all text: then the next ones are looked at, rather than tried.
        self._mixed = False
        self._kind: type | None = None
        self._columns: tuple[str, ...] = ()
        self._pick: Callable[[Any], Any] = itemgetter(0)
        #: The fields of the next dict, of the next list: none has -1, as long as there was no such item.
        self._fields = self._width = -1
        #: Whether the names stand at the beginning already, or something else does.
        self._headed = not sink.header or target.file.length > 0
        if sink.columns is not None:
            self._name(tuple(sink.columns))
            self._take_header()

    def _put(self, item: Any) -> None:
        kind = item.__class__
        if kind is dict and len(item) == self._fields:
            try:
                row = self._pick(item)
            except KeyError:
                self._put_other(item)
                return
        elif (kind is list or kind is tuple) and len(item) == self._width:
            row = item
        else:
            self._put_other(item)
            return
        if self._mixed:
            row = texts(row)
        try:
            line = self._join(row)
        except TypeError:
            row = texts(row)
            line = self._join(row)
            self._mixed = True
        if not line.isascii():
            line.encode(self._encoding)
        self._add_row(row)
        self._add_line(line)

    def _put_other(self, item: Any) -> None:
        """Take an item that is not just as the last one was; the first one that is good decides how others are."""
        kind = kind_of(item)
        if self._kind is None:
            self._put_first(item, kind)
            return
        if kind is not self._kind:
            this, first = kind.__qualname__, self._kind.__qualname__
            raise TypeError(f"the first item was a {first}, this one is a {this}: a file takes one kind")
        self._take(self._row(item))

    def _put_first(self, item: Any, kind: type) -> None:
        before = self._shape()
        count = len(self._rows)
        try:
            if kind is dict and not self._columns:
                if not item:
                    raise ValueError("the first item has no fields: name them with columns=")
                self._name(tuple(item))
                self._take_header()
            row = self._row(item)
            self._take(row)
        except BaseException:
            self._restore(before)  # with the header that it would have had
            del self._rows[count:], self._lines[count:]
            raise
        self._kind = kind
        if kind is dict:
            self._fields = len(self._columns)
        else:
            self._width = len(row)

    def _row(self, item: Any) -> Any:
        """Return the row of an item, or say what is wrong with it."""
        if not isinstance(item, dict):
            if not item:
                raise ValueError("a row without fields is an empty line, which readers pass over")
            width = self._width if self._kind is not None else len(self._columns) or len(item)
            if len(item) != width:
                first = "header" if self._columns else "first row"
                raise ValueError(f"{len(item)} fields, where the {first} has {width}")
            return item
        if item.keys() == set(self._columns):
            return self._pick(item)
        missing = [name for name in self._columns if name not in item]
        unknown = [name for name in item if name not in self._columns]
        raise ValueError(
            f"fields that are not those of the file{f', missing: {missing}' if missing else ''}"
            f"{f', unknown: {unknown}' if unknown else ''}; choose them in a .map(...), or name all with columns="
        )

    def _name(self, columns: tuple[str, ...]) -> None:
        self._columns = columns
        pick = itemgetter(*columns)
        self._pick = pick if len(columns) > 1 else lambda item: (pick(item),)

    def _take_header(self) -> None:
        if not self._headed:
            self._take(self._columns)
            self._headed = True

    def _take(self, values: Sequence[Any]) -> None:
        row = texts(values)
        line = self._join(row)
        line.encode(self._encoding)
        self._add_row(row)
        self._add_line(line)

    def _shape(self) -> tuple[Any, ...]:
        """Return what the first item has decided."""
        return self._kind, self._columns, self._pick, self._fields, self._width, self._headed

    def _restore(self, shape: tuple[Any, ...]) -> None:
        self._kind, self._columns, self._pick, self._fields, self._width, self._headed = shape

    def _securing(self, **more: Any) -> Securing:
        """Say with the file what the first item has decided: it is to hold in a later run, too."""
        return super()._securing(columns=self._columns, fields=self._fields, width=self._width, headed=self._headed)

    async def resume(self, prepared: dict[str, Any]) -> None:
        """Go on with the file, the header of which is written already."""
        if self._sink.columns is not None and self._columns != tuple(prepared["columns"]):
            raise FlowError(
                f"Csv(columns={list(self._columns)!r}): {self.target.path} has {list(prepared['columns'])!r} since "
                f"before the checkpoint; write to another file, or run with resume='never'"
            )
        self._rows.clear()
        self._lines.clear()
        if prepared["columns"]:
            self._name(tuple(prepared["columns"]))
        self._fields, self._width, self._headed = prepared["fields"], prepared["width"], prepared["headed"]
        self._kind = dict if self._fields >= 0 else list if self._width >= 0 else None
        await super().resume(prepared["file"])

    @property
    def pending(self) -> int:
        """Return about how many bytes wait."""
        return super().pending + ROW * len(self._rows)

    async def settle(self) -> None:
        """Make text of what has come, and begin to write it if it is enough."""
        self._buffer.write(self._text())
        if super().pending >= HIGH_WATER:
            await super().settle()

    async def settle_all(self) -> None:
        """Make text of what has come, and begin to write it."""
        self._buffer.write(self._text())
        await super().settle()

    def _text(self) -> bytes:
        """Hand over the rows that were put, as text."""
        if not self._rows:
            return b""
        text = self._dialect.write(self._rows, self._lines).encode(self._encoding)
        self._rows.clear()
        self._lines.clear()
        self._mixed = False
        return text

    async def write(self, batch: Sequence[Any]) -> None:
        """Write the records of `batch` up to one that is bad, all of these or none, and wait for it."""
        self.written = 0
        await self.flush()
        before = self._shape()
        taken = 0
        try:
            for item in batch:
                self._put(item)
                taken += 1
        finally:
            try:
                await super().write([self._text()])
            except OSError:
                self._restore(before)  # with the first item, its header is given back
                raise
            self.written = taken


def kind_of(item: Any) -> type:
    """Return dict for one, list for what is one or a tuple; raise TypeError for what is neither."""
    if isinstance(item, dict):
        return dict
    if isinstance(item, (list, tuple)):
        return list
    raise TypeError(f"a sink of rows takes dicts, lists or tuples, not {type(item).__qualname__}")
