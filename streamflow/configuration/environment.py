"""Variables of the environment in values: only those that are allowed, and only as text within a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

#: Variables whose names begin so may always be used: they were made for it.
PREFIX = "STREAMFLOW_"

_USE = re.compile(r"\$(?:\$|\{([^}]*)\}|)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


class Interpolated(str):
    """Be a text in which a variable was put: where a number is expected, it may be read as one."""

    __slots__ = ()


class Environment:
    """Put variables into texts: `${NAME}`, `${NAME:-otherwise}`; `$$` is a dollar sign."""

    def __init__(self, variables: Mapping[str, str], allowed: Collection[str] = ()) -> None:
        self._variables = variables
        self._allowed = frozenset(allowed)

    def put_into(self, text: str, report: Callable[[str, str], object]) -> str:
        """Return `text` with its variables; tell `report` what is wrong and how to mend it."""
        if "$" not in text:
            return text
        put = _USE.sub(lambda found: self._value(found, report), text)
        return Interpolated(put) if "${" in text else put

    def _value(self, found: re.Match[str], report: Callable[[str, str], object]) -> str:
        whole, inner = found[0], found[1]
        if whole == "$$":
            return "$"
        named = _NAME.fullmatch(inner) if inner is not None else None
        if named is None:
            report(f"{whole!r} names no variable", "write ${NAME}, ${NAME:-otherwise}, or $$ for a dollar sign")
            return whole
        name, otherwise = named.groups()
        if not (name.startswith(PREFIX) or name in self._allowed):
            report(
                f"the variable {name} may not be used here",
                f"allow it: --env {name}, or give it a name that begins with {PREFIX}",
            )
            return whole
        value = self._variables.get(name, otherwise)
        if value is None:
            report(f"the variable {name} is not set", f"set it, or write ${{{name}:-otherwise}}")
            return whole
        return value
