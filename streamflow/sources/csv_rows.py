"""A file of comma-separated values."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
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
    convert, is a bad record. Quoted fields may hold line ends, up to `max_line_bytes` for the record; of one that is
    never closed the first line is bad, and the lines after it are read on. Empty lines are passed over.
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

    def again(self, item: Any, names: Sequence[str] | None) -> Any:
        """Return the record that a dead letter's `item`, mended by hand or not, is: a line of text, a list or a dict.

        `types` convert what is text. `names` are those of the fields, or None where they are not known; ValueError for
        what is no record.
        """
        row = self.dialect.row(item) if isinstance(item, str) else item
        if isinstance(row, list) and self.header is not False:
            if names is None:
                raise ValueError(f"fields without their names: {_MEND}")
            if len(row) != len(names):
                raise ValueError(f"{len(row)} fields, where the header has {len(names)}: {_MEND}")
            row = dict(zip(names, row, strict=True))
        if not isinstance(row, (dict, list)):
            raise ValueError(f"{type(row).__name__} is no record: {_MEND}")
        return _texts_converted(row, self.types or {}) if isinstance(row, dict) else row

    def reader(self, blocks: Blocks) -> CsvReader:
        """Return the reader of the records in `blocks`."""
        return CsvReader(blocks, LineCutter(self.label, self.chunk, self.max_line_bytes), self)


#: How a dead letter becomes a record.
_MEND = "mend the item to an object, { field: value }, or to a field for each name of the header"


def _texts_converted(record: dict[str, Any], types: Types) -> dict[str, Any]:
    """Return `record` with its texts converted; what is none any more was mended to what it is to be."""
    made = dict(record)
    for name, function in types.items():
        if isinstance(value := record.get(name), str):
            try:
                made[name] = function(value)
            except Exception as error:
                raise ValueError(f"field {name!r}: {error}") from error
    return made


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
            self._count = sum(map(bool, _never_raising(self._source.dialect.rows(self._text()[0]))))
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
        return self._items(filter(None, rows if sound else map(self._undecodable, rows)))

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
            return self._data.decode(self._source.encoding, "surrogateescape"), False

    def _undecodable(self, row: Any) -> Any:
        """Return `row`, or a `BadRow` if there was something in it that is no text."""
        if row.__class__ is BadRow or not any(map(_ESCAPED.search, row)):
            return row
        encoding = self._source.encoding
        shown = [field.encode(encoding, "surrogateescape").decode(encoding, "backslashreplace") for field in row]
        return BadRow(ValueError("bytes that are not of the encoding"), shown)

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
        """Find record `index` by parsing up to there; empty lines before it are no part of it."""
        index += len(self) if index < 0 else 0
        reader: Any = self._source.dialect.rows(self._text()[0])
        lines = 0
        for row in _never_raising(reader):
            if row and not index:
                break
            index -= bool(row)
            lines = reader.line_num
        # The parser ends a line at a lone CR too; numbers of lines are those of LF, as everywhere.
        before = b"".join(self._data.splitlines(keepends=True)[:lines])
        line = self._line + before.count(b"\n")
        return Position(self._source.label, line=line, offset=self._offset + len(before))


#: Blocks of one file follow one another: the function is made once.
_record_maker = lru_cache(16)(record_maker)
#: Bytes that were no text, as `surrogateescape` keeps them.
_ESCAPED = re.compile("[\udc80-\udcff]")


def _never_raising(rows: Iterator[list[str]]) -> Iterator[Any]:
    """Yield rows, and what the parser raises for one (a field longer than it takes) as a `BadRow`."""
    while True:
        try:
            yield from rows
            return
        except csv.Error as error:
            yield BadRow(ValueError(f"{error}; csv.field_size_limit(...) sets that limit"), [])


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
        self._row = source.dialect.row_pattern()
        self._held = b""
        #: A line that is too long, or the end, behind a record that is not closed yet.
        self._waiting: LineBlock | None = None
        self._next = super().position()

    async def read(self, limit: int) -> Any:
        """Return the next records."""
        while True:
            lines = await super().read(limit) if self._waiting is None else self._waiting
            self._waiting = None
            if lines is None and not self._held:
                return None
            block = self._put_together(lines)
            if block is not None:
                return block

    def _put_together(self, lines: LineBlock | None) -> RowBlock | None:
        if lines is None or (lines.broken is not None and self._held):
            self._waiting = lines
            return self._give_up(self._held)
        data = self._held + lines.data
        if not self._held:
            self._next = lines.position(0)
        border = self._unclosed(data)
        if len(data) - border > self._most:
            return self._give_up(data)
        self._held = data[border:]
        return self._block(data[:border], b"", lines.broken) if border or lines.broken is not None else None

    def _give_up(self, data: bytes) -> RowBlock | None:
        """Let only the first line of a record at the end of `data` be bad, which is not closed: others may be good."""
        start = self._unclosed(data)
        after = data.find(b"\n", start) + 1 or len(data)
        self._held = data[after:]
        within = f" within max_line_bytes={self._most:,}" if len(data) - start > self._most else ""
        broken = RecordError(f"a quoted field that is never closed{within}", data[start:after][:SHOWN])
        return self._block(data[:start], data[start:after], broken if start < len(data) else None)

    def _unclosed(self, data: bytes) -> int:
        """Return where the record begins that is not closed, or the length of `data` if all are.

        Not by the number of quotes: one within an unquoted field is a character as any other.
        """
        if self._quote not in data:
            return len(data)
        at = 0
        while at < len(data):
            found = self._row.match(data, at)
            if found is None:
                return at
            at = found.end()
        return at

    def _block(self, data: bytes, passed: bytes, broken: RecordError | None) -> RowBlock | None:
        """Make a block of the records in `data`; `passed` are the bytes of a broken one after them."""
        line, offset = self._next.line or 1, self._next.offset or 0
        if self._wants_header:
            data, line, offset = self._take_header(data, line, offset)
        if self._wants_header and broken is not None:
            # What comes next must not be taken for it.
            raise RecordError(f"{self._source.label}: the header cannot be read: {broken}", broken.record)
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
        if row.__class__ is BadRow:
            raise RecordError(f"{self._source.label}: the header {row!r} cannot be read: {row.error}")
        if len(set(row)) < len(row):
            raise RecordError(f"{self._source.label}: the header {row!r} does not give each field a name of its own")
        self._names, self._wants_header = tuple(row), False
        after = first.position(1)
        size = (after.offset or 0) - offset
        return data[size:], after.line or line, after.offset or offset

    def position(self) -> Position:
        """Return line and offset of the next record."""
        if self._held or self._wants_header:
            return replace(self._next, file=self._blocks.mark)
        return super().position()

    async def seek(self, position: Position) -> None:
        """Go on at `position.offset`, with the names that stand at the beginning."""
        if self._wants_header and position.offset:
            await self.read(1)
        await super().seek(position)
        self._held, self._waiting = b"", None
        self._next = position
