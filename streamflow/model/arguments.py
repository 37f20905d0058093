"""Check what a user gives, where it is given, so that a mistake is found where it was made."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
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


#: The units in which an amount of memory is given.
UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
#: Bytes that an interpreter takes before it does anything: no smaller amount can be meant as a limit.
LEAST_MEMORY = 1 << 24


def seconds_of(what: str, seconds: object, *, zero: bool = False) -> float:
    """Return `seconds`; raise FlowError, beginning with `what`, unless it is a finite number above 0, or `zero`."""
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    # A NaN compares as false with everything, so that it is refused as well; and an int may be beyond all floats.
    if not is_number or not 0 <= seconds <= sys.float_info.max or (seconds == 0 and not zero):  # type: ignore[operator]
        raise FlowError(f"{what}: {seconds!r} is not a number of seconds {'from 0 on' if zero else 'above 0'}")
    return float(seconds)  # type: ignore[arg-type]


#: The units in which a stretch of time is given, in seconds.
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


def quantity(text: str) -> tuple[str, str] | None:
    """Return the number and the unit, in small letters, that `text` is made of, or None if it is not."""
    found = _QUANTITY.fullmatch(text)
    return (found[1], found[2].lower()) if found else None


def seconds_written(text: str) -> float | None:
    """Return the seconds that `text` says, or None if it says none.

    >>> seconds_written("0.5s"), seconds_written("2 min"), seconds_written("soon")
    (0.5, 120.0, None)
    """
    found = quantity(text)
    unit = SECONDS.get(found[1] or "s") if found else None
    return float(found[0]) * unit if found and unit else None


def duration_of(what: str, duration: object, *, zero: bool = False) -> float:
    """Return the seconds of `duration`: a number of them, a timedelta or text as "5s"; FlowError says what is wrong.

    >>> from datetime import timedelta
    >>> duration_of("size", "1m"), duration_of("size", timedelta(hours=2)), duration_of("size", 0.5)
    (60.0, 7200.0, 0.5)
    """
    if isinstance(duration, timedelta):
        return seconds_of(what, duration.total_seconds(), zero=zero)
    if isinstance(duration, str):
        found = seconds_written(duration)
        if found is None:
            raise FlowError(f"{what}: {duration!r} is no stretch of time; write it as in '5s' (us, ms, s, m, h, d)")
        return seconds_of(what, found, zero=zero)
    return seconds_of(what, duration, zero=zero)


def memory_of(what: str, amount: object, least: int | None = None) -> int:
    """Return the bytes of `amount`, a whole number of them or text such as "512MB"; FlowError says what is wrong.

    `least` is the smallest that makes sense, where it is no process that has to live with it.

    >>> memory_of("memory", "1.5 GB"), memory_of("memory", "512MiB"), memory_of("memory", 1 << 30)
    (1500000000, 536870912, 1073741824)
    """
    if isinstance(amount, str):
        found = _bytes_written(what, amount)
    else:
        try:
            found = index(amount)  # type: ignore[arg-type]  # that is the question
        except TypeError:
            found = -1
        if isinstance(amount, bool) or found < 0:
            raise FlowError(f"{what}: {amount!r} is no amount of memory; write it as in '512MB', or as a whole number")
    if least is not None and found < least:
        raise FlowError(f"{what}: {amount!r} is too little; give at least '{least >> 20}MiB'")
    if least is None and found < LEAST_MEMORY:
        meant = f"; did you mean '{found}MB'?" if 16 < found < 10**6 and not isinstance(amount, str) else ""
        raise FlowError(f"{what}: {amount!r} is less than Python itself takes; give at least '16MiB'{meant}")
    if found > sys.maxsize:
        raise FlowError(f"{what}: {amount!r} is more than this machine can count")
    return found


def _bytes_written(what: str, text: str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]*)\s*", text, re.ASCII)
    if match is None:
        raise FlowError(f"{what}: {text!r} is no amount of memory; write a number and a unit, as in '512MB'")
    number, unit = match.groups()
    if unit in UNITS:
        return int(min(float(number) * UNITS[unit], 2.0**64))  # so many digits that it is infinite: still too much
    alike = [known for known in UNITS if unit and known.lower() in (unit.lower(), unit.lower() + "b")]
    fix = f"did you mean '{number}{alike[0]}'?" if alike else f"write {number}MB, or one of {', '.join(UNITS)}"
    raise FlowError(f"{what}: {text!r} has {f'the unit {unit!r}, which is none' if unit else 'no unit'}; {fix}")
