"""Values of a configuration against the annotations of the fields and arguments that they are for.

The vocabulary is that of our own dataclasses and methods: numbers, texts, choices, durations, paths, references,
policies. Every kind says what it takes, in words.
"""

from __future__ import annotations

import inspect
import os
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from streamflow.configuration.environment import Interpolated
from streamflow.configuration.places import Path
from streamflow.configuration.problem import nearest
from streamflow.configuration.references import is_reference, probably
from streamflow.executors.registry import EXECUTORS, load
from streamflow.model.arguments import quantity, seconds_written
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Executor, Sink
from streamflow.model.policies import DeadLetters, Retry

#: What a value that is wrong becomes; the mistake has been reported.
WRONG = object()

_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")

Report = Callable[[str, str, Path, str], None]


def size(text: str) -> int | None:
    """Return the bytes that `text` says, or None if it says none.

    >>> size("64 KiB"), size("1MB"), size("much")
    (65536, 1000000, None)
    """
    found = quantity(text)
    unit = _BYTES.get(found[1] or "b") if found else None
    return int(float(found[0]) * unit) if found and unit else None


def options_of(thing: Any) -> dict[str, Any]:
    """Return the names and annotations of what may be said about a dataclass, or given to a method."""
    if is_dataclass(thing):
        hints = get_type_hints(thing)
        return {field.name: hints[field.name] for field in fields(thing) if field.init and field.repr}
    hints = get_type_hints(thing, localns=_RUNTIME_NAMES)
    return {name: hints.get(name, Any) for name in inspect.signature(thing).parameters if name != "self"}


