"""Comma-separated values and their kin: rows of text, after RFC 4180, read and written by Python's own module."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streamflow.model.errors import FlowError


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

    def rows(self, text: str) -> Iterator[list[str]]:
        """Return an iterator over the rows in `text`; an empty line is an empty row."""
        # Lines are split where the file has them: what stands between quotes keeps its own line ends.
        return csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, quotechar=self.quote)

    def write(self, rows: Collection[Sequence[Any]]) -> str:
        """Return `rows` as text, quoted where that is needed; None is an empty field."""
        text = self._write(rows, csv.QUOTE_MINIMAL)
        # Python's writer leaves a CR without quotes where lines end in LF, and every reader takes it for a line end.
        return self._write(rows, csv.QUOTE_ALL) if "\r" in text else text

    def _write(self, rows: Collection[Sequence[Any]], quoting: Literal[0, 1]) -> str:
        text = io.StringIO(newline="")
        csv.writer(
            text, delimiter=self.delimiter, quotechar=self.quote, lineterminator="\n", quoting=quoting
        ).writerows(rows)
        return text.getvalue()
