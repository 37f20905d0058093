"""What every suite is made of: a virtual loop, a leak check, requirements that say why they fail."""

from __future__ import annotations

import asyncio
import dataclasses
import unittest
from abc import ABC
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from streamflow.testing import virtual_clock
from streamflow.testing.leaks import check_leaks

T = TypeVar("T")


class Suite(ABC):  # noqa: B024  # its subclasses have the abstract hooks
    """Run test bodies on a loop, and look for leaks after each."""

    #: Where the part under test writes: looked through for temporary files after each test. May be a
    #: property.
    directories: Sequence[str | Path] = ()

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run one test body; override it to use another loop than a virtual one."""

        async def checked() -> T:
            with check_leaks(*self.directories):
                return await main()

        return virtual_clock.run(checked)


def require(condition: object, message: str) -> None:
    """Raise AssertionError unless `condition` holds, also under `python -O`."""
    if not condition:
        raise AssertionError(message)


def require_equal(found: object, expected: object, what: str) -> None:
    """Raise AssertionError, showing both, unless they are equal."""
    require(found == expected, f"{what}\n  expected {_cut(expected)}\n  found    {_cut(found)}")


def require_prefix(found: Sequence[Any], whole: Sequence[Any], what: str) -> None:
    """Raise AssertionError unless `found` is how `whole` begins."""
    require(
        list(found) == list(whole)[: len(found)],
        f"{what}\n  the whole {_cut(whole)}\n  found     {_cut(found)}",
    )


def require_description(part: object) -> None:
    """Raise AssertionError unless `part` is a frozen dataclass instance."""
    frozen = getattr(getattr(type(part), "__dataclass_params__", None), "frozen", False)
    require(dataclasses.is_dataclass(part) and frozen, f"{type(part).__name__} is no frozen dataclass")


def skip(reason: str) -> NoReturn:
    """Leave a test out: pytest and unittest both know this exception."""
    raise unittest.SkipTest(reason)


async def within(awaitable: Awaitable[T], seconds: float, what: str) -> T:
    """Await, but fail with `what` after `seconds` of the loop's time."""
    try:
        async with asyncio.timeout(seconds):
            return await awaitable
    except TimeoutError as error:
        raise AssertionError(what) from error


async def gives(awaitable: Awaitable[Any], kind: type[BaseException], what: str) -> BaseException:
    """Await, require an exception of `kind`, and return it."""
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(what)


def _cut(value: object, most: int = 500) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