def required_of(method: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that a method cannot be called without.

    >>> def scan(self, function, initial, *, name=None): ...
    >>> required_of(scan)
    ['function', 'initial']
    """
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(method).parameters.values()
    return [one.name for one in parameters if one.name != "self" and one.kind in by_name and one.default is one.empty]


#: What modules import for type checkers only.
_RUNTIME_NAMES = {"os": os}


class Converter:
    """Turn values of a document into arguments, and report those that do not fit."""

    def __init__(
        self, report: Report, folder: str, refer: Callable[[str, Path, Any], Any], sink: Callable[[Any, Path], Any]
    ) -> None:
        self._report = report
        self._folder = folder
        self._refer = refer
        self._sink = sink

    def convert(self, value: Any, hint: Any, path: Path) -> Any:
        """Return `value` as an argument annotated `hint`, or WRONG."""
        members = _members(hint, path)
        fitting = [member for member in members if _fits(value, member)]
        if fitting:
            likely = min(fitting, key=lambda member: _rank(value, member))
            others = [member for member in members if member in (int, bool)]
            if get_origin(likely) is Literal and others:
                return self._choice_or(value, [str(one) for one in get_args(likely)], others, path)
            return self._as(value, likely, path)
        expected = " or ".join(dict.fromkeys(describe(member, path) for member in members))
        self._report("SF105", f"{_name(path)}: expected {expected}, not {_shown(value)}", path, _fix(value, members))
        return WRONG

    def _as(self, value: Any, member: Any, path: Path) -> Any:
        origin = get_origin(member) or member
        if origin is Literal:
            return self._choice(value, [str(one) for one in get_args(member)], path)
        if origin in (float, int):
            return self._number(value, origin, path)
        if origin is bool and isinstance(value, str):
            return self._truth(value, path)
        if origin is os.PathLike:
            return self.path(value)
        if origin in (Callable, type) or member is Any:
            return self._reference(value, path, origin)
        if origin is DeadLetters:
            return self._dead_letters(value, path)
        if origin is Sink:
            return self._sink(value, path)
        if origin is Executor:
            return self._place(value, path)
        if origin is Retry:
            return self.build(Retry, value, path, "retry")
        if origin is Mapping:
            return self._whole(
                {name: self.convert(one, get_args(member)[1], (*path, name)) for name, one in value.items()}
            )
        if origin in (Sequence, tuple):
            found = [self.convert(one, get_args(member)[0], (*path, n)) for n, one in enumerate(value)]
            return WRONG if WRONG in found else tuple(found)
        return value

    def path(self, text: str) -> str:
        """Return a path as it is to be opened: one that is relative is so to the folder of the file."""
        return text if text == "-" or "://" in text else os.path.join(self._folder, text)

    def build(self, kind: Any, table: Mapping[str, Any], path: Path, what: str) -> Any:
        """Return `kind(**table)`, a dataclass of ours, or WRONG."""
        options, whole = self.options(options_of(kind), table, path, what)
        whole = self.complete(_required(kind), options, table, path, what) and whole
        try:
            built = kind(**options) if whole or _required(kind) <= options.keys() else WRONG
        except FlowError as error:
            self.refused(error, path, options, whole)
            return WRONG
        return built if whole else WRONG

    def complete(
        self, required: Iterable[str], options: Mapping[str, Any], table: Mapping[str, Any], path: Path, what: str
    ) -> bool:
        """Tell whether `options` has all that is `required`; report what `table` has not, nor anything near it."""
        missing = [name for name in required if name not in options]
        for name in missing:
            if name not in table and not any(nearest(key, [name]) for key in table):
                self._report("SF103", f"{what}: {name!r} is missing", path, f"add {name} = ...")
        return not missing

    def options(
        self, known: Mapping[str, Any], table: Mapping[str, Any], path: Path, what: str
    ) -> tuple[dict[str, Any], bool]:
        """Return the arguments in `table` that can be, and whether these are all; the others are reported."""
        found: dict[str, Any] = {}
        for key, value in table.items():
            name = "type" if key == "item_type" else key
            if name not in known:
                self.unknown(key, [_written(one) for one in known], (*path, key), f"option {key!r} for {what}")
                continue
            converted = self.convert(value, known[name], (*path, key))
            if converted is not WRONG:
                found[name] = converted
        return found, len(found) == len(table)

    def unknown(self, key: str, known: Sequence[str], path: Path, what: str) -> None:
        """Report a key that there is not, with the nearest one that there is."""
        near = nearest(key, known)
        fix = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
        self._report("SF104", f"unknown {what}", path, fix)

    def refused(self, error: FlowError, path: Path, options: Mapping[str, Any], whole: bool) -> None:
        """Report what a constructor or a method has refused, at the option that it speaks of.

        Where the options are not the `whole` of what was written, only what is surely about one of them counts.
        """
        message = str(error)
        spoken = [name for name in options if re.search(rf"\b{name}\b", message)]
        if whole or spoken:
            self._report("SF106", message, (*path, _written(spoken[0])) if spoken else path, "")

    def _whole(self, found: dict[str, Any]) -> Any:
        return WRONG if any(value is WRONG for value in found.values()) else found

    def _choice(self, value: str, choices: Sequence[str], path: Path) -> Any:
        if value in choices:
            return value
        near = nearest(value, choices)
        listed = ", ".join(map(repr, choices))
        self._report(
            "SF106",
            f"{_name(path)}: {value!r} is none of {listed}",
            path,
            f"did you mean {near!r}?" if near else f"expected {listed}",
        )
        return WRONG

    def _choice_or(self, value: str, choices: Sequence[str], others: Sequence[Any], path: Path) -> Any:
        """Return a choice where numbers or truths may stand too."""
        if value in choices:
            return value
        also = ["a whole number from 1 on" if other is int else "true or false" for other in others]
        expected = " or ".join([*also, *map(repr, choices)])
        near = nearest(value, choices)
        digits = f"write {int(value)}, without quotes" if int in others and value.strip().isdecimal() else ""
        fix = f"did you mean {near!r}?" if near else digits or _fix(value, others) or f"expected {expected}"
        self._report("SF106", f"{_name(path)}: {value!r} is neither {expected}", path, fix)
        return WRONG

    def _number(self, value: Any, kind: type, path: Path) -> Any:
        if not isinstance(value, str):
            return float(value) if kind is float else value
        found = seconds_written(value) if kind is float else size(value) if _counts_bytes(path) else _digits(value)
        if found is None:
            expected = f"expected {describe(kind, path)}, not {_shown(value)}"
            gave = f"with its variable this is {str(value)!r}, which is no number"
            fix = gave if isinstance(value, Interpolated) else _example(kind, path)
            self._report("SF105", f"{_name(path)}: {expected}", path, fix)
            return WRONG
        return found

    def _truth(self, value: str, path: Path) -> Any:
        if value.lower() in ("true", "false"):
            return value.lower() == "true"
        self._report("SF105", f"{_name(path)}: expected true or false, not {_shown(value)}", path, "")
        return WRONG

    def _reference(self, value: str, path: Path, wanted: Any) -> Any:
        if is_reference(value):
            return self._refer(value, path, wanted)
        guess = probably(value, self._folder)
        hint = f"did you mean {guess!r}?" if guess else "as in 'steps:normalise'"
        self._report("SF108", f"{_name(path)}: {value!r} is no reference; expected 'module:name'", path, hint)
        return WRONG

    def _place(self, table: Mapping[str, Any], path: Path) -> Any:
        """Return where functions run: `{ processes = 2 }`, or all the arguments, `{ processes = { count = 2 } }`."""
        for key in table:
            if key not in EXECUTORS:
                self.unknown(key, list(EXECUTORS), (*path, key), f"place {key!r}")
        names = [key for key in table if key in EXECUTORS]
        if len(names) > 1:
            message = f"functions run in one place, this has {' and '.join(map(repr, names))}"
            self._report("SF110", message, (*path, names[1]), "leave one of them out")
        if not table:
            self._report("SF103", f"{_name(path)}: it names no place", path, f"known: {', '.join(EXECUTORS)}")
        found = [self._described(name, table[name], (*path, name)) for name in names]
        return found[0] if len(found) == len(table) == 1 else WRONG

    def _described(self, name: str, value: Any, path: Path) -> Any:
        """Return the place that the function `name` describes; a value that is no table is its first argument."""
        function = load(name)
        known = options_of(function)
        first, *others = known
        if isinstance(value, Mapping):
            options, whole = self.options(known, value, path, f"place {name!r}")
            whole = self.complete(required_of(function), options, value, path, f"place {name!r}") and whole
        elif any(_fits(value, member) for member in _members(known[first], path)):
            converted = self.convert(value, known[first], path)
            options, whole = {first: converted}, converted is not WRONG
        else:
            expected = " or ".join(describe(member, path) for member in _members(known[first], path))
            message = f"{name}: expected {expected} ({first}) or a table of {', '.join(known)}, not {_shown(value)}"
            inner = ", ".join(f"{one} = ..." for one in [first, *others[:1]])
            self._report("SF105", message, path, f"as in {{ {name} = {{ {inner} }} }}")
            return WRONG
        if not (whole or set(required_of(function)) <= options.keys()) or WRONG in options.values():
            return WRONG
        try:
            place = function(**options)
        except FlowError as error:
            self.refused(error, path, options, whole)
            return WRONG
        return place if whole else WRONG

    def _dead_letters(self, table: Mapping[str, Any], path: Path) -> Any:
        for key in table:
            if key != "dead_letter":
                self.unknown(key, ["dead_letter"], (*path, key), f"key {key!r} of on_error")
        if "dead_letter" not in table:
            return WRONG
        sink = self._sink(table["dead_letter"], (*path, "dead_letter"))
        return WRONG if sink is WRONG else DeadLetters(sink)


def _required(kind: Any) -> set[str]:
    return {field.name for field in fields(kind) if field.init and field.default is field.default_factory is MISSING}


def describe(member: Any, path: Path = ()) -> str:
    """Say in words what an annotation takes."""
    origin = get_origin(member) or member
    if origin is Literal:
        return " or ".join(map(repr, get_args(member)))
    if origin is int:
        return "a number of bytes (as 65536, or '64KiB')" if _counts_bytes(path) else "a whole number"
    if origin in (Sequence, tuple):
        return f"a list of {describe(get_args(member)[0], path)}s".replace("a list of a ", "a list of ")
    return _IN_WORDS.get(origin, "a value")


_IN_WORDS: dict[Any, str] = {
    bool: "true or false",
    float: "seconds (a number, or text as '0.5s')",
    str: "a text",
    os.PathLike: "a path",
    Callable: "a reference 'module:name'",
    type: "a reference 'module:name'",
    Any: "a reference 'module:name'",
    DeadLetters: "{ dead_letter = PATH }",
    Retry: "{ attempts = 3 }",
    Mapping: "a table of references",
    Sink: "the table of a sink",
    Executor: "a place as { processes = 2 }",
}


def _members(hint: Any, path: Path) -> list[Any]:
    """Return what a union is of, without None: TOML has none, a key is left out instead."""
    if isinstance(hint, TypeVar):
        return [object]
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    kept = [member for member in members if member is not type(None)]
    # A text for a path is a path, and one for a number of bytes says how many.
    meant = any(get_origin(one) is os.PathLike for one in kept) or (int in kept and _counts_bytes(path))
    return [member for member in kept if not (member is str and meant)]


def _fits(value: Any, member: Any) -> bool:
    """Tell whether `value` has the shape of what `member` takes; whether it can be is asked later."""
    origin = get_origin(member) or member
    if origin is object:
        return True
    if isinstance(value, bool):
        return origin is bool
    if isinstance(value, str):
        number = origin is float or origin is int or (origin is bool and isinstance(value, Interpolated))
        return number or origin in (Literal, str, os.PathLike, Callable, Any, type)
    if isinstance(value, dict):
        return origin in (DeadLetters, Retry, Mapping, Sink, Executor)
    if isinstance(value, list):
        return origin in (Sequence, tuple)
    return origin is float or (origin is int and isinstance(value, int))


def _rank(value: Any, member: Any) -> int:
    """Order what a text could be: a choice that there is, then anything but a number."""
    origin = get_origin(member) or member
    if origin is Literal:
        return 0 if value in get_args(member) else 1
    return 2 if origin not in (int, float) else 0 if isinstance(value, Interpolated) else 3


def _digits(value: str) -> int | None:
    """Return the whole number in a text in which a variable was put; any other text is none."""
    return int(value) if isinstance(value, Interpolated) and _WHOLE.fullmatch(value) else None


def _counts_bytes(path: Path) -> bool:
    return bool(path) and (str(path[-1]).endswith("bytes") or path[-1] in ("chunk", "memory", "arena"))


def _example(kind: type, path: Path) -> str:
    if kind is float:
        return "units: us, ms, s, m, h, d"
    return "units: B, KB, MB, GB, KiB, MiB, GiB" if _counts_bytes(path) else "write the number without quotes"


def _fix(value: Any, members: Sequence[Any]) -> str:
    """Return what was probably meant by a value of the wrong kind."""
    origins = [get_origin(member) or member for member in members]
    if bool in origins and isinstance(value, str) and value.lower() in ("true", "yes", "on", "false", "no", "off"):
        return f"write {'true' if value.lower() in ('true', 'yes', 'on') else 'false'}"
    if any(origin in (Sequence, tuple) for origin in origins) and isinstance(value, str):
        return f'write ["{value}"]'
    if Executor in origins and type(value) is int and value > 0:
        return f"write {{ processes = {int(value)} }}"
    if int in origins and isinstance(value, (bool, float)):
        return "write a whole number" + (f": {int(value)}" if _is_whole(value) else "")
    if not isinstance(value, (str, list, dict)) and any(origin in (str, os.PathLike) for origin in origins):
        return f'write "{_shown(value)}"'
    return ""


def _is_whole(value: float) -> bool:
    return not isinstance(value, bool) and value.is_integer() and abs(value) < 1e15


def _written(name: str) -> str:
    """Return the key of a dataclass's field: `type` names the part itself."""
    return "item_type" if name == "type" else name


def _name(path: Path) -> str:
    return str(next((part for part in reversed(path) if isinstance(part, str)), "the document"))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return repr(str(value)) if isinstance(value, str) else repr(value)
