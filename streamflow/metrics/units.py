"""Figures as a person reads them: three digits and a unit."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10
from typing import Literal

Kind = Literal["items", "items/s", "bytes", "bytes/s", "seconds", "per cent"]

_COUNTS = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"))
_BYTES = ((1.0, "B"), (2.0**10, "KiB"), (2.0**20, "MiB"), (2.0**30, "GiB"), (2.0**40, "TiB"))
#: The units of each kind, ascending, and how many of one there are in the first.
UNITS: dict[Kind, Sequence[tuple[float, str]]] = {
    "items": _COUNTS,
    "items/s": tuple((each, f"{unit}/s") for each, unit in _COUNTS),
    "bytes": _BYTES,
    "bytes/s": tuple((each, f"{unit}/s") for each, unit in _BYTES),
    "seconds": ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "d")),
    "per cent": ((1.0, "%"),),
}


def unit_of(value: float, kind: Kind) -> tuple[float, str]:
    """Return the largest unit that is not larger than `value`, or the smallest there is (of no time: a second)."""
    if kind == "seconds" and value <= 0:
        return 1.0, "s"
    fitting = [unit for unit in UNITS[kind] if unit[0] <= value]
    return fitting[-1] if fitting else UNITS[kind][0]


def written(value: float, kind: Kind) -> str:
    """Return `value` with three digits and its unit.

    >>> written(1_234_567, "items/s"), written(0, "bytes"), written(0.0000042, "seconds"), written(17.28, "per cent")
    ('1.23 M/s', '0 B', '4.2 µs', '17 %')
    """
    if kind == "per cent":
        return f"{value:.0f} %"
    size, unit = unit_of(float(f"{value:.3g}"), kind)
    figure = value / size
    return _joined(f"{figure:.3g}" if figure < 999.5 else f"{figure:,.0f}", unit)


def clock(seconds: float) -> str:
    """Return a span of time as one reads it off a clock, to the second.

    >>> clock(0.4), clock(61), clock(3_601), clock(200_000)
    ('0:00', '1:01', '1:00:01', '2 d 7:33:20')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if not hours:
        return f"{minute}:{second:02}"
    return f"{f'{days} d ' if days else ''}{hour}:{minute:02}:{second:02}"


def share(part: float, whole: float) -> float:
    """Return which part of `whole` it is, from 0 to 1."""
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0


def ticks(top: float, kind: Kind, most: int = 5) -> list[tuple[float, str]]:
    """Return round values from 0 to at least `top`, one unit for all, at most about `most` of them.

    >>> ticks(7_000, "items")
    [(0.0, '0'), (2000.0, '2 k'), (4000.0, '4 k'), (6000.0, '6 k'), (8000.0, '8 k')]
    """
    size, unit = unit_of(top, kind)
    step = round_step(top / size / (most - 1)) if top > 0 else 1.0
    if kind == "items" and size == 1.0:
        step = max(step, 1.0)
    count = max(1, ceil(top / size / step - 1e-9))
    values = [k * step for k in range(count + 1)]
    return [(value * size, _joined(f"{value:.10g}", unit) if value else "0") for value in values]


def round_step(width: float) -> float:
    """Return the smallest of 1, 2, 5 × 10ⁿ that is not smaller than `width`.

    >>> round_step(0.3), round_step(2), round_step(51)
    (0.5, 2.0, 100.0)
    """
    magnitude: float = 10.0 ** (ceil(log10(width)) - 1)
    return next(step for factor in (1, 2, 5, 10, 20) if (step := magnitude * factor) >= width * (1 - 1e-9))


def _joined(figure: str, unit: str) -> str:
    return f"{figure}{unit}" if unit.startswith("/") else f"{figure} {unit}".rstrip()
