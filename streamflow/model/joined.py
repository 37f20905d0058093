"""What comes out of joins."""

from __future__ import annotations

from typing import Any, NamedTuple


class Joined(NamedTuple):
    """Be an item of the left input and one of the right that have the same key; None stands for a missing one."""

    key: Any
    left: Any
    right: Any


class JoinedInWindow(NamedTuple):
    """Be the same of one window, from `start` on and before `end` (seconds since 1970)."""

    key: Any
    left: Any
    right: Any
    start: float
    end: float
