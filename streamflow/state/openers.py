"""What a checkpoint calls to make values again, each under the name that stands in the file."""

from __future__ import annotations

import ipaddress
import pathlib
from collections import Counter
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from enum import Enum
from fractions import Fraction
from random import Random
from typing import Any, Final
from uuid import UUID, SafeUUID

from streamflow.state.names import TYPES, Missing, Opener, Refused, class_named, reduces_itself

_PATHS = {kind.__name__: kind for kind in (pathlib.PosixPath, pathlib.WindowsPath)}
_PURE = {kind.__name__: kind for kind in (pathlib.PurePosixPath, pathlib.PureWindowsPath)}
#: Small classes of the library that are made again of their text.
BY_TEXT: Final[dict[str, Any]] = {
    **_PATHS,
    **_PURE,
    **{
        kind.__name__: kind
        for kind in (
            *(ipaddress.IPv4Address, ipaddress.IPv4Network, ipaddress.IPv4Interface),
            *(ipaddress.IPv6Address, ipaddress.IPv6Network, ipaddress.IPv6Interface),
        )
    },
}


class Maker:
    """Make instances of one class that a checkpoint names, and be nothing else to pickle."""

    __slots__ = ("_fields", "_kind", "_make", "_opener")

    def __init__(
        self, opener: Opener, kind: type, make: Callable[..., Any], fields: tuple[str, ...] | None = None
    ) -> None:
        self._opener = opener
        self._fields = fields
        self._kind = kind
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        """Make one."""
        return self._make(*arguments)

    def __reduce__(self) -> tuple[Opener, tuple[Any, ...]]:
        named = (self._kind.__module__, self._kind.__qualname__)
        return self._opener, named if self._fields is None else (*named, self._fields)

    def __setstate__(self, state: object) -> None:
        raise Refused(f"it would change how {self._kind.__qualname__} is made")

    @property
    def kind(self) -> type:
        """Return the class."""
        return self._kind


def _instances(module: object, name: object) -> Maker:
    kind: Any = class_named(module, name)
    return Maker(instances, kind, lambda *arguments: kind.__new__(kind, *arguments))


def _instances_with(maker: Maker, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    kind: Any = _maker(maker).kind
    return kind.__new__(kind, *arguments, **named)


def _calls(module: object, name: object) -> Maker:
    kind = class_named(module, name)
    if not reduces_itself(kind):
        raise Refused(f"{kind.__qualname__} would be called, which it never asked for")
    return Maker(calls, kind, kind)


def _members(module: object, name: object) -> Maker:
    kind = class_named(module, name)
    if not issubclass(kind, Enum):
        raise Refused(f"{kind.__qualname__} is no Enum")
    return Maker(members, kind, kind)


def _structs(module: object, name: object, fields: tuple[str, ...]) -> Maker:
    import msgspec

    kind: Any = class_named(module, name)
    if not issubclass(kind, msgspec.Struct):
        raise Refused(f"{kind.__qualname__} is no Struct")
    _same_fields(kind, fields, kind.__struct_fields__)
    return struct_maker(kind)


def struct_maker(kind: Any) -> Maker:
    """Return what makes a Struct of the values of its fields."""
    fields = kind.__struct_fields__
    return Maker(structs, kind, lambda *values: kind(**dict(zip(fields, values, strict=True))), fields)


def _records(module: object, name: object, fields: tuple[str, ...]) -> Maker:
    kind = class_named(module, name)
    if not is_dataclass(kind):
        raise Refused(f"{kind.__qualname__} is no dataclass")
    _same_fields(kind, fields, tuple(field.name for field in dataclass_fields(kind)))
    return record_maker(kind)


def record_maker(kind: Any) -> Maker:
    """Return what makes a dataclass with slots of the values of its fields: by itself it would go by their order."""
    names = tuple(field.name for field in dataclass_fields(kind))

    def make(*values: Any) -> Any:
        made = kind.__new__(kind)
        for name, value in zip(names, values, strict=True):
            object.__setattr__(made, name, value)  # it may be frozen
        return made

    return Maker(records, kind, make, names)


def _same_fields(kind: type, written: object, known: tuple[str, ...]) -> None:
    if written != known:
        raise Missing(f"the fields of {kind.__module__}.{kind.__qualname__} were {written}, and are {known} by now")


def _maker(value: object) -> Maker:
    if not isinstance(value, Maker):
        raise Refused(f"a {type(value).__name__} stands for a class")
    return value


def _zone(key: str) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(key)


def _by_text(kind: str, text: str) -> Any:
    return BY_TEXT[kind](text)


def _random(state: tuple[Any, ...]) -> Random:
    generator = Random()
    generator.setstate(state)
    return generator


def _uuid(number: int, safe: int | None) -> UUID:
    return UUID(int=number, is_safe=SafeUUID(safe))


def _array(descr: Any, shape: tuple[int, ...], order: Any, data: bytes | bytearray) -> Any:
    from streamflow.state.arrays import array_over

    return array_over(descr, shape, order, data)


def _objects(shape: tuple[int, ...], items: list[Any]) -> Any:
    from streamflow.state.arrays import array_of

    return array_of(shape, items)


def _scalar(descr: Any, data: bytes) -> Any:
    from streamflow.state.arrays import array_over

    return array_over(descr, (), "C", data)[()]


def _text_scalar(text: str | bytes) -> Any:
    from streamflow.state.arrays import text_scalar

    return text_scalar(text)


def _dtype(descr: Any) -> Any:
    from streamflow.state.arrays import dtype_of

    return dtype_of(descr)


instances = Opener("instances", _instances)
instances_with = Opener("instances_with", _instances_with)
calls = Opener("calls", _calls)
members = Opener("members", _members)
structs = Opener("structs", _structs)
records = Opener("records", _records)
zone = Opener("zone", _zone)
by_text = Opener("by_text", _by_text)
random = Opener("random", _random)
uuid = Opener("uuid", _uuid)
fraction = Opener("fraction", lambda above, below: Fraction(above, below))
counter = Opener("counter", lambda counts: Counter(counts))
array = Opener("array", _array)
objects = Opener("objects", _objects)
scalar = Opener("scalar", _scalar)
text_scalar = Opener("text_scalar", _text_scalar)
dtype = Opener("dtype", _dtype)

#: Where the openers are found, by the names that stand in files.
MODULE: Final = "streamflow.state.openers"
#: All that pickle is handed, by module and name.
KNOWN: Final[dict[tuple[str, str], Any]] = {
    **{(kind.__module__, kind.__qualname__): kind for kind in TYPES},
    ("builtins", "Ellipsis"): Ellipsis,
    ("builtins", "NotImplemented"): NotImplemented,
    **{(MODULE, name): value for name, value in list(globals().items()) if isinstance(value, Opener)},
}
Opener.__module__ = MODULE  # pickle asks an opener where it is found
