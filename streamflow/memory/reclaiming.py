"""Give memory back that is not in use: what lies idle in pools, what is garbage, what the C library keeps."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache
from typing import Protocol
from weakref import ref


class Trimmable(Protocol):
    """Be something that keeps memory which it can do without."""

    def trim(self) -> int:
        """Let go of it; return how many bytes that were."""


#: By the identity of the reference: each access is one step of the interpreter, so that no lock is needed. One would
#: not do, since an object may die anywhere.
_registered: dict[int, ref[Trimmable]] = {}


def register(keeper: Trimmable) -> None:
    """Remember, as long as it lives, whom `trim_all` is to ask."""
    one = ref(keeper, _forget)
    _registered[id(one)] = one


def _forget(gone: ref[Trimmable]) -> None:
    _registered.pop(id(gone), None)


def registered() -> list[Trimmable]:
    """Return what is registered and alive."""
    found = [one() for one in list(_registered.values())]
    return [one for one in found if one is not None]


def trim_all() -> int:
    """Have everything that is registered let go of what it can; return how many bytes that were."""
    return sum(one.trim() for one in registered())


def reclaim(*, collect: bool = False) -> int:
    """Trim everything, `collect` garbage if asked to, then have the C library give back what it keeps.

    Returns the bytes that pools let go. It takes milliseconds; collecting garbage holds the GIL for 50 ms and more
    where there are a million objects.
    """
    freed = trim_all()
    if collect:
        gc.collect()
    give_back_freed()
    return freed


def give_back_freed() -> None:
    """Have the C library give the system back what was freed; only glibc keeps much, and can be asked."""
    malloc_trim = _find_malloc_trim()
    if malloc_trim is not None:
        malloc_trim(0)


@cache
def _find_malloc_trim() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`, which no other C library has."""
    import ctypes  # late: it takes 3 ms, and most runs never come here

    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):
        return None
    return found
