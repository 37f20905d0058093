"""A file of comma-separated values."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import length_hint
from typing import Any

from streamflow.codecs.csv_rows import Dialect, record_maker
from streamflow.codecs.text import TextCodec
from streamflow.files.compression import without_suffix
from streamflow.model.errors import FlowError, RecordError
from streamflow.model.interfaces import Block
from streamflow.model.positions import Position
from streamflow.sources.file_lines import FileLines
from streamflow.sources.lines import SHOWN, Blocks, LineBlock, LineCutter, LineReader
from streamflow.sources.taking import Take

Types = Mapping[str, Callable[[str], Any]]


@dataclass(frozen=True, kw_only=True)
class Csv(FileLines[Any]):
    """Read the records of a file of comma-separated values (.csv), or of another `delimiter` (a tab for .tsv).

    With `header=True` the first record names the fields, and each item is a dict of str; `header` may also be the
    names, for a file that has none; with `header=False` items are lists. `types` converts fields, as in
    `types={"amount": float}`. A record whose number of fields is not that of the header, or with a field that does not
    convert, is a bad record. Quoted fields may hold line ends, up to `max_line_bytes` for the record; empty lines are
    passed over.
    """

    header: bool | Sequence[str] = True
    delimiter: str | None = None
    quote: str = '"'
    encoding: str = "utf-8"
    types: Types | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        TextCodec(self.encoding)  # an encoding without lines is told now
        self.dialect  # noqa: B018 - a delimiter that cannot be is told now
        if not isinstance(self.header, bool):
            object.__setattr__(self, "header", tuple(self.header))
            if not self.header or len(set(self.header)) < len(self.header):
                raise FlowError(f"Csv(header={self.header!r}): expected names, each once")
        if self.types and self.header is False:
            raise FlowError("Csv(types=...): fields have no names with header=False; convert in a .map(...)")

    @property
    def dialect(self) -> Dialect:
        """Return what was said, or what the suffix says."""
        return Dialect.of(without_suffix(self.label), self.delimiter, self.quote)

    @property
    def decode(self) -> Callable[[Any], Any]:
        """Return what hands on good records, and raises the error of a bad one."""
        return Take(BadRow)

    def reader(self, blocks: Blocks) -> CsvReader:
        """Return the reader of the records in `blocks`."""
        return CsvReader(blocks, LineCutter(self.label, self.chunk, self.max_line_bytes), self)


class BadRow(list[str]):
    """Be the fields of a record that cannot be handed on, and why."""

    __slots__ = ("error",)

    def __init__(self, error: ValueError, row: list[str]) -> None:
        super().__init__(row)
        self.error = error

    def __bool__(self) -> bool:
        """Be no empty line, also where nothing could be made of it."""
        return True


class RowBlock(Block):
    """Hold whole records, not parsed yet."""

    __slots__ = ("_count", "_data", "_given", "_line", "_offset", "_rows", "_source", "broken", "names")

    def __init__(self, data: bytes, source: Csv, names: tuple[str, ...] | None, line: int, offset: int) -> None:
        self.broken: RecordError | None = None
        self.names = names
        self._data = data
        self._source = source
        self._line = line
        self._offset = offset
        self._count: int | None = None
        #: How far the latest iterator has come: a number, or the iterator over all rows itself.
        self._given = 0
        self._rows: Iterator[Any] | None = None

    def __len__(self) -> int:
        if self._count is None:
            self._count = sum(1 for row in self._source.dialect.rows(self._text()[0]) if row)
        return self._count

    def note_length(self, length: int) -> None:
        """Remember the number of records, which then need not be counted."""
        self._count = length

    def raw(self) -> Iterator[Any]:
        """Return an iterator over the records; bad ones come as `BadRow`."""
        text, sound = self._text()
        dialect = self._source.dialect
        plain = dialect.plain_lines(text) if sound else None
        regular = sound and not self._source.types
        if regular and plain is not None and (self.names is None or dialect.widths(plain) <= {len(self.names)}):
            lines = self._regular(plain)
            return self._named(dialect.cut(lines))
        parsed = self._parsed(text) if regular and plain is None else None
        if parsed is not None:
            return self._named(self._regular(parsed))
        rows = _never_raising(dialect.rows(text)) if plain is None else dialect.cut(plain)
        return self._items(filter(None, rows if sound else map(_undecodable, rows)))

    def _regular(self, records: list[Any]) -> Iterator[Any]:
        """Return an iterator over all records, which counts itself what it has handed out."""
        self._count = len(records)
        self._rows = iter(records)
        return self._rows

    def _named(self, rows: Iterator[list[str]]) -> Iterator[Any]:
        return rows if self.names is None else map(_record_maker(self.names), rows)

    def _parsed(self, text: str) -> list[list[str]] | None:
        """Return all rows, if each is as long as the header: the usual case, which then needs no code of ours a row."""
        try:
            rows = list(self._source.dialect.rows(text))
        except csv.Error:
            return None
        lengths = set(map(len, rows))
        return rows if 0 not in lengths and (self.names is None or lengths <= {len(self.names)}) else None

    def _text(self) -> tuple[str, bool]:
        try:
            return self._data.decode(self._source.encoding), True
        except UnicodeDecodeError:
            return self._data.decode(self._source.encoding, "backslashreplace"), False

    def _items(self, rows: Iterator[Any]) -> Iterator[Any]:
        self._given, self._rows = 0, None
        names = self.names
        convert = tuple((self._source.types or {}).items())
        if names is None:
            for self._given, row in enumerate(rows, 1):
                yield row
            return
        width = len(names)
        for self._given, row in enumerate(rows, 1):
            if row.__class__ is BadRow:
                yield row
            elif len(row) != width:
                yield BadRow(ValueError(f"{len(row)} fields, where the header has {width}"), row)
            elif convert:
                yield _converted(dict(zip(names, row, strict=True)), convert, row)
            else:
                yield dict(zip(names, row))  # noqa: B905 - their lengths were compared

    def consumed(self, raw: Iterator[Any]) -> int:
        """Return how many records the latest `raw` has handed out."""
        return self._given if self._rows is None else len(self) - length_hint(self._rows)

    def position(self, index: int) -> Position:
        """Find record `index` by parsing up to there."""
        index += len(self) if index < 0 else 0
        reader: Any = self._source.dialect.rows(self._text()[0])
        rows = _never_raising(reader)
        lines = 0
        while index > 0:
            row = next(rows, None)
            if row is None:
                break
            lines = reader.line_num
            index -= bool(row)
        ends = (found.end() for found in _LINE_END.finditer(self._data))
        size = next(islice(ends, lines - 1, None), len(self._data)) if lines else 0
        return Position(self._source.label, line=self._line + lines, offset=self._offset + size)


#: Where a line ends for the parser.
_LINE_END = re.compile(rb"\r\n|\r|\n")
#: Blocks of one file follow one another: the function is made once.
_record_maker = lru_cache(16)(record_maker)


def _never_raising(rows: Iterator[list[str]]) -> Iterator[Any]:
    """Yield rows, and what the parser raises for one (a field longer than it takes) as a `BadRow`."""
    while True:
        try:
            yield from rows
            return
        except csv.Error as error:
            yield BadRow(ValueError(str(error)), [])


def _undecodable(row: Any) -> Any:
    """Return `row`, or a `BadRow` if there was something in it that is no text."""
    if row.__class__ is BadRow or not any("\\x" in field for field in row):
        return row
    return BadRow(ValueError("bytes that are not of the encoding"), row)


def _converted(record: dict[str, Any], convert: tuple[tuple[str, Callable[[str], Any]], ...], row: list[str]) -> Any:
    for name, function in convert:
        try:
            record[name] = function(record[name])
        except KeyError:
            raise FlowError(f"Csv(types=...): there is no field {name!r}; the header has {', '.join(record)}") from None
        except Exception as error:
            return BadRow(ValueError(f"field {name!r}: {error}"), row)
    return record


class CsvReader(LineReader):
    """Put lines together to records: one ends where a line does, outside quotes."""

    def __init__(self, blocks: Blocks, cutter: LineCutter, source: Csv) -> None:
        super().__init__(blocks, cutter)
        self._source = source
        self._quote = source.dialect.quote.encode()
        self._most = source.max_line_bytes
        self._names = source.header if isinstance(source.header, tuple) else None
        self._wants_header = source.header is True
        self._held = b""
        self._next = super().position()
        self._broken: RecordError | None = None

    async def read(self, limit: int) -> Any:
        """Return the next records."""
        while True:
            lines = await super().read(limit)
            if lines is None:
                return self._last()
            block = self._put_together(lines)
            if block is not None:
                return block

    def _put_together(self, lines: LineBlock) -> RowBlock | None:
        data = self._held + lines.data
        if not self._held:
            self._next = lines.position(0)
        border = self._border(data)
        self._held = data[border:]
        broken = lines.broken
        if len(self._held) > self._most:
            broken = RecordError(
                f"a record of more than max_line_bytes={self._most:,}: a quote that is never closed?",
                self._held[:SHOWN],
            )
            self._held = b""
            return self._block(data[:border], data[border:], broken)
        return self._block(data[:border], b"", broken) if border or broken is not None else None

    def _border(self, data: bytes) -> int:
        """Return the end of the last record in `data`, which ends in a line end (or is the end of all)."""
        quote = self._quote
        inside = data.count(quote) % 2 if quote in data else 0
        border = len(data)
        while inside and border:
            before = data.rfind(b"\n", 0, border - 1) + 1
            inside = (inside + data.count(quote, before, border)) % 2
            border = before
        return border

    def _last(self) -> RowBlock | None:
        if not self._held:
            return None
        broken = RecordError("a quoted field that is never closed", self._held[:SHOWN])
        held, self._held = self._held, b""
        return self._block(b"", held, broken)

    def _block(self, data: bytes, passed: bytes, broken: RecordError | None) -> RowBlock | None:
        """Make a block of the records in `data`; `passed` are the bytes of a broken one after them."""
        line, offset = self._next.line or 1, self._next.offset or 0
        if self._wants_header:
            data, line, offset = self._take_header(data, line, offset)
        block = RowBlock(data, self._source, self._names, line, offset)
        block.broken = broken
        gone = data + passed
        self._next = Position(self._source.label, line=line + gone.count(b"\n"), offset=offset + len(gone))
        return block if data or broken is not None else None

    def _take_header(self, data: bytes, line: int, offset: int) -> tuple[bytes, int, int]:
        first = RowBlock(data, self._source, None, line, offset)
        row = next(first.raw(), None)
        if row is None:
            return data, line, offset
        if row.__class__ is BadRow or len(set(row)) < len(row):
            raise RecordError(f"{self._source.label}: the header {row!r} does not give each field a name of its own")
        self._names, self._wants_header = tuple(row), False
        after = first.position(1)
        size = (after.offset or 0) - offset
        return data[size:], after.line or line, after.offset or offset

    def position(self) -> Position:
        """Return line and offset of the next record."""
        return self._next if self._held else super().position()

    async def seek(self, position: Position) -> None:
        """Go on at `position.offset`, with the names that stand at the beginning."""
        if self._wants_header and position.offset:
            await self.read(1)
        await super().seek(position)
        self._held = b""
        self._next = position
