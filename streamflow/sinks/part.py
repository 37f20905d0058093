"""One of the files of a rolling sink."""

from __future__ import annotations

import os
from typing import Any

from streamflow.sinks.lines import LinesWriter


class Part:
    """Be one part that is open."""

    def __init__(self, path: str, writer: LinesWriter, begun: float) -> None:
        self.path = path
        self.writer = writer
        self.begun = begun
        #: How many items all parts together had when this one got its latest.
        self.used = 0
        self.items = 0
        #: Whether it ends before it takes another item.
        self.full = False
        #: What kept it from being whole, other than the disk, which is tried again.
        self.broken: Exception | None = None

    @property
    def bytes(self) -> int:
        """Return what is in the file, and what waits for it."""
        return self.writer.target.file.length + self.writer.pending

    async def prepare(self, epoch: int, key: str, now: float) -> dict[str, Any]:
        """Bring it to the disk, and return what it takes to go on with it."""
        if self.broken is not None:
            raise self.broken
        saved = {"key": key, "path": self.path, "items": self.items, "used": self.used}
        age = int(1000 * (now - self.begun))
        file = await self.writer.prepare(epoch)
        return saved | {"age": age, "file": file, "temporary": os.path.basename(self.writer.target.temporary or "")}
