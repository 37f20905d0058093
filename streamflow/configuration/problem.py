"""What is wrong with a configuration: where, what was expected, and the nearest right thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from streamflow.configuration.places import Place
from streamflow.model.errors import FlowError
from streamflow.model.printable import printable

#: Characters of a mistaken line that are shown at most.
SHOWN = 120

#: What each code means, in the words of the page of errors.
CODES = {
    "SF101": "the file cannot be read",
    "SF102": "the file is not TOML",
    "SF103": "something that must be there is missing",
    "SF104": "a key that is not known here",
    "SF105": "a value of the wrong kind",
    "SF106": "a value that cannot be",
    "SF107": "a source, sink or operator that there is not",
    "SF108": "a reference to Python code that leads nowhere",
    "SF109": "a variable of the environment that may not be used, or is not set",
    "SF110": "things that do not go together",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Hold one mistake of a configuration file."""

    code: str
    message: str
    file: str
    place: Place
    #: The mistaken line itself.
    line: str = ""
    #: What to write instead, as far as that can be told.
    fix: str = ""
    #: A command that shows what is possible.
    help: str = ""

    def __str__(self) -> str:
        number = str(self.place.line)
        margin = " " * len(number)
        line, column = _excerpt(self.line, self.place.column - 1)
        width = min(max(1, self.place.end - self.place.column), max(1, len(line) - column))
        marks = " " * column + "^" * width
        shown = [
            f"error[{self.code}]: {self.message}",
            f"{margin}--> {self.file}:{self.place.line}:{self.place.column}",
        ]
        if self.line:
            shown += [f"{number} | {line}", f"{margin} | {marks} {self.fix}".rstrip()]
        elif self.fix:
            shown.append(f"{margin} = {self.fix}")
        if self.help:
            shown.append(f"{margin} = help: {self.help}")
        return "\n".join(shown)

    def as_dict(self) -> dict[str, Any]:
        """Return the mistake as plain values, for JSON."""
        line, column, end = self.place
        return {
            "code": self.code,
            "message": self.message,
            "file": self.file,
            "line": line,
            "column": column,
            "end_column": end,
            "fix": self.fix,
            "help": self.help,
        }


def _excerpt(line: str, column: int) -> tuple[str, int]:
    """Return what is shown of a line, without what a terminal would obey, and where `column` (from 0) is in it."""
    plain = printable(line.replace("\t", " "))
    start = max(0, column - SHOWN // 2) if len(plain) > SHOWN else 0
    cut = plain[start : start + SHOWN]
    before, after = "…" * (start > 0), "…" * (start + SHOWN < len(plain))
    return before + cut + after, column - start + len(before)


class ConfigurationError(FlowError):
    """Say all that is wrong with a configuration: `problems`, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.place))
        super().__init__("\n\n".join(map(str, self.problems)))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the one of `known` that was probably meant by `word`, or an empty text.

    >>> nearest("max_line_byte", ["path", "max_line_bytes"])
    'max_line_bytes'
    """
    names = list(known)
    folded = {name.lower().replace("-", "_"): name for name in names}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else ""
