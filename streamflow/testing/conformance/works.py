"""What the suite for executors has done in the workers: small functions of a module that costs a worker little."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FACTOR = 3


class Refused(Exception):
    """Be a user's own error."""

    def __init__(self, number: int) -> None:
        super().__init__(f"no {number}")
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.number,)


class Uncrossable:
    """Be what cannot be pickled."""

    def __reduce__(self) -> str:
        raise TypeError("it stays here")


class UncrossableError(Exception):
    """Be an error that cannot be pickled."""

    def __reduce__(self) -> str:
        raise TypeError("it stays here")


def tripled(number: int) -> int:
    """Read a global."""
    return number * FACTOR


def refusing(*numbers: int) -> Callable[[int], int]:
    """Return a function that raises for `numbers`, a closure."""

    def same(number: int) -> int:
        if number in numbers:
            raise Refused(number)
        return number

    return same


def refusing_once(folder: str, *numbers: int) -> Callable[[int], int]:
    """Return a function that raises at its first call for each of `numbers`."""

    def same(number: int) -> int:
        if number in numbers and note(folder, f"try-{number}") == 1:
            raise Refused(number)
        return number

    return same


def awaitable(number: int) -> Any:
    """Return what nobody awaits."""

    async def later() -> int:
        return number

    return later()


def with_place(number: int, place: Any) -> tuple[int, str]:
    """Return the position as text."""
    return number, str(place)


def tell_and_wait(begun: str, gate: str) -> None:
    """Write a byte to one FIFO, and wait for one from another; somebody has both open."""
    for path, mode in ((begun, os.O_WRONLY), (gate, os.O_RDONLY)):
        descriptor = os.open(path, mode)
        try:
            if mode == os.O_WRONLY:
                os.write(descriptor, b".")
            else:
                os.read(descriptor, 1)
        finally:
            os.close(descriptor)


def note(folder: str, name: str) -> int:
    """Add a byte to a file; return how many there are."""
    descriptor = os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, b".")
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def counted_resource(folder: str) -> Callable[[], Any]:
    """Return what opens a resource, whose value is its worker's name; files tell of its opening and closing."""

    @contextmanager
    def opened() -> Iterator[str]:
        name = f"{os.getpid()}-{threading.get_ident()}"
        note(folder, f"opened-{name}")
        try:
            yield name
        finally:
            note(folder, f"closed-{name}")

    return opened


def with_resource(number: int, name: str) -> tuple[int, str]:
    """Return both."""
    return number, name
