"""What a user's callable is: whether calling it gives an awaitable, and what to call it in a report."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from streamflow.model.errors import FlowError


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether `function` is declared so that calling it gives an awaitable.

    It looks through `functools.partial`, bound methods and callable objects with an async `__call__`. A plain
    function that merely returns an awaitable is not seen here: the first item shows it.

    >>> async def fetch(key: str) -> bytes: ...
    >>> is_async(functools.partial(fetch, "a")), is_async(len)
    (True, False)
    """
    return inspect.iscoroutinefunction(_declared(function))


def gives_async_items(function: Callable[..., Any]) -> bool:
    """Tell whether calling `function` gives an async generator, as far as its declaration says."""
    return inspect.isasyncgenfunction(_declared(function))


def gives_items(function: Callable[..., Any]) -> bool:
    """Tell whether calling `function` gives a plain generator, as far as its declaration says."""
    return inspect.isgeneratorfunction(_declared(function))


def _declared(function: Any) -> Any:
    """Return the function whose declaration tells what a call gives: through partials, and of an object its call."""
    while isinstance(function, functools.partial):
        function = function.func
    plain = inspect.isroutine(function) or inspect.isclass(function)
    return function if plain else getattr(type(function), "__call__", function)  # noqa: B004 - not asking, looking


def name_of(function: Callable[..., Any]) -> str:
    """Return a short name of `function` for plans, reports and errors."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    return "lambda" if name == "<lambda>" else str(name)


def require_callable(function: object, operator: str) -> None:
    """Raise FlowError unless `function` can be called; an async generator function is refused with its fix."""
    if not callable(function):
        hint = " (a coroutine was given: pass the function itself, without calling it)" * inspect.iscoroutine(function)
        raise FlowError(f"{operator}({function!r}): expected a callable, got {type(function).__name__}{hint}")
    if operator != "flat_map" and gives_async_items(function):
        raise FlowError(
            f"{operator}({name_of(function)}): an async generator function gives many results; use flat_map instead"
        )


def require_plain(function: object, operator: str) -> None:
    """Raise FlowError unless `function` can be called, and is not async."""
    require_callable(function, operator)
    assert callable(function)
    require_sync(function, operator)


def require_sync(function: Callable[..., Any], operator: str) -> None:
    """Raise FlowError if `function` is async where the operator cannot await it."""
    if is_async(function):
        raise FlowError(
            f"{operator}({name_of(function)}): {operator} takes a plain function here; "
            f"await in a .map(...) before it and use its result"
        )
