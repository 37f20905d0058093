"""Have glibc keep freed memory, instead of giving it back to the system and faulting the same pages in again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from threading import Lock

from streamflow.memory.reclaiming import give_back_freed

log = logging.getLogger("streamflow.memory")

#: What is set, by the name that the environment knows it by: the number that `mallopt` knows it by, the value while it
#: is tuned, and the documented default.
PARAMETERS = {
    "MALLOC_MMAP_THRESHOLD_": (-3, 64 << 20, 128 << 10),
    "MALLOC_TRIM_THRESHOLD_": (-1, 256 << 20, 128 << 10),
    "MALLOC_TOP_PAD_": (-2, 16 << 20, 128 << 10),
}
#: What older versions of glibc take at most for the first of them.
OLD_MMAP_THRESHOLD = 32 << 20

TUNED = "tuned"
CANNOT = "as it is: this C library has no mallopt (glibc alone has it)"


class AllocatorTuning:
    """Raise glibc's thresholds from the first `begin` to the last `end`, for the whole process.

    At the end, what the environment says is set again, or else the documented defaults. What cannot be restored: that
    glibc adapts the thresholds by itself, as a process does of which none was ever set. `end` also gives back what is
    kept by then.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0

    def begin(self) -> str:
        """Tune, unless it is so already; return what came of it."""
        mallopt = _mallopt()
        if mallopt is None:
            log.warning("tune_allocator: left %s", CANNOT)
            return CANNOT
        with self._lock:
            self._users += 1
            if self._users == 1:
                for number, value, _ in PARAMETERS.values():
                    if not mallopt(number, value):
                        mallopt(number, min(value, OLD_MMAP_THRESHOLD))
        return TUNED

    def end(self) -> None:
        """Take back one `begin` that has tuned."""
        mallopt = _mallopt()
        assert mallopt is not None
        with self._lock:
            self._users -= 1
            if self._users:
                return
            for name, (number, _, default) in PARAMETERS.items():
                mallopt(number, _in_environment(name, default))
        give_back_freed()


def allocator_environment() -> dict[str, str]:
    """Return the variables with which a new process is tuned from its start; other C libraries heed none of them."""
    return {name: str(value) for name, (_, value, _) in PARAMETERS.items()}


@cache
def _mallopt() -> Callable[[int, int], int] | None:
    """Return glibc's `mallopt`."""
    import ctypes  # late: it takes 3 ms, and most runs never come here

    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - there are others with a `mallopt` that does nothing
        found: Callable[[int, int], int] = library.mallopt
    except (OSError, TypeError, AttributeError):
        return None
    return found


def _in_environment(name: str, default: int) -> int:
    said = os.environ.get(name, "")
    return int(said) if said.isascii() and said.isdecimal() else default


ALLOCATOR = AllocatorTuning()
