"""How values are taken apart for a checkpoint: a way for each type, in such a form that it can be opened again."""

from __future__ import annotations

import copyreg
import dataclasses
import reprlib
import sys
import types
from collections import Counter
from collections.abc import Callable
from enum import Enum
from fractions import Fraction
from random import Random
from typing import Any, Final
from uuid import UUID

from streamflow.state import openers
from streamflow.state.names import TYPES, Opener, Refused, class_named, of_library, reduces_itself

Way = Callable[[Any], Any]
#: By which pickle says that it makes an instance, without and with named arguments.
_NEW: Final = vars(copyreg)["__newobj__"]
_NEW_WITH: Final = vars(copyreg)["__newobj_ex__"]
#: By which a frozen dataclass with slots gives its values, without their names.
_SLOTTED: Final = vars(dataclasses).get("_dataclass_getstate")


def _as_it_is(value: Any) -> Any:
    """Leave it to pickle."""
    return NotImplemented


def _class(value: type) -> Any:
    if value in TYPES:
        return NotImplemented
    raise Refused(f"{described(value)} cannot be written down, as its name could")


def _zone(zone: Any) -> Any:
    if zone.key is None:
        raise Refused(f"{described(zone)} has no key, by which it could be found again")
    return openers.zone, (zone.key,)


def _by_text(value: Any) -> Any:
    return openers.by_text, (type(value).__name__, str(value))


_WAYS: Final[dict[type, Way]] = {
    **dict.fromkeys(TYPES, _as_it_is),
    **dict.fromkeys((Opener, openers.Maker, type(...), type(NotImplemented)), _as_it_is),
    **dict.fromkeys(openers.BY_TEXT.values(), _by_text),
    Fraction: lambda value: (openers.fraction, (value.numerator, value.denominator)),
    UUID: lambda value: (openers.uuid, (value.int, value.is_safe.value)),
    Counter: lambda value: (openers.counter, (dict(value),)),
    Random: lambda value: (openers.random, (value.getstate(),)),
    type: _class,
}


def ways() -> dict[type, Way]:
    """Return the ways of the types that are known beforehand; others are added as they are met."""
    return _WAYS.copy()


def way_of(kind: type) -> Way:
    """Return how instances of a class are taken apart; Refused if a checkpoint of them could not be opened."""
    if issubclass(kind, type):
        return _class
    if (kind.__module__, kind.__qualname__) == ("zoneinfo", "ZoneInfo"):
        return _zone
    if (numpy := sys.modules.get("numpy")) is not None and (way := _way_of_numpy(kind, numpy)) is not None:
        return way
    if of_library(kind) and not issubclass(kind, Enum):
        return _refuse
    if class_named(kind.__module__, kind.__qualname__) is not kind:
        raise Refused(f"{kind.__module__}.{kind.__qualname__} is another class by now: it was defined twice")
    if issubclass(kind, Enum):
        member = openers.Maker(openers.members, kind, kind)
        return lambda value: (member, (value.value,))
    if (msgspec := sys.modules.get("msgspec")) is not None and issubclass(kind, msgspec.Struct):
        return _way_of_struct(kind)
    if "__getstate__" in vars(kind) and kind.__getstate__ is _SLOTTED:
        return _way_of_slotted(kind)
    return _way_of_instance(kind)


def _refuse(value: Any) -> Any:
    raise Refused(f"{described(value)} cannot be written down")


def _way_of_struct(kind: Any) -> Way:
    maker = openers.struct_maker(kind)
    fields = kind.__struct_fields__
    return lambda value: (maker, tuple([getattr(value, field) for field in fields]))


def _way_of_slotted(kind: Any) -> Way:
    maker = openers.record_maker(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    return lambda value: (maker, tuple([getattr(value, name) for name in names]))


def _way_of_instance(kind: type) -> Way:
    """Return the way of pickle's, the class replaced by what makes its instances when the checkpoint is opened."""
    maker = openers.Maker(openers.instances, kind, kind)
    caller = openers.Maker(openers.calls, kind, kind)
    called = reduces_itself(kind)

    def take_apart(value: Any) -> Any:
        reduced = value.__reduce_ex__(5)
        if isinstance(reduced, str):
            raise Refused(f"{described(value)} is written as the name {reduced}, which is not looked up")
        make, arguments, *rest = reduced
        if len(rest) > 3 and rest[3] is not None:
            raise Refused(f"{described(value)} wants a function called with its state, which is not done")
        if make is _NEW and arguments[0] is kind:
            return maker, arguments[1:], *rest
        if make is _NEW_WITH and arguments[0] is kind:
            return openers.instances_with, (maker, *arguments[1:]), *rest
        if make is kind and called:
            return caller, arguments, *rest
        if make in TYPES:
            return reduced
        raise Refused(f"{described(value)} is made by {described(make)}, which no checkpoint may call")

    return take_apart


# NumPy: looked up, never imported. Without it there are no arrays.


def _way_of_numpy(kind: type, numpy: Any) -> Way | None:
    if kind is numpy.ndarray:
        return _array
    if issubclass(kind, numpy.dtype):
        return lambda value: (openers.dtype, (_description(value),))
    if kind in (numpy.str_, numpy.bytes_):
        base = str if kind is numpy.str_ else bytes
        return lambda value: (openers.text_scalar, (base(value),))
    if issubclass(kind, numpy.generic):
        return lambda value: (openers.scalar, (_description(value.dtype), value.tobytes()))
    return None


def _description(dtype: Any) -> Any:
    from streamflow.state.arrays import described as describe

    return describe(dtype)


def _array(array: Any) -> Any:
    if array.dtype == object:
        return openers.objects, (array.shape, list(array.flat))
    descr = _description(array.dtype)
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    data = array.tobytes(order)
    return openers.array, (descr, array.shape, order, bytearray(data) if array.flags.writeable else data)


# What it is, in a few words.

_NAMES: Final = {
    types.FunctionType: "function",
    types.BuiltinFunctionType: "function",
    types.MethodType: "method",
    types.ModuleType: "module",
    types.AsyncGeneratorType: "asynchronous generator",
}


def described(value: Any) -> str:
    """Return what a value is, with a short form of it."""
    if isinstance(value, types.LambdaType) and value.__name__ == "<lambda>":
        return "a lambda"
    kind = type(value)
    name = "class" if isinstance(value, type) else _NAMES.get(kind, kind.__qualname__)
    try:
        shown = reprlib.repr(value)
    except Exception:
        shown = "it has no repr"
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name} ({shown})"
