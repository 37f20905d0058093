"""An input file as libraries know one that is read at any place."""

from __future__ import annotations

import io

from streamflow.files.file_system import InputFile


class RandomAccess(io.RawIOBase):
    """Be the file object over an `InputFile`, which it owns."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._size = file.status().size
        self._at = 0
        #: The latest error of the file system: a library may have made another one of it.
        self.failed: OSError | None = None

    def read(self, size: int = -1, /) -> bytes:
        """Return `size` bytes, or what there is."""
        left = max(0, self._size - self._at)
        buffer = bytearray(left if size < 0 else min(size, left))
        view, done = memoryview(buffer), 0
        try:
            while done < len(buffer) and (count := self._file.read_into(view[done:])):  # type: ignore[arg-type]
                done += count
        except OSError as error:
            self.failed = error
            raise
        self._at += done
        return buffer if done == len(buffer) else buffer[:done]  # type: ignore[return-value]  # as good as bytes

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._file.seek(self._at)
        return self._at

    @property
    def size(self) -> int:
        """Return the bytes in the file when it was opened."""
        return self._size

    def tell(self) -> int:
        """Return where it stands."""
        return self._at

    def readable(self) -> bool:
        """Tell that it is there to be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read at any place."""
        return True

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if not self.closed:
            self._file.close()
        super().close()
