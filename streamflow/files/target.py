"""The way of an output to its final name."""

from __future__ import annotations

import errno
import os
import secrets
from typing import Any

from streamflow.files.compression import CompressedOutput, Method
from streamflow.files.file_system import FileSystem, OutputFile
from streamflow.model.errors import FlowError

#: Bytes of the final name that a temporary name keeps, so that it stays below the limit of 255.
KEPT = 200
#: What is written in place always, and cannot be cut.
STREAMS = ("pipe", "special")


class FileChangedByOthers(OSError):
    """Say that a file that is written in place has another writer."""


class Target:
    """Be an output file that bears its final name when it is complete, or one that is written in place.

    All methods block. What `secure` returns lets a later run go on: it says how long the file was, under which name,
    and which file it was (its inode, and when it was last written to).
    """

    def __init__(
        self,
        files: FileSystem,
        file: OutputFile,
        path: str,
        temporary: str | None,
        *,
        method: Method | None = None,
        lines: bool = False,
        cuts: bool = False,
    ) -> None:
        self.file = file
        #: The final name, symbolic links followed.
        self.path = path
        #: The name until `publish`, or None for a file that is written in place.
        self.temporary = temporary
        self._files = files
        self._method = method
        self._lines = lines
        #: Whether it is a file, which can be cut where a later run goes on: no pipe, no device.
        self._cuts = cuts
        #: What kept the last write from being done, which will be tried again.
        self._owed: OSError | None = None
        self._open = True
        #: Whether the name, too, is known to be on the disk.
        self._named = False
        #: What an earlier run, which has given the file its final name, had secured.
        self._secured: dict[str, Any] | None = None

    @classmethod
    def open(
        cls,
        files: FileSystem,
        path: str,
        *,
        complete: bool,
        method: Method | None = None,
        lines: bool = True,
        mark: str | None = None,
    ) -> Target:
        """Open a new file beside `path`, to replace it when complete; or `path` itself, to append to it.

        A pipe or a device is always written in place: nothing may be renamed onto /dev/null. What is written is
        compressed by `method`, if there is one. Where `lines` are appended, a torn one at the end is closed first. The
        new file has `mark` in its name, in place of whatever had that name, or something that no other has.
        """
        kind = files.kind(path)
        if kind == "directory":
            raise IsADirectoryError(errno.EISDIR, "this is a directory: name a file in it", path)
        if kind in STREAMS or not complete:
            file = cls._append(files, path, method, lines)
            return cls(files, file, path, None, method=method, lines=lines, cuts=kind not in STREAMS)
        if kind == "file":
            # Who may not write to a file is not to replace it either, though the directory lets him.
            files.open_to_append(path, lines=False).close()
        path = files.resolve(path)
        directory, name = os.path.split(path)
        kept = _beginning(name)
        temporary = os.path.join(directory, f".{kept}.{mark or secrets.token_hex(4)}.part")
        try:
            if mark is not None:
                files.remove(temporary)
            file = files.create(temporary, like=path)
            file = _compressing(file, method, prompt=False)
            return cls(files, file, path, temporary, method=method, lines=lines, cuts=True)
        except PermissionError as error:
            raise PermissionError(
                error.errno, f"a new file is written beside it first, and {directory!r} lets us make none", path
            ) from None
        except FileNotFoundError:
            raise FileNotFoundError(
                errno.ENOENT, f"there is no directory {directory!r} to write to: make it first", path
            ) from None

    @staticmethod
    def _append(files: FileSystem, path: str, method: Method | None, lines: bool) -> OutputFile:
        file = files.open_to_append(path, lines=lines and method is None)
        return _compressing(file, method, prompt=True)

    def write(self, data: memoryview) -> None:
        """Append `data`; FileNotFoundError if there was no file to go on with."""
        if not self._open and data:
            raise self._lost("is not there to go on with")
        if data:
            try:
                self.file.write(data)
            except OSError as error:
                self._owed = error
                raise
        self._owed = None

    def secure(self) -> dict[str, Any]:
        """Bring everything to the disk, the name of a new file too, and return what `resume` needs."""
        if self._owed is not None:
            raise self._owed  # what is to be secured is not all there
        if self._secured is not None:
            return self._secured
        self.file.sync()
        if not self._cuts:
            return {}
        self._secure_name()
        status = self._files.status(self.temporary or self.path)
        if status is None:
            raise self._lost("was removed or renamed while it was written")
        length = self.file.length
        if self.temporary is None and status.size != length:
            raise FileChangedByOthers(
                errno.EBUSY,
                f"somebody else writes to it too ({status.size:,} bytes are there, {length:,} were expected): a run "
                f"with checkpoints cuts it where it goes on, so give it a file of its own",
                self.path,
            )
        name = None if self.temporary is None else os.path.basename(self.temporary)
        return {"temporary": name, "length": length, "inode": status.inode, "written": status.written}

    def _secure_name(self) -> None:
        if not self._named:
            self._files.sync_directory(os.path.dirname(self.temporary or self.path))
            self._named = True

    def resume(self, secured: dict[str, Any]) -> None:
        """Go on with the file as it was when `secure` returned this; the new one that `open` made is removed.

        Where an earlier run has given it its final name already, there is nothing left to do: `publish` does nothing.
        """
        if not self._cuts or not secured:
            return  # what went out cannot be taken back
        in_place = self.temporary is None
        if in_place != (secured["temporary"] is None):
            raise FlowError(
                f"{self.path}: it was {'made anew' if in_place else 'appended to'} by the earlier run, and would be "
                f"{'appended to' if in_place else 'made anew'} by this one, since whether the flow ends by itself has "
                f"changed: begin anew with resume='never'"
            )
        self.discard()
        old = self.path if in_place else os.path.join(os.path.dirname(self.path), secured["temporary"])
        status = self._files.status(old)
        if status is None and self._is_published(secured):
            # It has its name, but whoever gave it may not have lived to bring that to the disk.
            self._files.sync_directory(os.path.dirname(self.path))
            self._secured = secured
            return
        if status is None:
            raise self._lost(f"was removed ({old!r} is not there)")
        if in_place and status.inode != secured["inode"]:
            raise self._lost("is another file than the one that was written to (was it rotated, or copied?)")
        if status.size < secured["length"]:
            raise self._lost(f"was shortened to {status.size:,} of {secured['length']:,} bytes")
        self._go_on(old, secured["length"], in_place)

    def _go_on(self, old: str, length: int, in_place: bool) -> None:
        file = _compressing(self._files.open_to_continue(old), self._method, prompt=in_place)
        try:
            file.truncate(length)
        except BaseException:
            file.close()
            raise
        if in_place:
            file.close()  # and opened as it was at first, since there may be a torn line from before that
            file = self._append(self._files, self.path, self._method, self._lines)
        self.file, self._open, self._named = file, True, False
        self.temporary = None if in_place else old

    def _is_published(self, secured: dict[str, Any]) -> bool:
        status = self._files.status(self.path)
        return (
            status is not None
            and status.size == secured["length"]
            and (status.inode == secured["inode"] or status.written == secured["written"])
        )

    def _lost(self, what: str) -> OSError:
        return FileNotFoundError(
            errno.ENOENT,
            f"this output {what}: put back what the checkpoint knows, or run with resume='never'",
            self.path,
        )

    def complete(self) -> None:
        """Bring everything to the disk and close the file, which keeps its temporary name until `publish`."""
        if self._open:
            self.file.sync()
            self._secure_name()
            self.close()

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
