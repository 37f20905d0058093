"""The opened ends of a run: every source is closed, every sink is completed or undone, and closed, exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Coroutine
from typing import TYPE_CHECKING, Any

from streamflow.engine.kept_state import KeptState
from streamflow.model.interfaces import Pool, Reader, Writer

if TYPE_CHECKING:
    from streamflow.channels.spilling import SpillChannel

_ERRORS = (Exception, asyncio.CancelledError)


class Ends:
    """Hold what was opened, by the index of its stage; an error while closing is told, and stops nothing else."""

    def __init__(self, note_error: Callable[[BaseException], None]) -> None:
        self.readers: dict[int, Reader[Any]] = {}
        self.writers: dict[int, Writer[Any]] = {}
        self.pools: list[Pool] = []
        self.states: list[KeptState] = []
        self.edges: list[SpillChannel] = []
        self._note_error = note_error
        self._finished: set[int] = set()

    async def complete(self) -> None:
        """Make all output visible; the first sink that cannot raises, and what follows it is left to be undone.

        What edges have on a disk goes as well: a run that is done is not begun again, and nobody would remove it.
        """
        for index, writer in self.writers.items():
            await self._finish(index, writer)
        while self.edges:
            await self._try(self.edges.pop().release())

    async def _finish(self, index: int, writer: Writer[Any]) -> None:
        await writer.finish()
        self._finished.add(index)

    async def close(self, keep: Container[int] = (), *, suspend: bool = False) -> None:
        """Undo what was not completed, and close everything; a sink that has finished stays so.

        Those in `keep` are completed all the same: what was set aside tells why a run has failed. With `suspend`,
        nothing is undone or completed: a later run goes on from the last checkpoint.
        """
        while self.pools:
            await self._try(self.pools.pop().close())
        while self.edges:
            await self._try(self.edges.pop().release(keep=suspend))
        for index, writer in self.writers.items():
            if suspend and index not in self._finished:
                await self._try(writer.suspend())
                continue
            if index in keep and index not in self._finished:
                await self._try(self._finish(index, writer))
            if index not in self._finished:
                await self._try(writer.abort())
        for index in list(self.readers):
            await self.close_reader(index)
        while self.states:
            await self._try(self.states.pop().close())
        for writer in self.writers.values():
            await self._try(writer.close())

    async def _try(self, closing: Coroutine[Any, Any, None]) -> None:
        try:
            await closing
        except _ERRORS as error:
            self._note_error(error)

    async def close_reader(self, index: int) -> None:
        """Close the source of stage `index`, if it has one that is open."""
        reader = self.readers.pop(index, None)
        if reader is None:
            return
        closing = asyncio.ensure_future(reader.close())
        while not closing.done():
            try:
                await asyncio.wait([closing])
            except asyncio.CancelledError:
                continue  # whatever is cancelled meanwhile, a source is closed; one that hangs is reported as hung
        if not closing.cancelled() and (error := closing.exception()) is not None:
            self._note_error(error)
