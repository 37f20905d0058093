"""The state store of a live stage: what may block is done on a thread of its own, if it blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from time import perf_counter
from typing import Any, TypeVar

from streamflow.engine.turn import Turn
from streamflow.files.threads import FileThread
from streamflow.model.checkpoint import WRITTEN
from streamflow.model.errors import NotSerialisable
from streamflow.model.interfaces import StateStore

T = TypeVar("T")

#: Keys that are handed to the thread at once, or read from it: the loop is not held for more.
AT_ONCE = 500


class KeptState:
    """Bring keys in before they are needed, and write behind; used by one stage, closed by the run."""

    def __init__(self, store: StateStore, turn: Turn, label: str) -> None:
        self.store = store
        self._turn = turn
        self._label = label
        self._thread: FileThread | None = None
        #: The last of what was handed over to be written.
        self._writing: asyncio.Future[None] | None = None
        #: Seconds for which somebody waited for the thread.
        self.waited = 0.0
        #: The moment up to which keys were last forgotten on the disk.
        self._forgot: float | None = None

    async def open(self) -> None:
        """Make what the store needs."""
        if self.store.blocks:
            self._thread = FileThread(f"state of {self._label}")
        await self._call(self.store.open)

    async def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        if self._thread is None:
            return function(*arguments)
        began = perf_counter()
        try:
            return await self._thread.run(function, *arguments)
        finally:
            self.waited += perf_counter() - began

    async def have(self, keys: Iterable[Any]) -> None:
        """Bring `keys` in."""
        missing = self.store.missing(keys)
        for at in range(0, len(missing), AT_ONCE):
            self.store.admit(await self._call(self.store.fetch, missing[at : at + AT_ONCE]))

    async def settle(self) -> None:
        """Write what memory is not to hold any more; what was handed over before is written by then."""
        while (unwritten := self.store.shed(AT_ONCE)) is not None:
            await self.written()
            self._hand_over(unwritten)
            await self._next_turn()

    async def save(self) -> None:
        """Write all that has changed."""
        await self.settle()
        while (unwritten := self.store.unsaved(AT_ONCE)) is not None:
            await self.written()
            self._hand_over(unwritten)
            await self._next_turn()
        await self.written()

    def _hand_over(self, unwritten: Any) -> None:
        assert self._thread is not None
        self._writing = self._thread.submit(self.store.write, unwritten)

    async def written(self) -> None:
        """Wait until what was handed over is on the disk."""
        if self._writing is None:
            return
        began = perf_counter()
        try:
            await self._writing
        except NotSerialisable as error:
            raise NotSerialisable(f"{self._label}: {error}") from error.__cause__
        finally:
            self.waited += perf_counter() - began
        self._writing = None

    async def _next_turn(self) -> None:
        if self._turn.spent():
            await self._turn.next()

    async def forget(self, before: float, limit: int) -> None:
        """Forget about `limit` keys in memory that were put at `before` or earlier, and as many on the disk."""
        for _ in range(0, limit, AT_ONCE):
            self.store.forget(before, AT_ONCE)
            await self._next_turn()
        if self._thread is not None and (self._forgot is None or before > self._forgot):
            gone = await self._call(self.store.expire, before, limit)
            self.store.forgotten(gone)
            self._forgot = before if len(gone) < limit else None

    async def items(self) -> AsyncIterator[list[tuple[Any, Any]]]:
        """Yield keys and values in their order, some at a time."""
        await self.save()
        async for some in self._in_slices(self.store.items()):
            yield some

    async def _in_slices(self, rest: Iterator[Any]) -> AsyncIterator[list[Any]]:
        while some := await self._call(_taken, rest):
            yield some

    # -- checkpoints ----------------------------------------------------------------------------------------------

    async def pieces(self) -> AsyncIterator[Any]:
        """Yield all, for a checkpoint."""
        await self.save()
        rest = self.store.pieces()
        while (piece := await self._call(next, rest, None)) is not None:
            yield piece
            await self._next_turn()

    async def load(self, pieces: Sequence[Any]) -> None:
        """Take all pieces, of a store of any kind."""
        for piece in pieces:
            if self._thread is None:
                piece = _readable(piece)
            await self._call(self.store.load, piece)
            await self._next_turn()
        await self._call(self.store.loaded)

    async def close(self) -> None:
        """Let go of everything."""
        if self._thread is not None:
            thread, self._thread = self._thread, None
            await thread.close_after(self.store.close, self._writing)
        else:
            self.store.close()


def _taken(rest: Iterator[T]) -> list[T]:
    return list(islice(rest, AT_ONCE))


def _readable(piece: Any) -> Any:
    """Return a piece with its keys and values as they are."""
    from streamflow.state.encoding import decode  # late: most runs write none

    kind, entries = decode(piece) if isinstance(piece, bytes) else piece
    if kind == WRITTEN:
        entries = [(number, *decode(data)) for number, _, data, _ in entries]
    return kind, entries
