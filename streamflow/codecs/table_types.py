"""What columns hold: the type that fits two of them, and values that a type would take and change."""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Any

from streamflow.codecs.arrow import arrow


def joined(path: str, one: Any, other: Any) -> Any:
    """Return the type that holds the values of both, none changed but whole numbers among fractions.

    Raises TypeError, naming `path`, if there is none.
    """
    types = arrow().types
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if types.is_struct(one) and types.is_struct(other):
        return arrow().struct(joined_fields(path, list(one), list(other)))
    if types.is_list(one) and types.is_list(other):
        return arrow().list_(joined(f"{path}[]", one.value_type, other.value_type))
    if {str(one), str(other)} == {"int64", "double"}:
        return arrow().float64()
    if types.is_decimal(one) and types.is_decimal(other):
        fields = [arrow().schema([("value", type)]) for type in (one, other)]
        return arrow().unify_schemas(fields, promote_options="permissive").field(0).type
    raise TypeError(f"column {path!r}: {other} where the records before have {one}")


def joined_fields(path: str, ones: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Return the fields of both, those that only `others` has behind."""
    found = {field.name: field for field in ones}
    for field in others:
        name = f"{path}.{field.name}" if path else field.name
        before = found.get(field.name)
        type = field.type if before is None else joined(name, before.type, field.type)
        found[field.name] = arrow().field(field.name, type)
    return list(found.values())


def refuse_change(path: str, field: Any, values: Sequence[Any]) -> None:
    """Raise ValueError or TypeError, naming `path`, for a value that pyarrow would take for `field` and change.

    It takes text for bytes, fractions for whole numbers and numbers for times, cuts off what is finer than the unit of
    a time, drops a time zone, and the fields of a dict that a struct has not; and it asks nobody whether None is
    allowed. Only a fraction that `float32` rounds is left to it.
    """
    type = field.type.value_type if arrow().types.is_dictionary(field.type) else field.type
    classes = set(map(_class, values))
    if _NONE in classes:
        classes.discard(_NONE)
        if not field.nullable:
            raise ValueError(f"column {path!r} may not be None")
    for one in classes:
        if not _may_hold(type, one):
            raise TypeError(f"column {path!r}, {type}: not for {one.__qualname__}; convert it in a .map(...)")
    types = arrow().types
    if types.is_struct(type):
        _refuse_in_struct(path, type, [value for value in values if value is not None])
    elif types.is_list(type) or types.is_large_list(type) or types.is_fixed_size_list(type):
        refuse_change(f"{path}[]", type.value_field, list(chain.from_iterable(filter(_is_some, values))))
    elif types.is_temporal(type) and not types.is_date(type):
        _refuse_in_times(path, type, values)


_NONE = type(None)
_BYTES = (bytes, bytearray, memoryview)
#: The classes whose values a type keeps as they are, by the question that pyarrow's `types` answers for the type.
_HELD: dict[str, tuple[type, ...]] = {
    "is_boolean": (bool,),
    "is_integer": (numbers.Integral,),
    "is_floating": (numbers.Real,),
    "is_decimal": (Decimal, numbers.Integral),
    "is_string": (str,),
    "is_large_string": (str,),
    "is_string_view": (str,),
    "is_binary": _BYTES,
    "is_large_binary": _BYTES,
    "is_fixed_size_binary": _BYTES,
    "is_binary_view": _BYTES,
    "is_date": (datetime.date,),
    "is_timestamp": (datetime.datetime,),
    "is_time": (datetime.time,),
    "is_duration": (datetime.timedelta,),
    "is_struct": (dict,),
    "is_list": (list, tuple),
    "is_large_list": (list, tuple),
    "is_fixed_size_list": (list, tuple),
}
#: What numpy has for those that are none of Python's.
_OF_NUMPY = {
    "bool": "is_boolean",
    "bool_": "is_boolean",
    "datetime64": "is_timestamp",
    "timedelta64": "is_duration",
    "ndarray": "is_list",
}
#: Microseconds in a unit of time that is coarser.
_COARSE = {"s": 1_000_000, "ms": 1000}


def _class(value: Any) -> type:
    return type(value)


def _is_some(value: Any) -> bool:
    return value is not None


@lru_cache(4096)
def _may_hold(type: Any, one: type) -> bool:
    """Tell whether a type keeps the values of a class; of a type that is not known here, pyarrow judges."""
    question = next((name for name in _HELD if getattr(arrow().types, name, _no)(type)), None)
    if question is None:
        return True
    if one.__module__ == "numpy" and one.__name__ in _OF_NUMPY:
        return _OF_NUMPY[one.__name__] == question.replace("fixed_size_", "").replace("large_", "")
    if question == "is_date" and issubclass(one, datetime.datetime):
        return False
    return issubclass(one, _HELD[question]) and (question == "is_boolean" or not issubclass(one, bool))


def _no(type: Any) -> bool:
    return False


def _refuse_in_struct(path: str, type: Any, values: list[dict[Any, Any]]) -> None:
    names = [field.name for field in type]
    unknown = set[Any]().union(*values) - set(names)
    if unknown:
        raise ValueError(f"column {path!r} has fields {names}; unknown: {sorted(map(str, unknown))}")
    for field in type:
        refuse_change(f"{path}.{field.name}", field, [value.get(field.name) for value in values])


def _refuse_in_times(path: str, type: Any, values: Sequence[Any]) -> None:
    zoned = getattr(type, "tz", None) is not None
    coarse = _COARSE.get(getattr(type, "unit", ""), 1)
    for value in values:
        if isinstance(value, datetime.datetime) and (value.tzinfo is not None) != zoned:
            found = "no time zone" if zoned else "a time zone"
            raise TypeError(f"column {path!r}, {type}: not for a datetime with {found}; convert it in a .map(...)")
        fine = getattr(value, "microseconds", getattr(value, "microsecond", 0))
        if coarse > 1 and fine % coarse:
            raise ValueError(f"column {path!r}, {type}: {value!r} is finer than that")
