"""Bytes that a library writes in small pieces, gathered until they are brought to a file."""

from __future__ import annotations

import io

from streamflow.files.file_system import OutputFile


class Gathered(io.RawIOBase):
    """Be the file object that a library writes to, in memory; `bring` writes what has come to the file.

    So the library never meets an error of the disk in the middle of its work, and what could not be written is
    tried again.
    """

    def __init__(self, file: OutputFile) -> None:
        self._file = file
        self._buffer = io.BytesIO()
        self._brought = 0
        self._owed = memoryview(b"")

    def writable(self) -> bool:
        """Tell that it is there to be written to."""
        return True

    def write(self, data: object, /) -> int:
        """Gather `data`."""
        return self._buffer.write(data)  # type: ignore[arg-type]  # whatever lies in memory as bytes

    def tell(self) -> int:
        """Return the bytes that have been written to it."""
        return self._brought + len(self._owed) + self._buffer.tell()

    def bring(self) -> None:
        """Write to the file what it has not got yet; after an OSError, the next call does it again."""
        if not self._owed and self._buffer.tell():
            self._owed = self._buffer.getbuffer()
            self._buffer = io.BytesIO()
        if self._owed:
            self._file.write(self._owed)
            self._brought += len(self._owed)
            self._owed = memoryview(b"")
            self.bring()
