"""What a checkpoint may name: harmless types of Python's, our own openers, and classes that are not of the library.

Who can write to a checkpoint must not thereby run what he likes. So pickle is handed no function but our openers, and
no type but those of C which do nothing when they are called and cannot be changed. A user's class is never handed
out: an opener makes its instances, by the name of the class, and never calls its `__init__`.
"""

from __future__ import annotations

import builtins
import datetime
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any, Final

_EXCEPTIONS = [
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, BaseException) and kind is not ExceptionGroup  # it can be changed
]
#: Types whose instances pickle writes by itself, and which may stand for themselves (`defaultdict(list)`).
TYPES: Final = frozenset[type](
    [
        *(object, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, range, slice),
        *(datetime.date, datetime.time, datetime.datetime, datetime.timedelta, datetime.timezone),
        *(deque, defaultdict, OrderedDict, Decimal, SimpleNamespace),
        *_EXCEPTIONS,
    ]
)
#: Modules of the standard library from whose classes a user's class may be derived.
_BASES: Final = frozenset(
    [
        *("builtins", "abc", "typing", "enum", "collections", "collections.abc", "datetime", "decimal", "fractions"),
        *("numbers", "uuid", "pathlib", "pathlib._local", "ipaddress", "types", "random", "_random"),
    ]
)


class Refused(Exception):
    """Say why a name is not looked up, or a value not written: `culprit`, once it is known."""

    culprit: Any = None


class Missing(Refused):
    """Say that a class is not there, under a name that would be allowed."""


class Opener:
    """Be a function that a checkpoint may name: pickle can call it, and do nothing else to it."""

    __slots__ = ("_call", "_name")

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        self._name = name
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        """Do it."""
        return self._call(*arguments)

    def __reduce__(self) -> str:
        return self._name

    def __setstate__(self, state: object) -> None:
        raise Refused(f"it would change {self._name}, which belongs to streamflow")


def class_named(module: object, name: object) -> type:
    """Return the class of a module that is imported already; Refused says why it is not handed on.

    Nothing is imported and no attribute is asked for, so that no code runs.
    """
    if not isinstance(module, str) or not isinstance(name, str):
        raise Refused("a class is named by something else than two texts")
    shown = f"{module}.{name}"
    if "<locals>" in name:
        raise Refused(f"{shown} is defined in a function: define it at the top of its module")
    scope: Any = sys.modules.get(module)
    if not isinstance(scope, ModuleType):
        raise Missing(f"the module of {shown} is not imported: import {module} where the flow is described")
    for depth, part in enumerate(name.split(".")):
        if depth and not isinstance(scope, type):
            raise Refused(f"{shown} is no class of {module}")
        scope = vars(scope).get(part)
        if scope is None:
            raise Missing(f"there is no {shown} any more")
    if not isinstance(scope, type) or issubclass(scope, type):
        raise Refused(f"{shown} is no class")
    if vars(scope).get("__module__") != module or scope.__qualname__ != name:
        raise Refused(f"{shown} is another name of {scope.__module__}.{scope.__qualname__}")
    if not issubclass(scope, Enum):
        _refuse_library(scope, shown)
    return scope


def _refuse_library(kind: type, shown: str) -> None:
    if kind.__module__ in ("streamflow.state.names", "streamflow.state.openers"):
        raise Refused(f"{shown} is what checkpoints are opened with")
    if of_library(kind):
        raise Refused(f"{shown} is of Python's library, and none of those that a checkpoint may hold")
    for base in kind.__mro__[1:]:
        if of_library(base) and base.__module__ not in _BASES:
            raise Refused(f"{shown} is derived from {base.__module__}.{base.__qualname__}")


def of_library(kind: type) -> bool:
    """Tell whether a class is of Python's own library."""
    return kind.__module__.partition(".")[0] in sys.stdlib_module_names


def reduces_itself(kind: type) -> bool:
    """Tell whether a class says by itself how it is pickled, so that it expects to be called with what it has said."""
    plain: type[Any] = object
    return kind.__reduce__ is not plain.__reduce__ or kind.__reduce_ex__ is not plain.__reduce_ex__
