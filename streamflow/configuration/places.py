"""Where the keys and values of a TOML document stand: `tomllib` reads it, and forgets the places.

The text is known to be valid, `tomllib` has taken it: what is scanned here is cut up, not judged.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

#: The way to a value: names of keys, and ordinals in arrays.
Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Name a stretch of one line, both counted from 1; `end` is the column after the last."""

    line: int
    column: int
    end: int


class Places:
    """Know where each key and each value of a document begins.

    >>> places = Places.of('source = { path = "in.csv" }')
    >>> places.value(("source", "path"))
    Place(line=1, column=19, end=27)
    """

    def __init__(self, keys: dict[Path, Place], values: dict[Path, Place]) -> None:
        self.keys = keys
        self.values = values

    @classmethod
    def of(cls, text: str) -> Places:
        """Scan `text`, which must be valid."""
        scanner = _Scanner(text)
        scanner.document()
        return cls(scanner.keys, scanner.values)

    def key(self, path: Path) -> Place:
        """Return where the key of `path` stands; for what has none, where the nearest thing around it stands."""
        while path and path not in self.keys:
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return self.keys.get(path, Place(1, 1, 1))

    def value(self, path: Path) -> Place:
        """Return where the value of `path` stands; for a table with a header, where the header does."""
        return self.values.get(path) or self.key(path)


_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^"\\]|"(?!""))*""""{0,2}'
    r"|'''(?:[^']|'(?!''))*''''{0,2}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
#: A number, a date, true or false.
_PLAIN = re.compile(r"[^,\]}\n#]+")


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        #: The ordinal of the latest table in each array of tables.
        self._tables: dict[Path, int] = {}

    def document(self) -> None:
        base: Path = ()
        while not self._ended():
            if self.text.startswith("[", self.at):
                base = self._header()
            else:
                self._pair(base)

    def _ended(self) -> bool:
        self._take(_BLANK)
        return self.at >= len(self.text)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        assert found is not None, f"valid TOML was promised: {self.text[self.at : self.at + 20]!r}"
        self.at = found.end()
        return found[0]

    def _place(self, start: int) -> Place:
        line = bisect_right(self._starts, start)
        line_start = self._starts[line - 1]
        line_end = self.text.find("\n", start, self.at)
        end = self.at if line_end < 0 else line_end
        return Place(line, start - line_start + 1, end - line_start + 1)

    def _header(self) -> Path:
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        start = self.at
        parts = self._key()
        path = (*self._within((), parts[:-1]), parts[-1])
        if brackets == 2:
            number = self._tables[path] = self._tables.get(path, -1) + 1
            self.keys.setdefault(path, self._place(start))
            path += (number,)
        self.keys[path] = self._place(start)
        self.at = self.text.index("]" * brackets, self.at) + brackets
        return path

    def _within(self, base: Path, parts: tuple[str, ...]) -> Path:
        """Return the way to a table, the latest one where there are several by that name."""
        for part in parts:
            base += (part,)
            if base in self._tables:
                base += (self._tables[base],)
        return base

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while True:
            self._take(_BLANK)
            if self.text[self.at] in "\"'":
                import tomllib  # late: who only catches the error reads no file

                parts.append(tomllib.loads(f"key = {self._take(_STRING)}")["key"])
            else:
                parts.append(self._take(_BARE))
            self._take(_BLANK)
            if not self.text.startswith(".", self.at):
                return tuple(parts)
            self.at += 1

    def _pair(self, base: Path) -> None:
        start = self.at
        parts = self._key()
        end, self.at = self.at, len(self.text[: self.at].rstrip())
        for length in range(1, len(parts) + 1):
            self.keys.setdefault(base + parts[:length], self._place(start))
        self.at = self.text.index("=", end) + 1
        self._value(base + parts)

    def _value(self, path: Path) -> None:
        self._take(_BLANK)
        start = self.at
        first = self.text[self.at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._table(path)
        elif first in "\"'":
            self._take(_STRING)
        else:
            self.at = start + len(self._take(_PLAIN).rstrip())
        self.values[path] = self._place(start)

    def _array(self, path: Path) -> None:
        self.at += 1
        number = 0
        while not self._closed("]"):
            self._value((*path, number))
            number += 1

    def _table(self, path: Path) -> None:
        self.at += 1
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        """Pass over blanks and commas; tell whether the bracket has been passed as well."""
        self._take(_BLANK)
        while self.text[self.at] == ",":
            self.at += 1
            self._take(_BLANK)
        if self.text[self.at] == bracket:
            self.at += 1
            return True
        return False
