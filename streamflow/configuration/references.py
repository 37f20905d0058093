"""Names of Python things in a configuration: `module:name`, or a builtin such as `str.upper`."""

from __future__ import annotations

import builtins
import difflib
import os
import re
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from streamflow.model.errors import FlowError


def is_reference(text: str) -> bool:
    """Tell whether `text` has the form of a reference.

    >>> is_reference("steps:normalise"), is_reference("str.upper"), is_reference("steps.normalise")
    (True, True, False)
    """
    module, colon, name = text.partition(":")
    if not colon:
        return _builtin(text) is not None
    return all(part.isidentifier() for part in [*module.split("."), *name.split(".")])


def load(reference: str, folder: str = "") -> Any:
    """Return what `reference` names, looking in `folder` first; FlowError says what is missing and what is near."""
    module_name, colon, name = reference.partition(":")
    if not is_reference(reference):
        raise FlowError(f"{reference!r}: expected MODULE:NAME, as in steps:normalise")
    if not colon:
        return _builtin(reference)
    _look_in(folder)
    module = _imported(module_name, reference, folder)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise FlowError(f"{reference!r}: {module_name} has no {part!r}{hint}")
        found = getattr(found, part)
    return found


def calling(call: Callable[[], Any], what: str) -> Any:
    """Return `call()`; FlowError says what the user's code raised, and on which of its lines."""
    try:
        return call()
    except (ModuleNotFoundError, FlowError):
        raise
    except (Exception, SystemExit, GeneratorExit) as error:  # also what would end us
        lines = [f"{frame.filename}, line {frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        where = [line for line in lines if not line.startswith(("<frozen", os.path.dirname(__file__)))]
        # Where the text cannot be parsed, the error has the place, and the frames are those of Python's importer.
        place = f" ({where[-1]})" if where and not isinstance(error, SyntaxError) else ""
        raise FlowError(f"{what}: {type(error).__name__}: {error}{place}") from error


def probably(text: str, folder: str) -> str:
    """Return the reference that was probably meant by `text`, which is none, or an empty text."""
    module, _, name = text.replace("/", ".").rpartition(".")
    if module in _BUILTINS:
        near = difflib.get_close_matches(name, _public(getattr(builtins, module)), n=1)
        return f"{module}.{near[0]}" if near else ""
    if module:
        guess = f"{module}:{name}"
        return guess if is_reference(guess) else ""
    return _defined(text, folder) or _ELSEWHERE.get(text.lower()) or _near_builtin(text) if text.isidentifier() else ""


#: Types as others call them.
_ELSEWHERE = {
    **dict.fromkeys(("integer", "long"), "int"),
    **dict.fromkeys(("number", "double", "real"), "float"),
    **dict.fromkeys(("string", "text"), "str"),
    **dict.fromkeys(("datetime", "timestamp"), "datetime:datetime.fromisoformat"),
    "date": "datetime:date.fromisoformat",
    "decimal": "decimal:Decimal",
}


def _defined(name: str, folder: str) -> str:
    """Return the reference to what a file of `folder` calls `name`, or an empty text."""
    defined = re.compile(rf"^(?:(?:async )?def|class) {re.escape(name)}\b|^{re.escape(name)} *=", re.MULTILINE)
    for path in sorted(Path(folder or ".").glob("*.py")):
        if defined.search(path.read_text(errors="replace")):
            return f"{path.stem}:{name}"
    return ""


def _near_builtin(name: str) -> str:
    near = difflib.get_close_matches(name, sorted(_BUILTINS), n=1, cutoff=0.75)
    return near[0] if near else ""


def _public(thing: Any) -> list[str]:
    return [name for name in dir(thing) if not name.startswith("_") and callable(getattr(thing, name, None))]


def _builtin(text: str) -> Any:
    found: Any = builtins
    for part in text.split("."):
        found = getattr(found, part, None) if not part.startswith("_") else None
    return found if callable(found) else None


#: What may be meant by a word alone; nobody means an exception.
_BUILTINS = frozenset(name for name in _public(builtins) if not name[0].isupper())


def _look_in(folder: str) -> None:
    """Have modules looked for in `folder` first; it stays on the path, since they may import others later."""
    place = os.path.abspath(folder) if folder else ""
    if place not in sys.path:
        sys.path.insert(0, place)


def _imported(module_name: str, reference: str, folder: str) -> Any:
    try:
        return calling(lambda: import_module(module_name), f"import {module_name}")
    except ModuleNotFoundError as error:
        if error.name is None or module_name.split(".")[0] != error.name.split(".")[0]:
            raise FlowError(f"{module_name}: it imports {error.name!r}, which is not installed") from error
        here = [name.removesuffix(".py") for name in os.listdir(folder or ".") if name.endswith(".py")]
        near = difflib.get_close_matches(module_name, here, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"is {module_name}.py in this folder?"
        raise FlowError(f"{reference!r}: there is no module {module_name!r} here or on the path; {hint}") from error
