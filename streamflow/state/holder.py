"""Who has a checkpoint file: the lock is SQLite's own, on the file itself, and ends with the process that has it.

A process that opens and closes a file by other means loses its locks on it (POSIX). So a file that this process has
already is known here, and not looked at again; and against what others do in this process (a backup of the file, say)
there is a second lock, which belongs to the open file and not to the process.
"""

from __future__ import annotations

import os
import struct
import sys
from contextlib import suppress
from threading import Lock
from time import monotonic, sleep

from streamflow.model.errors import FlowError

_held: dict[str, tuple[int, tuple[int, int] | None]] = {}
_lock = Lock()
#: The open files to which the second locks belong, by their paths.
_guards: dict[str, int] = {}
#: Seconds between two attempts to have a lock.
_AGAIN = 0.02


def claim(path: str) -> None:
    """Note that this process uses the file at `path`, symbolic links followed; FlowError says that it does already."""
    found = _identity(path)
    with _lock:
        for other, (pid, identity) in _held.items():
            # A fork's copy of this table is its parent's; that one's lock is met at the file.
            if pid == os.getpid() and (other == path or (found is not None and identity == found)):
                raise in_use(path, f"this process ({pid})")
        _held[path] = (os.getpid(), found)


def note_identity(path: str) -> None:
    """Note which file it is, once it is there: it may have several names."""
    with _lock:
        _held[path] = (os.getpid(), _identity(path))


def guard(path: str, patience: float) -> None:
    """Take the second lock on the file, if it is there already; FlowError if another has it for `patience` seconds."""
    try:
        import fcntl
    except ImportError:
        return  # where files that are open cannot be locked away from under us
    if path in _guards:
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    until = monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() >= until:
                os.close(descriptor)
                raise in_use(path, holder(path)) from None
            sleep(_AGAIN)
        except OSError:  # a file system without such locks: SQLite's own must do
            os.close(descriptor)
            return
        else:
            _guards[path] = descriptor
            return


def _leave_guards() -> None:
    """Close in a fork what is its parent's: the lock would outlive that."""
    while _guards:
        os.close(_guards.popitem()[1])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_guards)


def is_still_there(path: str) -> bool:
    """Tell whether the file that was noted still bears its name."""
    held = _held.get(path)
    return held is not None and held[1] is not None and held[1] == _identity(path)


def release(path: str) -> None:
    """Forget about `path`, which SQLite has closed: closing a file of it ends this process's locks."""
    with _lock:
        _held.pop(path, None)
    if path in _guards:
        os.close(_guards.pop(path))


def in_use(path: str, who: str) -> FlowError:
    """Return the error that says who has a file."""
    return FlowError(
        f"{path}: {who} has this checkpoint file: wait for that run to end, stop it, or give this one another file"
    )


def holder(path: str) -> str:
    """Return which other process has SQLite's lock on a file."""
    pid = 0
    with suppress(ImportError, OSError, struct.error, KeyError):
        pid = _holding_pid(path)
    return f"process {pid}" if pid else "another process"


def _holding_pid(path: str) -> int:
    import fcntl

    form, fields = {
        "linux": ("hhqqi4x", ("type", "whence", "start", "length", "pid")),
        "darwin": ("qqihh", ("start", "length", "pid", "type", "whence")),
    }[sys.platform]
    asked = {"type": fcntl.F_WRLCK, "whence": os.SEEK_SET, "start": 0, "length": 0, "pid": 0}
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(form, *(asked[field] for field in fields)))
    finally:
        os.close(descriptor)
    told = dict(zip(fields, struct.unpack(form, answer), strict=True))
    return int(told["pid"]) if told["type"] != fcntl.F_UNLCK else 0


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
