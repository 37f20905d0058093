"""What columns hold: the type that fits two of them, and values that a type would take and change."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from streamflow.codecs.arrow import arrow

_BYTES = (bytes, bytearray, memoryview)


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

    It takes bytes as text and text as bytes, drops the fields of a dict that a struct has not, the time of a
    datetime that becomes a date, and a time zone; and it asks nobody whether None is allowed.
    """
    types, type = arrow().types, field.type
    classes = set(map(_class, values))
    if not field.nullable and _NONE in classes:
        raise ValueError(f"column {path!r} may not be None")
    classes.discard(_NONE)
    if types.is_struct(type):
        _refuse_in_struct(path, type, [value for value in values if value is not None])
    elif types.is_list(type) or types.is_large_list(type) or types.is_fixed_size_list(type):
        refuse_change(f"{path}[]", type.value_field, _flat(values))
    elif types.is_string(type) or types.is_large_string(type):
        _refuse(path, type, (one for one in classes if issubclass(one, _BYTES)))
    elif types.is_binary(type) or types.is_large_binary(type) or types.is_fixed_size_binary(type):
        _refuse(path, type, (one for one in classes if issubclass(one, str)))
    elif types.is_date(type):
        _refuse(path, type, (one for one in classes if issubclass(one, datetime.datetime)))
    elif types.is_timestamp(type):
        _refuse_other_zone(path, type, values)


_NONE = type(None)


def _class(value: Any) -> type:
    return type(value)


def _flat(values: Iterable[Any]) -> list[Any]:
    """Return the elements of all lists; what is no list is left to pyarrow, which says so."""
    return list(chain.from_iterable(value for value in values if isinstance(value, (list, tuple))))


def _refuse(path: str, type: Any, classes: Iterable[type]) -> None:
    for one in classes:
        raise TypeError(f"column {path!r}, {type}: {one.__qualname__} would be changed; convert it in a .map(...)")


def _refuse_in_struct(path: str, type: Any, values: list[Any]) -> None:
    dicts = [value for value in values if isinstance(value, dict)]
    names = [field.name for field in type]
    unknown = set[Any]().union(*dicts) - set(names)
    if unknown:
        raise ValueError(f"column {path!r} has fields {names}; unknown: {sorted(map(str, unknown))}")
    for field in type:
        refuse_change(f"{path}.{field.name}", field, [value.get(field.name) for value in dicts])


def _refuse_other_zone(path: str, type: Any, values: Sequence[Any]) -> None:
    for value in values:
        if isinstance(value, datetime.datetime) and (value.tzinfo is None) != (type.tz is None):
            found = "no time zone" if value.tzinfo is None else "a time zone"
            raise TypeError(f"column {path!r}, {type}: a datetime with {found} would be changed")
