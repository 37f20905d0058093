"""Comma-separated values and their kin: rows of text, after RFC 4180, read and written by Python's own module."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

from streamflow.model.errors import FlowError, NoForm


@dataclass(frozen=True, slots=True)
class Dialect:
    """Say what stands between two fields and around one; a quote within a quoted field is written twice."""

    delimiter: str = ","
    quote: str = '"'

    def __post_init__(self) -> None:
        for name, value in (("delimiter", self.delimiter), ("quote", self.quote)):
            if not isinstance(value, str) or len(value) != 1 or value in "\r\n" or ord(value) > 127:
                raise FlowError(f"{name}={value!r}: expected one ASCII character that ends no line")
        if self.delimiter == self.quote:
            raise FlowError(f"delimiter and quote are both {self.quote!r}: they must differ")

    @classmethod
    def of(cls, path: str, delimiter: str | None, quote: str) -> Dialect:
        """Return the dialect of a file: a tab between fields where its name ends in .tsv, if nothing else was said."""
        return cls(delimiter if delimiter is not None else "\t" if path.lower().endswith(".tsv") else ",", quote)

    def plain_lines(self, text: str) -> list[str] | None:
        """Return the lines of a `text` in which nothing is quoted, empty ones left out, or None for any other.

        To cut these at each delimiter is what `rows` does, at a third of its price.
        """
        if self.quote in text:
            return None
        if "\r" in text:
            text = text.replace("\r\n", "\n")
            if "\r" in text:
                return None
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        if "" in lines:
            lines = list(filter(None, lines))
        if max(map(len, lines), default=0) > csv.field_size_limit():
            return None  # which the parser refuses
        return lines

    def cut(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Return the rows in lines in which nothing is quoted."""
        return map(str.split, lines, repeat(self.delimiter))

    def widths(self, lines: Iterable[str]) -> set[int]:
        """Return how many fields there are in such lines."""
        return {count + 1 for count in set(map(str.count, lines, repeat(self.delimiter)))}

    def rows(self, text: str) -> Iterator[list[str]]:
        """Return an iterator over the rows in `text`; an empty line is an empty row."""
        # Lines are split where the file has them: what stands between quotes keeps its own line ends.
        return csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, quotechar=self.quote)

    def row(self, text: str) -> list[str]:
        """Return the one row in `text`; ValueError if there is none, or more, or a quote that is never closed.

        >>> Dialect().row('1,"a,b"')
        ['1', 'a,b']
        """
        try:
            found = [row for row in self.rows(text) if row]
        except csv.Error as error:
            raise ValueError(str(error)) from None
        if len(found) != 1:
            raise ValueError(f"{len(found)} rows in a text that is to be one")
        if self.row_pattern().match(text.encode("utf-8", "surrogatepass").lstrip(b"\r\n")) is None:
            raise ValueError("a quoted field that is never closed")
        return found[0]

    def row_pattern(self) -> re.Pattern[bytes]:
        """Return what matches a whole row of bytes as `rows` sees it: not one with a quote that is never closed."""
        quote, delimiter = re.escape(self.quote.encode()), re.escape(self.delimiter.encode())
        # Possessive throughout: a pair of quotes must not be taken apart to close a field after all.
        quoted = rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b" % ((quote,) * 6)
        field = rb"(?:%b|(?!%b))[^%b\r\n]*+" % (quoted, quote, delimiter)
        return re.compile(rb"%b(?:%b%b)*+(?:\r\n|\r|\n|\Z)" % (field, delimiter, field))

    def write(self, rows: Collection[Sequence[Any]], lines: Sequence[str] | None = None) -> str:
        """Return `rows` as text, quoted where that is needed; None is an empty field.

        Who has rows of one length, and has joined each by the delimiter already, gives these `lines` too.
        """
        plain = self._write_plain(rows, lines)
        if plain is not None:
            return plain
        text = self._write(rows, csv.QUOTE_MINIMAL)
        # Python's writer leaves a CR without quotes where lines end in LF, and every reader takes it for a line end.
        return self._write(rows, csv.QUOTE_ALL) if "\r" in text else text

    def _write_plain(self, rows: Collection[Sequence[Any]], lines: Sequence[str] | None) -> str | None:
        """Return texts joined, if they are nothing but texts that need no quotes: an eighth of the writer's price."""
        lengths = set(map(len, rows)) if lines is None else {len(next(iter(rows)))}
        if len(lengths) != 1 or lengths <= {0, 1}:
            return None  # one empty field is quoted, no field at all is an empty line
        try:
            text = "\n".join(map(self.delimiter.join, rows) if lines is None else lines)
        except TypeError:
            return None
        delimiters = len(rows) * (lengths.pop() - 1)
        if self.quote in text or "\r" in text or text.count(self.delimiter) != delimiters:
            return None
        return f"{text}\n" if text.count("\n") == len(rows) - 1 else None

    def _write(self, rows: Collection[Sequence[Any]], quoting: Literal[0, 1]) -> str:
        text = io.StringIO(newline="")
        csv.writer(
            text, delimiter=self.delimiter, quotechar=self.quote, lineterminator="\n", quoting=quoting
        ).writerows(rows)
        return text.getvalue()


def texts(row: Iterable[Any]) -> list[str]:
    """Return what is written for each value of a row; raise NoForm for bytes, which have no encoding.

    >>> texts(["a", 1, 2.5, None])
    ['a', '1', '2.5', '']
    """
    return [value if value.__class__ is str else _TEXT.get(value.__class__, _text)(value) for value in row]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        kind = type(value).__qualname__
        raise NoForm(f"CSV has no form for {kind}: make value.decode(), value.hex() or base64 of it before the sink")
    return str(value)


#: What is usual, found by one look-up.
_TEXT: dict[type, Callable[[Any], str]] = {int: str, float: str, type(None): lambda _: ""}


def record_maker(names: Sequence[str]) -> Callable[[list[str]], dict[str, str]]:
    """Return a function that makes of a row, as long as `names`, the dict of its fields.

    >>> record_maker(["a", "b"])(["1", "2"])
    {'a': '1', 'b': '2'}
    """
    # Generated, since a dict whose keys are constants takes half as long as dict(zip(names, row)).
    fields = [f"v{number}" for number in range(len(names))]
    pairs = ", ".join(f"{name!r}: {field}" for name, field in zip(names, fields, strict=True))
    made: dict[str, Any] = {}
    exec(f"def record(row):\n    [{', '.join(fields)}] = row\n    return {{{pairs}}}", made)
    record: Callable[[list[str]], dict[str, str]] = made["record"]
    return record
