"""The way of an output to its final name."""

from __future__ import annotations

import errno
import os
import secrets

from streamflow.files.compression import CompressedOutput, Method
from streamflow.files.file_system import FileSystem, OutputFile

#: Bytes of the final name that a temporary name keeps, so that it stays below the limit of 255.
KEPT = 200


class Target:
    """Be an output file that bears its final name when it is complete, or one that is written in place.

    All methods block.
    """

    def __init__(self, files: FileSystem, file: OutputFile, path: str, temporary: str | None) -> None:
        self.file = file
        #: The final name, symbolic links followed.
        self.path = path
        #: The name until `publish`, or None for a file that is written in place.
        self.temporary = temporary
        self._files = files
        self._open = True

    @classmethod
    def open(
        cls, files: FileSystem, path: str, *, complete: bool, method: Method | None = None, lines: bool = True
    ) -> Target:
        """Open a new file beside `path`, to replace it when complete; or `path` itself, to append to it.

        A pipe or a device is always written in place: nothing may be renamed onto /dev/null. What is written is
        compressed by `method`, if there is one. Where `lines` are appended, a torn one at the end is closed first.
        """
        kind = files.kind(path)
        if kind == "directory":
            raise IsADirectoryError(errno.EISDIR, "this is a directory: name a file in it", path)
        if kind in ("pipe", "special") or not complete:
            file = files.open_to_append(path, lines=lines and method is None)
            return cls(files, _compressing(file, method, prompt=True), path, None)
        if kind == "file":
            # Who may not write to a file is not to replace it either, though the directory lets him.
            files.open_to_append(path, lines=False).close()
        path = files.resolve(path)
        directory, name = os.path.split(path)
        kept = _beginning(name)
        temporary = os.path.join(directory, f".{kept}.{secrets.token_hex(4)}.part")
        try:
            file = files.create(temporary, like=path)
            return cls(files, _compressing(file, method, prompt=False), path, temporary)
        except PermissionError as error:
            raise PermissionError(
                error.errno, f"a new file is written beside it first, and {directory!r} lets us make none", path
            ) from None
        except FileNotFoundError:
            raise FileNotFoundError(
                errno.ENOENT, f"there is no directory {directory!r} to write to: make it first", path
            ) from None

    def publish(self) -> None:
        """Bring everything to the disk, then give the file its final name; what has failed may be tried again."""
        if self._open:
            self.file.sync()
            self.close()
        if self.temporary is not None:
            self._files.rename(self.temporary, self.path)
            self.temporary = None

    def discard(self) -> None:
        """Close the file; remove it unless it was written in place."""
        self.close()
        if self.temporary is not None:
            self._files.remove(self.temporary)
            self.temporary = None

    def close(self) -> None:
        """Close the file, whatever name it has; a second call does nothing."""
        if self._open:
            self._open = False
            self.file.close()


def _beginning(name: str) -> str:
    """Return the first `KEPT` bytes of a name, without a character that they would cut in two."""
    raw = os.fsencode(name)
    if len(raw) <= KEPT:
        return name
    end = KEPT
    while raw[end] & 0xC0 == 0x80 and end > KEPT - 3:  # within a character of UTF-8
        end -= 1
    return os.fsdecode(raw[:end])


def _compressing(file: OutputFile, method: Method | None, *, prompt: bool) -> OutputFile:
    return file if method is None else CompressedOutput(file, method, prompt=prompt)
