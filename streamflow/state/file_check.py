"""Whether the file at a path is one of ours, before SQLite is let at it: what is not is never touched."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from streamflow.model.errors import CheckpointDamaged, FlowError
from streamflow.state.checkpoint_rows import APPLICATION, MARK

_MAGIC: Final = b"SQLite format 3\x00"
#: Where SQLite's header has the number of the application.
_AT: Final = 68
#: The largest page of SQLite's.
_LOOKED_AT: Final = 65536


def looked_at(path: str) -> None:
    """Look at the file, or at the place for it; raise what says why no checkpoints can be kept there."""
    folder = os.path.dirname(path)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                errno.ENOENT, f"there is no directory {folder!r} for a checkpoint file: make it first", path
            ) from None
        return
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "this is a directory: name a checkpoint file in it", path)
    if not stat.S_ISREG(status.st_mode):
        raise FlowError(f"{path}: this is no regular file, and checkpoints can be kept in no other")
    try:
        with open(path, "r+b") as file:  # to write: SQLite would say nothing of use
            start = file.read(_LOOKED_AT)
    except OSError as error:
        raise type(error)(error.errno, f"{error.strerror}: a run keeps its checkpoints there", path) from None
    if start:
        judge(start, path)


def judge(start: bytes, path: str) -> None:
    """Refuse what is not ours; what bears one sign of ours, but not all, is damaged."""
    sqlite = start.startswith(_MAGIC)
    ours = start[_AT : _AT + 4] == APPLICATION.to_bytes(4, "big")
    if sqlite and ours:
        return
    if ours or MARK in start or (len(start) < _AT + 4 and _MAGIC.startswith(start[: len(_MAGIC)])):
        raise CheckpointDamaged(
            f"{path}: this checkpoint file is damaged at its beginning: bring back a copy of it, or begin from the "
            'start (resume="never")'
        )
    kind = "another program's SQLite database" if sqlite else "no checkpoint file"
    raise FlowError(f"{path}: this is {kind}, and is left as it is: give the checkpoints a file of their own")
