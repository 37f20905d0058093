"""Check what a user gives, where it is given, so that a mistake is found where it was made."""

from __future__ import annotations

import sys
from operator import index

from streamflow.model.errors import FlowError


def whole_number(what: str, number: object, least: int) -> int:
    """Return `number`; raise FlowError, beginning with `what`, unless it is a whole number from `least` on."""
    try:
        found = index(number)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        found = least - 1
    if isinstance(number, bool) or found < least:
        raise FlowError(f"{what}: {number!r} is not a whole number from {least} on") from None
    if found > sys.maxsize:
        raise FlowError(f"{what}: {number!r} is more than this machine can count")
    return found


def seconds_of(what: str, seconds: object, *, zero: bool = False) -> float:
    """Return `seconds`; raise FlowError, beginning with `what`, unless it is a finite number above 0, or `zero`."""
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    # A NaN compares as false with everything, so that it is refused as well.
    if not is_number or not 0 <= seconds < float("inf") or (seconds == 0 and not zero):  # type: ignore[operator]
        raise FlowError(f"{what}: {seconds!r} is not a number of seconds {'from 0 on' if zero else 'above 0'}")
    return float(seconds)  # type: ignore[arg-type]
