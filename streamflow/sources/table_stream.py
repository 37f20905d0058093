"""A stream of tables: what comes on the loop is decoded on a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from streamflow.files.fed import FedFile
from streamflow.files.threads import FileThread
from streamflow.model.errors import RecordError
from streamflow.model.positions import Position
from streamflow.model.statistics import Progress
from streamflow.sources.lines import Blocks
from streamflow.sources.table_blocks import TableBlock
from streamflow.sources.table_cursor import Cursor
from streamflow.sources.tables import TableReader


class StreamReader(TableReader):
    """Feed the thread that decodes, while somebody waits for a block: so no thread ever hangs in a pipe."""

    def __init__(self, decoding: Callable[[FedFile], Cursor], blocks: Blocks, thread: FileThread, path: str) -> None:
        self._fed = FedFile()
        self._decoding = decoding
        self._blocks = blocks
        self._draining = False
        super().__init__(decoding(self._fed), thread, path, None)
        self._mark = blocks.mark

    async def read(self, limit: int) -> TableBlock | None:
        """Return the next rows; a batch that was not received whole is none when the run drains."""
        block = await super().read(limit)
        if block is not None and block.broken is not None and self._draining:
            self._ended = True
            return None
        return block

    async def arrival(self, reading: asyncio.Future[TableBlock | None]) -> TableBlock | None:
        """Feed what is wanted until the block is there; cancelling this loses nothing."""
        wanted = self._fed.wanted
        reading.add_done_callback(lambda _: wanted.set())
        while not reading.done():
            await wanted.wait()
            if reading.done():
                break
            if self._draining:
                self._fed.end()
            else:
                buffer, end = await self._blocks.next()
                self._fed.feed(bytes(memoryview(buffer)[:end]))
            wanted.clear()
        return reading.result()

    def ahead(self) -> None:
        """Wait until somebody asks: only then is there somebody who feeds."""

    def progress(self) -> Progress:
        """Return the bytes that were decoded, as they are in the file."""
        return self._blocks.progress(self._fed.taken)

    async def seek(self, position: Position) -> None:
        """Decode from the beginning, and pass over what comes before."""
        if not self._blocks.replayable:
            raise RecordError("this input cannot be read again from an earlier place: it is not a file")
        self._fed.end()
        if self._reading is not None:
            await asyncio.wait([self._reading])
            self._reading = None
        await self._blocks.require(replace(position, offset=0), lines=False)
        await self._blocks.seek(0)
        self._fed = FedFile()
        self._cursor = self._decoding(self._fed)
        await super().seek(position)

    def drain(self) -> bool:
        """Take nothing more in; a file has nothing that could be lost, a pipe what was read from it."""
        self._draining = True
        return not self._blocks.replayable

    async def close(self) -> None:
        """Let the thread go, and close what is read from."""
        self._fed.end()
        await super().close()
        await self._blocks.close()
