"""Check the arguments of operators when a flow is written, so that a mistake is found where it was made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamflow.model.errors import FlowError
from streamflow.operators.callables import require_callable, require_sync


def require_plain(function: Callable[..., Any], operator: str) -> None:
    """Raise FlowError unless `function` can be called, and is not async."""
    require_callable(function, operator)
    require_sync(function, operator)


def whole_number(what: str, number: object, least: int) -> int:
    """Return `number`; raise FlowError, beginning with `what`, unless it is a whole number from `least` on."""
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise FlowError(f"{what}: {number!r} is not a whole number from {least} on")
    return number


def seconds_of(what: str, seconds: float) -> float:
    """Return `seconds`; raise FlowError, beginning with `what`, unless it is a finite number above 0."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
        raise FlowError(f"{what}: {seconds!r} is not a number of seconds above 0")
    return float(seconds)
