"""Tell whether a file is the one that an earlier run has read. Everything here blocks."""

from __future__ import annotations

from streamflow.files.file_system import InputFile
from streamflow.files.tail_state import Seen, has_mark
from streamflow.model.errors import RecordError
from streamflow.model.positions import Position

#: Bytes that are compared: tables begin with a schema, which many have.
LOOK = 4096


def look_at(file: InputFile, path: str) -> Seen | None:
    """Look at an open file and its first bytes, and leave it at its beginning; None if it is no file."""
    try:
        status = file.status()
    except NotImplementedError:
        return None
    if status.kind != "file":
        return None
    buffer = bytearray(LOOK)
    head = bytes(buffer[: file.read_into(buffer)])
    file.seek(0)
    return Seen(path, status.device, status.inode, status.size, head)


def require_same(seen: Seen | None, position: Position) -> None:
    """Raise RecordError if the file does not begin as the one that `position` is in."""
    if seen is not None and position.file is not None and not has_mark(seen, position.file):
        raise changed(position, "it begins with other bytes than the file that was read")


def changed(position: Position, what: str) -> RecordError:
    """Return the error that says why there is no going on at `position`."""
    return RecordError(
        f"cannot go on at {position}: {what}, so it was replaced or shortened since; put the file back, or run with "
        f"resume='never'"
    )
