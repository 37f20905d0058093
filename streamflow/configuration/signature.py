"""What an operator calls a function of the user's with, against what the function takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

_ITEM_ALONE = ("map", "filter", "tap", "flat_map", "take_while", "drop_while", "distinct")


def mismatch(word: str, function: Callable[..., Any], options: Mapping[str, Any]) -> str:
    """Return what is wrong with `function` as that of the operator `word`, or an empty text.

    What has no signature to be looked at, as some builtins, is taken.

    >>> mismatch("map", lambda x, y: x, {}), mismatch("map", lambda x, y: x, {"with_position": True})
    ('it is called with (item), and takes (x, y)', '')
    """
    given = _given(word, options)
    if not given:
        return ""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*given)
    except TypeError:
        names = inspect.Signature([one.replace(annotation=one.empty) for one in signature.parameters.values()])
        return f"it is called with ({', '.join(given)}), and takes {names}"
    return ""


def _given(word: str, options: Mapping[str, Any]) -> list[str]:
    """Return in words the arguments that the operator calls its function with."""
    if word == "scan":
        return ["value", "item"]
    if word not in _ITEM_ALONE:
        return []
    resource = ["resource"] if options.get("resource") is not None else []
    return ["item", *resource, *(["position"] if options.get("with_position") else [])]
