"""What comes out of keyed flows: the result of a key, and that of a key in one window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple


class Keyed(NamedTuple):
    """Be what was made of the items of one key."""

    key: Any
    value: Any


@dataclass(frozen=True, slots=True)
class WindowResult:
    """Hold what was made of the items of one key in one window, from `start` on and before `end` (seconds since 1970).

    `value` is a dict of the names given to `aggregate`, or what `reduce` made. `final` tells whether the window is
    closed; those that are not, or were closed before, have classes of their own.
    """

    key: Any
    start: float
    end: float
    value: Any

    final: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class EarlyResult(WindowResult):
    """Hold what a window has so far, which is still open (`every=`)."""

    final: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class UpdatedResult(WindowResult):
    """Replace the result of a window that was closed before: a late item has come (`late="update"`)."""
