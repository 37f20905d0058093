"""The segments of a spilling edge in their folder. Everything here blocks and is called on a thread."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple

from streamflow.channels.records import (
    RECORD_HEADER,
    SEGMENT_HEADER,
    Damaged,
    Record,
    check_segment_header,
    read_record,
    segment_header,
    size_of_record,
)
from streamflow.channels.spill import Position
from streamflow.files.file_system import FileSystem, InputFile, OutputFile, SyncFailed
from streamflow.model.errors import SpillDamaged

#: Bytes that are read at once.
BLOCK = 1 << 18


class Found(NamedTuple):
    """Be a record that was read, and the place behind it."""

    record: Record
    after: Position


class SegmentFiles:
    """Write, read and remove the segments of the edge `edge`, which alone uses `folder`.

    If they are to be `durable`, each is brought to the disk when the next is begun.
    """

    def __init__(self, files: FileSystem, folder: str, edge: str, *, durable: bool) -> None:
        self._files = files
        self.folder = folder
        self._edge = edge
        self._durable = durable
        self._output: OutputFile | None = None
        self._writing = ""
        self._input: InputFile | None = None
        self._reading = ""

    def open(self) -> None:
        """Make the folder, for this user alone."""
        self._files.make_directories(os.path.dirname(self.folder))
        self._files.make_private_directory(self.folder)
        if self._durable:
            self._files.sync_directory(os.path.dirname(self.folder))

    def path(self, name: str) -> str:
        """Return the path of the segment `name`."""
        return os.path.join(self.folder, name)

    # -- writing --------------------------------------------------------------------------------------------------

    def append(self, name: str, token: str, number: int, data: bytes) -> None:
        """Append records to a segment, which is begun if it is not the one appended to last; all or nothing."""
        try:
            self._append(name, token, number, data)
        except OSError as error:
            raise self._naming(error, name) from error

    def _append(self, name: str, token: str, number: int, data: bytes) -> None:
        if name == self._writing and self._output is not None:
            self._output.write(memoryview(data))
            return
        self._finish_output()
        output = self._files.create(self.path(name))
        try:
            output.write(memoryview(segment_header(token, number) + data))
        except OSError:
            output.close()
            with suppress(OSError):
                self._files.remove(self.path(name))
            raise
        self._output, self._writing = output, name

    def sync(self) -> None:
        """Bring everything that was written to the disk, the names included."""
        if self._output is not None:
            self._output.sync()
        self._files.sync_directory(self.folder)

    def _finish_output(self) -> None:
        if self._output is not None:
            output, self._output, self._writing = self._output, None, ""
            try:
                if self._durable:
                    output.sync()
            finally:
                output.close()

    # -- reading --------------------------------------------------------------------------------------------------

    def read(self, name: str, start: Position, end: int) -> list[Found]:
        """Return records of a segment from `start` on, before byte `end`: those of a block, but one at least."""
        try:
            return self._records(name, start, end)
        except OSError as error:
            raise self._naming(error, name) from error

    def _records(self, name: str, start: Position, end: int) -> list[Found]:
        self._open_to_read(name)
        block = self._fetch(start.offset, min(BLOCK, end - start.offset))
        size = self._size(block, start.offset, end)
        if size > len(block):
            block = self._fetch(start.offset, size)
        if size > len(block):
            raise self._damaged(start.offset, f"the file ends at byte {start.offset + len(block):,}")
        found, at, rest = list[Found](), start, memoryview(block)
        while at.offset < end and (size := self._size(rest, at.offset, end)) <= len(rest):
            record = self._record(rest[:size], at)
            at = Position(at.segment, at.offset + size, at.sequence + 1)
            found.append(Found(record, at))
            rest = rest[size:]
        return found

    def _size(self, found: bytes | memoryview, offset: int, end: int) -> int:
        """Return the bytes of the record that begins with those found; that many of its header at least."""
        size = size_of_record(found) if len(found) >= RECORD_HEADER else RECORD_HEADER
        if offset + size > end:
            raise self._damaged(offset, f"a record of {size:,} bytes does not end at byte {end:,} or before, as it did")
        return size

    def _record(self, found: memoryview, at: Position) -> Record:
        try:
            return read_record(found, at.sequence)
        except Damaged as error:
            raise self._damaged(at.offset, str(error)) from None

    def _open_to_read(self, name: str) -> None:
        if name == self._reading and self._input is not None:
            return
        self._finish_input()
        self._input, self._reading = self._files.open_to_read(self.path(name)), name
        try:
            check_segment_header(self._fetch(0, SEGMENT_HEADER), name)
        except Damaged as error:
            raise self._damaged(0, str(error)) from None

    def _fetch(self, offset: int, size: int) -> bytes:
        assert self._input is not None
        self._input.seek(offset)
        found = b""
        while len(found) < size:
            buffer = bytearray(size - len(found))
            count = self._input.read_into(buffer)
            if not count:
                break
            found += buffer[:count]
        return found

    def _naming(self, error: OSError, name: str) -> OSError:
        kind = SyncFailed if isinstance(error, SyncFailed) else OSError
        return kind(error.errno, f"edge {self._edge!r} spills there: {error.strerror or error}", self.path(name))

    def _damaged(self, offset: int, what: str) -> SpillDamaged:
        return SpillDamaged(
            f"edge {self._edge!r}: segment {self.path(self._reading)!r} is damaged at byte {offset:,}: {what}; "
            f"what it held cannot be read back, and nothing else is given in its place"
        )

    def _finish_input(self) -> None:
        if self._input is not None:
            input, self._input, self._reading = self._input, None, ""
            input.close()

    # -- removing -------------------------------------------------------------------------------------------------

    def sizes(self) -> dict[str, int]:
        """Return the bytes of every file in the folder, by name."""
        return {name: self._files.size(self.path(name)) or 0 for name in self._files.names(self.folder)}

    def remove(self, name: str) -> None:
        """Remove a segment."""
        if name == self._writing and self._output is not None:
            output, self._output, self._writing = self._output, None, ""
            output.close()
        if name == self._reading:
            self._finish_input()
        self._files.remove(self.path(name))

    def discard(self, names: Collection[str] | None) -> None:
        """Close everything and remove the segments `names` (None: whatever is there), and the folder if it is empty."""
        for name in names if names is not None else self._files.names(self.folder):
            self.remove(name)
        self._finish_input()
        self._finish_output()
        if not self._files.names(self.folder):
            self._files.remove_directory(self.folder)
            if self._durable:  # or it is there again after a loss of power, for good
                self._files.sync_directory(os.path.dirname(self.folder))
