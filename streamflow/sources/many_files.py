"""Several files, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from streamflow.model.errors import RecordError
from streamflow.model.interfaces import Reader
from streamflow.model.positions import FilesBefore, Position
from streamflow.model.statistics import Progress
from streamflow.sources.files_before import files_before, followed_by, require_same_before

Opening = Coroutine[Any, Any, Reader[Any]]


class ManyFiles(Reader[Any]):
    """Read the files at `paths` in this order; a position names its file, is one within it, and tells those before it.

    One file is open at a time. `open_one` opens the file at a path; `sizes` are those of the files, as far as they
    are known.
    """

    def __init__(
        self, paths: Sequence[str], open_one: Callable[[str], Opening], sizes: Sequence[int | None] = ()
    ) -> None:
        self._paths = tuple(paths)
        self._sizes = tuple(sizes)
        self._open_one = open_one
        self._at = 0
        self._reader: Reader[Any] | None = None
        #: What tells the files before the one at `_at`.
        self._before = FilesBefore()
        self._here = Position(self._paths[0], line=1, offset=0, before=self._before)
        self._draining = False
        #: Opening or closing that was begun: whoever is cancelled meanwhile finds it again.
        self._opening: asyncio.Task[Reader[Any]] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def read(self, limit: int) -> Any:
        """Return the next records of the file that is open, or of the next one."""
        while True:
            await self._closed()
            if self._reader is None and (self._draining or self._at == len(self._paths)):
                return None
            reader = self._reader or await self._open()
            batch = await reader.read(limit)
            if batch is not None:
                return batch
            self._leave(reader)

    async def _open(self) -> Reader[Any]:
        if self._opening is None:
            self._opening = asyncio.create_task(self._open_one(self._paths[self._at]))
        try:
            self._reader = await asyncio.shield(self._opening)
        except Exception:
            self._opening = None
            raise
        self._opening = None
        return self._reader

    def _leave(self, reader: Reader[Any]) -> None:
        self._here = replace(reader.position(), before=self._before)
        self._reader = None
        self._before = followed_by(self._before, self._paths[self._at])
        self._at += 1
        self._closing = asyncio.create_task(reader.close())

    async def _closed(self) -> None:
        if self._closing is not None:
            closing = self._closing
            await asyncio.shield(closing)
            self._closing = None

    def position(self) -> Position:
        """Return where the next record is: in the file that is open, or where the last one ended."""
        return self._here if self._reader is None else replace(self._reader.position(), before=self._before)

    def progress(self) -> Progress | None:
        """Return the bytes of the files before, and of the one that is open as far as it was read."""
        here = self._reader.progress() if self._reader is not None else None
        if here is not None and here.unit != "bytes":
            return None
        done = sum(size or 0 for size in self._sizes[: self._at]) + (here.done if here is not None else 0)
        known = [size for size in self._sizes if size is not None]
        return Progress(done=done, total=max(sum(known), done) if len(known) == len(self._paths) else None)

    async def seek(self, position: Position) -> None:
        """Go on in the file that `position` names; RecordError unless the files before it are those that were read."""
        if position.source not in self._paths:
            raise RecordError(
                f"cannot go on at {position}: that file is not among the {len(self._paths)} of this source"
            )
        at = self._paths.index(position.source)
        require_same_before(position, self._paths[:at])
        if self._reader is not None:
            self._leave(self._reader)
        await self._closed()
        self._at, self._before = at, files_before(self._paths[:at])
        self._here = position
        await (await self._open()).seek(position)

    def drain(self) -> bool:
        """Open no further file."""
        self._draining = True
        return self._reader.drain() if self._reader is not None else False

    async def close(self) -> None:
        """Close what is open."""
        if self._opening is not None:
            await asyncio.wait([self._opening])
            if not self._opening.cancelled() and self._opening.exception() is None:
                self._reader = self._opening.result()
        await self._closed()
        if self._reader is not None:
            await self._reader.close()
