"""A TOML file that was read: its values, where they stand, and what is wrong with them."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Any

from streamflow.configuration.environment import Environment
from streamflow.configuration.places import Path, Place, Places
from streamflow.configuration.problem import ConfigurationError, Problem

#: More is no configuration.
MOST_BYTES = 10_000_000

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Document:
    """Hold the values of the file at `path`, and gather the problems that are found in them.

    Without an `environment`, a `${NAME}` in a value is a text as any other.
    """

    def __init__(self, path: str, environment: Environment | None = None) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._unread: set[Path] = set()
        text = self._read()
        self._lines = text.split("\n")
        #: The values as they are written, with no variable put in.
        self.written = self._parse(text)
        self._places = Places.of(text)
        self.values = self.written if environment is None else self._interpolated(self.written, (), environment)

    @property
    def folder(self) -> str:
        """Return the folder of the file, as it was typed: what is relative is relative to it."""
        return os.path.dirname(self.path)

    def report(self, code: str, message: str, path: Path, fix: str = "", *, key: bool = False) -> None:
        """Note a problem at the value of `path`, or at its `key`.

        A value in which a variable could not be put is not what was meant: that is all that is told of it.
        """
        at_key = key or code == "SF104"
        if path in self._unread and not at_key:
            return
        if code == "SF109":
            self._unread.add(path)
        place = self._places.key(path) if at_key else self._places.value(path)
        self.problems.append(self._problem(code, message, place, fix))

    def written_at(self, path: Path, option: str) -> Path:
        """Return the way to `option` of the table at `path`, or `path` where that is not written."""
        return (*path, option) if (*path, option) in self._places.keys else path

    def check(self) -> None:
        """Raise ConfigurationError if there were problems."""
        if self.problems:
            raise ConfigurationError(self.problems)

    def _problem(self, code: str, message: str, place: Place, fix: str) -> Problem:
        line = self._lines[place.line - 1].rstrip("\r") if place.line <= len(self._lines) else ""
        return Problem(
            code=code, message=message, file=self.path, place=place, line=line, fix=fix, help=_HELP.get(code, "")
        )

    def _read(self) -> str:
        self._lines = []
        try:
            with open(self.path, "rb") as file:
                data = file.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise OSError(f"it is larger than {MOST_BYTES:,} bytes")
            # tomllib leaves the CR of a CRLF out of account, and knows no mark at the beginning.
            return data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - data.rfind(b"\n", 0, error.start)
            problem = self._problem(
                "SF102", "this is no UTF-8 text", Place(line, column, column + 1), "save it as UTF-8"
            )
            raise ConfigurationError([problem]) from None
        except OSError as error:
            raise ConfigurationError(
                [self._problem("SF101", _reason(error), Place(1, 1, 1), _near(self.path))]
            ) from None

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = _AT.search(str(error))
            message = _AT.sub("", str(error))
            line, column = (int(found[1]), int(found[2])) if found and found[1] else _end(text)
            place, fix = _syntax(self._lines, line, column, message)
            raise ConfigurationError([self._problem("SF102", message, place, fix)]) from None
        except RecursionError:
            raise ConfigurationError(
                [self._problem("SF102", "arrays within arrays, too deep to be read", Place(1, 1, 1), "")]
            ) from None

    def _interpolated(self, value: Any, path: Path, environment: Environment) -> Any:
        if isinstance(value, str):
            return environment.put_into(value, lambda message, fix: self.report("SF109", message, path, fix))
        if isinstance(value, dict):
            return {key: self._interpolated(one, (*path, key), environment) for key, one in value.items()}
        if isinstance(value, list):
            return [self._interpolated(one, (*path, n), environment) for n, one in enumerate(value)]
        return value


_HELP = {"SF107": "streamflow list", "SF104": "streamflow list"}


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _near(path: str) -> str:
    import difflib

    folder, name = os.path.split(path)
    try:
        near = difflib.get_close_matches(name, os.listdir(folder or "."), n=1)
    except OSError:
        return f"there is no folder {folder!r}"
    return f"did you mean {os.path.join(folder, near[0])!r}?" if near else ""


def _end(text: str) -> tuple[int, int]:
    """Return line and column of the last character that is no white space."""
    text = text.rstrip()
    return text.count("\n") + 1, len(text) - (text.rfind("\n") + 1)


def _syntax(lines: list[str], line: int, column: int, message: str) -> tuple[Place, str]:
    """Return where a mistake of syntax is rather than where it was noticed, and what would mend it."""
    text = lines[line - 1] if line <= len(lines) else ""
    while line > 1 and not text.strip():
        line -= 1  # noticed after line ends: the mistake is before them
        text = lines[line - 1]
        column = len(text) + 1
    place = Place(line, column, column + 1)
    rest = text[column - 1 :].strip()
    word = re.match(r"[^\s,\]}#]+", rest)
    if message.startswith("Invalid value") and re.match(r"\s*\[+\s*$", text[: column - 1]):
        return place, "is this the header of a table? Then a ] is missing before it, which ends an array"
    if message.startswith("Invalid value") and word:
        return Place(line, column, column + len(word[0])), _value_fix(word[0])
    if message.startswith("Expected '=' after a key"):
        return place, "write key = value" if ":" not in text else "write = instead of :"
    if message.startswith(("Unclosed inline table", "Invalid initial character for a key part")):
        return place, "an inline table stands on one line, with a comma between its entries and none after the last"
    if message.startswith("Unclosed array"):
        while line > 1 and not text[: column - 1].strip():
            line -= 1
            text = lines[line - 1]
            column = len(text) + 1
        return Place(line, column, column + 1), "a comma between two entries is missing, or the ] at the end"
    if message.startswith(("Illegal character", "Unterminated string", "Expected")) and text.count('"') % 2:
        return place, 'a closing " is missing in this line'
    if message.startswith("Cannot overwrite"):
        return place, "this key is there already: remove one of them"
    if message.startswith(("Cannot declare", "Cannot mutate")):
        return place, "this table is there already: put all its keys in one place"
    return place, ""


def _value_fix(word: str) -> str:
    plain = word.lower()
    if plain in ("true", "yes", "on", "false", "no", "off"):
        return f"write {'true' if plain in ('true', 'yes', 'on') else 'false'}"
    if plain in ("none", "null", "nil"):
        return "TOML has no null: leave the key out"
    return f'texts stand in quotes: "{word}"'
