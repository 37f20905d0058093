"""SQLite's errors, told as what they are to a user: no space, no permission, a failing disk, damage, in use."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from streamflow.model.errors import CheckpointDamaged
from streamflow.state.holder import holder, in_use

#: Less than that is no space, whatever SQLite calls it.
_LITTLE = 64 * 1024

#: What the module raises: in a damaged file its own messages may not be UTF-8.
FAILURES: Final = (sqlite3.Error, UnicodeDecodeError)
#: What is left to do with a file of which nothing can be read.
REMEDY: Final = 'Bring back a copy of it, or begin from the start (resume="never")'


@contextmanager
def told_of(path: str) -> Iterator[None]:
    """Replace what SQLite raises within the block by an error that names the file at `path`, and the nearest fix."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a mistake of ours: the wrong thread
    except FAILURES as error:
        raise _mapped(error, path) from error
    except OverflowError as error:  # sqlite3's own word for what exceeds two gigabytes
        raise _too_big(path) from error


def is_damage(error: Exception) -> bool:
    """Tell whether SQLite complains of what is in the file, not about the disk below it."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT)


def _code(error: Exception) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def _mapped(error: Exception, path: str) -> Exception:
    code = _code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return in_use(path, holder(path))
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _free(path) < _LITTLE):
        return OSError(errno.ENOSPC, "there is no space for a checkpoint: make room on this disk", path)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return _refusal(error, path)
    if is_damage(error):
        return CheckpointDamaged(f"{path}: the checkpoint file is damaged: {error}. {REMEDY}")
    if code == sqlite3.SQLITE_NOMEM:
        return MemoryError(f"{path}: no memory is left for a checkpoint")
    if code == sqlite3.SQLITE_TOOBIG:
        return _too_big(path)
    return OSError(errno.EIO, f"the checkpoint could not be brought to the disk: {error}", path)


def _too_big(path: str) -> OSError:
    return OSError(errno.EFBIG, "one piece of a checkpoint exceeds a gigabyte: keep less in one state", path)


def _free(path: str) -> int:
    with suppress(OSError):
        return shutil.disk_usage(os.path.dirname(path)).free
    return _LITTLE


def _refusal(error: Exception, path: str) -> OSError:
    """Ask the system why the file, or one beside it, cannot be written: SQLite does not say."""
    folder = os.path.dirname(path)
    beside = os.path.join(folder, f".{secrets.token_hex(8)}.probe")
    try:
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.remove(beside)
    except OSError as reason:
        return type(reason)(
            reason.errno, f"{reason.strerror}: SQLite writes a file beside it, and {folder!r} lets us make none", path
        )
    # The file itself is not tried: closing it would end the locks that this process has on it.
    return PermissionError(errno.EACCES, f"the checkpoint file cannot be written ({error})", path)
