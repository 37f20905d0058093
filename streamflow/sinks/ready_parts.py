"""Parts that are whole, and wait under temporary names for the checkpoint that knows of them."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamflow.files.file_system import FileSystem

log = logging.getLogger("streamflow.sinks")


@dataclass(slots=True)
class Ready:
    """Be one of them; `epoch` is that of the first checkpoint that has it, None before."""

    temporary: str
    length: int
    epoch: int | None = None


class ReadyParts:
    """Give parts their final names at the commit of a checkpoint that has them. Methods that rename block."""

    def __init__(self, files: FileSystem) -> None:
        self._files = files
        #: By the path that each is to have.
        self._parts: dict[str, Ready] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._parts

    def add(self, path: str, temporary: str, length: int) -> None:
        """Take a part whose bytes and temporary name are on the disk."""
        self._parts[path] = Ready(os.path.basename(temporary), length)

    def prepare(self, epoch: int) -> list[dict[str, Any]]:
        """Return what `resume` needs, and remember which parts `commit(epoch)` is about."""
        for part in self._parts.values():
            if part.epoch is None:
                part.epoch = epoch
        return [
            {"path": path, "temporary": part.temporary, "length": part.length} for path, part in self._parts.items()
        ]

    def resume(self, prepared: Sequence[dict[str, Any]], epoch: int) -> None:
        """Take the parts of an earlier run, those that have no final name yet."""
        for one in prepared:
            path, temporary, length = one["path"], one["temporary"], one["length"]
            found = self._files.size(_beside(self._files, path, temporary))
            if found is not None and found < length:
                raise OSError(
                    errno.EIO,
                    f"this part was shortened to {found:,} of {length:,} bytes since the checkpoint, as {temporary!r}: "
                    f"put it back, or run with resume='never'",
                    path,
                )
            if found is not None:
                self._parts[path] = Ready(temporary, length, epoch)
            elif self._files.kind(path) == "missing":
                # It had its name, and whoever takes parts away was quick; or somebody has cleaned up hidden files.
                log.warning("%s: this part was whole at the checkpoint, and is neither here nor at %r", path, temporary)
            else:  # whoever gave it its name may not have lived to bring that to the disk
                self._files.sync_directory(os.path.dirname(self._files.resolve(path)))

    def commit(self, epoch: int | None = None) -> None:
        """Give their names to the parts that `prepare(epoch)` and those before it knew of; or to all."""
        for path, part in list(self._parts.items()):
            if epoch is None or (part.epoch is not None and part.epoch <= epoch):
                self._files.rename(_beside(self._files, path, part.temporary), self._files.resolve(path))
                del self._parts[path]

    def discard(self) -> None:
        """Remove what has no final name yet."""
        while self._parts:
            path, part = self._parts.popitem()
            self._files.remove(_beside(self._files, path, part.temporary))


def _beside(files: FileSystem, path: str, temporary: str) -> str:
    return os.path.join(os.path.dirname(files.resolve(path)), temporary)
