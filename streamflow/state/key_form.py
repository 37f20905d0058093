"""Keys as bytes: equal keys have equal bytes, in this process and in the next one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, Final
from uuid import UUID
from zlib import crc32

from streamflow.model.errors import NotSerialisable
from streamflow.state.encoding import described_key

#: Into how many groups keys are divided; each is written to a checkpoint anew if one of its keys has changed.
GROUPS: Final = 256


def key_form(key: Any) -> bytes:
    """Return `key` as bytes; NotSerialisable names one that is more than plain values.

    >>> key_form(1) == key_form(1.0) == key_form(True)
    True
    """
    try:
        return _form(key)
    except TypeError as error:
        raise NotSerialisable(
            f"key {described_key(key)}: {error}; on the disk, keys are told apart by plain values: numbers, text, "
            f"bytes, dates, UUIDs, members of enumerations, and tuples, frozen sets and dataclasses of them"
        ) from error


def group_of(form: bytes) -> int:
    """Return the group of a key, by its bytes."""
    return crc32(form) % GROUPS


def _form(key: Any) -> bytes:
    form = _FORMS.get(key.__class__)
    if form is not None:
        return form(key)
    for kind, form in _FORMS.items():  # a subclass that is equal to what it is made from: a named tuple, an IntEnum
        if isinstance(key, kind) and key.__class__.__eq__ is kind.__eq__:  # type: ignore[comparison-overlap]  # slots of types
            return form(key)
    cls = type(key)
    name = f"{cls.__module__}.{cls.__qualname__}"
    if isinstance(key, Enum):
        return _joined(b"e", [name.encode(), key.name.encode()])
    if dataclasses.is_dataclass(key) and getattr(cls, "__dataclass_params__").eq:  # noqa: B009  # mypy knows it not
        fields = [getattr(key, field.name) for field in dataclasses.fields(key) if field.compare]
        return _joined(b"r", [name.encode(), *map(_form, fields)])
    raise TypeError(f"it is, or holds, a {name}")


def _joined(mark: bytes, forms: list[bytes]) -> bytes:
    return mark + b"".join(b"%d:%b" % (len(form), form) for form in forms)


def _whole(key: Any) -> bytes:
    return b"n%d" % key


def _number(key: Any) -> bytes:
    if key != key:
        return b"nan"
    if key in (math.inf, -math.inf):
        return b"n+" if key > 0 else b"n-"
    above, below = key.as_integer_ratio()
    return b"n%d" % above if below == 1 else b"n%d/%d" % (above, below)


def _complex(key: complex) -> bytes:
    return _number(key.real) if key.imag == 0 else _joined(b"c", [_number(key.real), _number(key.imag)])


def _moment(key: datetime) -> bytes:
    if key.utcoffset() is not None:
        return b"m" + key.astimezone(UTC).isoformat().encode()
    return b"l" + key.replace(tzinfo=None, fold=0).isoformat().encode()


def _clock_time(key: time) -> bytes:
    offset = key.utcoffset()
    if offset is None:
        return b"t" + key.replace(tzinfo=None, fold=0).isoformat().encode()
    since = timedelta(hours=key.hour, minutes=key.minute, seconds=key.second, microseconds=key.microsecond) - offset
    return b"z%d" % (since // timedelta(microseconds=1))


_FORMS: Final[dict[type, Callable[[Any], bytes]]] = {
    str: lambda key: b"s" + str.encode(key, "utf-8", "surrogatepass"),
    int: _whole,
    bool: _whole,
    float: _number,
    bytes: lambda key: b"b" + key,
    type(None): lambda key: b"0",
    tuple: lambda key: _joined(b"(", [_form(one) for one in key]),
    frozenset: lambda key: _joined(b"{", sorted(_form(one) for one in key)),
    complex: _complex,
    Fraction: _number,
    Decimal: _number,
    UUID: lambda key: b"u" + key.bytes,
    datetime: _moment,
    date: lambda key: b"d" + key.isoformat().encode(),
    time: _clock_time,
    timedelta: lambda key: b"i%d" % (key // timedelta(microseconds=1)),
}
