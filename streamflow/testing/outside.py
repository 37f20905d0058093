"""What may still wake a loop that has nothing to do: the threads and children of this process."""

from __future__ import annotations

import threading
from pathlib import Path

#: The prefix of the default executor's threads. An idle one is woken by the loop only, so it can never wake
#: the loop.
POOL_PREFIX = "asyncio"

#: Threads that never call into a loop: those of an idle pool, and pytest-timeout's watch over a test.
_NEVER_CALL = (f"{POOL_PREFIX}_", "pytest_timeout ")
_TASKS = Path("/proc/self/task")
_AT_WORK = "RD"  # running or runnable, waiting for a disk


def callers() -> list[threading.Thread]:
    """Return the living threads, other than this one and a loop's idle pool, that could call into a loop."""
    me = threading.current_thread()
    return [one for one in threading.enumerate() if one is not me and not one.name.startswith(_NEVER_CALL)]


def at_work() -> set[int]:
    """Return the native ids of other threads, and of children, which run or wait for a disk at this moment.

    Known on Linux only; elsewhere nothing is ever at work. A thread that sleeps or waits for a lock is not.
    """
    me = threading.get_native_id()
    others = {number for number in _numbers() if number != me}
    return {number for number in others if _state(_TASKS / str(number)) in _AT_WORK} | _busy_children()


def _numbers() -> list[int]:
    try:
        return [int(entry.name) for entry in _TASKS.iterdir()]
    except OSError:
        return []


def _busy_children() -> set[int]:
    return {child for child in children() if _state(Path(f"/proc/{child}")) in _AT_WORK}


def children() -> list[int]:
    """Return the children of this process, unreaped ones too; known on Linux only."""
    return [int(child) for number in _numbers() for child in _read(_TASKS / str(number) / "children").split()]


def _state(of: Path) -> str:
    # The name of a process stands in brackets and may itself hold brackets and blanks: look behind the last
    # one.
    return _read(of / "stat").rpartition(")")[2].strip()[:1] or "?"


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended in the meantime
        return ""
