"""Parts that raise, hang or lose their connection exactly where a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from streamflow.model.errors import RecordError
from streamflow.model.interfaces import Reader, Sink, Source, Writer
from streamflow.model.policies import FAIL, ErrorPolicy, Retry
from streamflow.model.positions import Position
from streamflow.testing.calls import CallLog as CallLog
from streamflow.testing.calls import Life

T = TypeVar("T")


class InjectedError(Exception):
    """Play the part of a third party's error."""


@dataclass(frozen=True, kw_only=True)
class _Faulty:
    """Say where a part goes wrong. Items are counted from 0; the fault comes in place of that item.

    `fail_at` raises `error` (an instance as it is, a class with a message), `disconnect_at` raises
    ConnectionError, `hang_at` waits for ever (a cancellation ends it). `fail_in` and `hang_in` name a method
    that does so instead, at each call. A fault happens at most `times` times in the life of the description
    (None: always), after which the same item passes. `delay` is waited (in the loop's seconds) before each
    read or write.
    """

    fail_at: int | None = None
    error: BaseException | type[BaseException] = InjectedError
    disconnect_at: int | None = None
    hang_at: int | None = None
    fail_in: str | None = None
    hang_in: str | None = None
    times: int | None = None
    delay: float = 0.0
    log: CallLog = field(default_factory=CallLog, compare=False, repr=False)
    errors: ErrorPolicy = FAIL

    def stop(self, start: int, end: int) -> int:
        """Return how far the items from `start` to `end` are free of faults."""
        if self._spent:
            return end
        places = (self.fail_at, self.disconnect_at, self.hang_at)
        return min((place for place in places if place is not None and start <= place < end), default=end)

    async def at_item(self, index: int) -> None:
        """Go wrong if item `index` is the place for it."""
        if self.hang_at == index:
            await self._hang()
        if self.disconnect_at == index:
            self._raise(ConnectionResetError(f"injected: the connection was lost at item {index}"))
        if self.fail_at == index:
            self._raise(self._error(f"injected at item {index}"))

    async def in_method(self, method: str) -> None:
        """Go wrong if `method` is the place for it."""
        if self.hang_in == method:
            await self._hang()
        if self.fail_in == method:
            self._raise(self._error(f"injected in {method}"))

    @property
    def _spent(self) -> bool:
        return self.times is not None and self.log.faults >= self.times

    def _error(self, message: str) -> BaseException:
        return self.error(message) if isinstance(self.error, type) else self.error

    def _raise(self, error: BaseException) -> None:
        if not self._spent:
            self.log.faults += 1
            raise error

    async def _hang(self) -> None:
        if not self._spent:
            self.log.faults += 1
            await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, kw_only=True)
class FaultySource(_Faulty, Source[T], Generic[T]):
    """Hand out `items`, at most `batch` a read, and go wrong where told; an `endless` one waits at the end.

    It is replayable and bounded unless told otherwise. Faults: `fail_at`, `disconnect_at`, `hang_at` (an
    item's index), `fail_in`, `hang_in` ("open", "read", "seek" or "close"), `times`, `delay`; `log` tells
    what was called.

    >>> from streamflow.testing import run
    >>> source = FaultySource(items=[1, 2, 3], fail_at=2)
    >>> async def main() -> None:
    ...     reader = await source.open()
    ...     print(await reader.read(10))
    ...     try:
    ...         await reader.read(10)
    ...     except InjectedError as error:
    ...         print(error)
    ...     await reader.close()
    >>> run(main)
    [1, 2]
    injected at item 2
    >>> source.log.methods()
    ['open', 'read', 'read', 'close']
    """

    items: Sequence[T] = field(default=(), kw_only=False)
    batch: int | None = None
    endless: bool = False
    can_seek: bool = True
    name: str = "faulty"

    @property
    def bounded(self) -> bool:
        """Tell whether it ends, so whether it is not `endless`."""
        return not self.endless

    @property
    def replayable(self) -> bool:
        """Tell whether `can_seek` was left on."""
        return self.can_seek

    @property
    def label(self) -> str:
        """Return `name`."""
        return self.name

    async def open(self) -> Reader[T]:
        """Open, or go wrong if that was asked for."""
        life = Life(self.log, ends=False)
        with life.call("open"):
            await self.in_method("open")
        return _FaultyReader(self, life)


class _FaultyReader(Reader[T]):
    def __init__(self, source: FaultySource[T], life: Life) -> None:
        self._source = source
        self._life = life
        self._next = 0

    async def read(self, limit: int) -> Sequence[T] | None:
        source = self._source
        with self._life.call("read"):
            await asyncio.sleep(source.delay)
            await source.in_method("read")
            await source.at_item(self._next)
            if self._next >= len(source.items):
                await self._end()
                return None
            return self._take(limit if source.batch is None else min(limit, source.batch))

    async def _end(self) -> None:
        if self._source.endless:
            await asyncio.get_running_loop().create_future()

    def _take(self, limit: int) -> Sequence[T]:
        # Nothing awaits between here and the return, so that a cancellation cannot lose what was taken.
        end = min(self._next + limit, len(self._source.items))
        end = self._source.stop(self._next + 1, end)
        found = list(self._source.items[self._next : end])
        self._next = end
        self._life.log.items += found
        return found

    def position(self) -> Position:
        return Position(self._source.name, index=self._next)

    async def seek(self, position: Position) -> None:
        with self._life.call("seek"):
            await self._source.in_method("seek")
            if not self._source.can_seek or position.index is None:
                raise RecordError(f"{self._source.name} cannot seek to {position}")
            self._next = position.index

    async def close(self) -> None:
        with self._life.call("close"):
            await self._source.in_method("close")


@dataclass(frozen=True, kw_only=True)
class FaultySink(_Faulty, Sink[T], Generic[T]):
    """Take items into `log.items` and go wrong where told; what is committed or finished is in `log.visible`.

    Faults: `fail_at`, `disconnect_at`, `hang_at` (the index of an item among all those one writer takes),
    `fail_in`, `hang_in` ("open", "write", "flush", "prepare", "commit", "abort", "finish" or "close"),
    `times`, `delay`.

    >>> from streamflow.testing import run
    >>> sink = FaultySink(fail_in="finish")
    >>> async def main() -> None:
    ...     writer = await sink.open(bounded=True)
    ...     await writer.write([1, 2])
    ...     try:
    ...         await writer.finish()
    ...     except InjectedError:
    ...         await writer.abort()
    ...     await writer.close()
    >>> run(main)
    >>> sink.log.items, sink.log.visible, sink.log.aborted
    ([1, 2], [], 1)
    """

    retry: Retry | None = None
    name: str = "faulty"

    @property
    def label(self) -> str:
        """Return `name`."""
        return self.name

    async def open(self, bounded: bool) -> Writer[Any]:
        """Open, or go wrong if that was asked for."""
        life = Life(self.log, ends=True)
        with life.call("open"):
            await self.in_method("open")
        return _FaultyWriter(self, life)


class _FaultyWriter(Writer[T]):
    def __init__(self, sink: FaultySink[T], life: Life) -> None:
        self._sink = sink
        self._life = life
        self._taken = 0
        self._hidden: list[T] = []
        self._prepared: dict[int, list[T]] = {}

    async def write(self, batch: Sequence[T]) -> None:
        self.written = 0
        with self._life.call("write"):
            await asyncio.sleep(self._sink.delay)
            await self._sink.in_method("write")
            for item in batch:
                await self._sink.at_item(self._taken)
                self._taken += 1
                self.written += 1
                self._hidden.append(item)
                self._life.log.items.append(item)

    async def flush(self) -> None:
        with self._life.call("flush"):
            await self._sink.in_method("flush")

    async def prepare(self, epoch: int) -> int:
        with self._life.call("prepare"):
            await self._sink.in_method("prepare")
            self._prepared[epoch], self._hidden = self._hidden, []
            return epoch

    async def commit(self, epoch: int) -> None:
        with self._life.call("commit"):
            await self._sink.in_method("commit")
            for one in sorted(self._prepared):
                if one <= epoch:
                    self._life.log.visible += self._prepared.pop(one)

    async def abort(self) -> None:
        with self._life.call("abort"):
            await self._sink.in_method("abort")
            self._hidden.clear()
            self._prepared.clear()

    async def finish(self) -> None:
        with self._life.call("finish"):
            await self._sink.in_method("finish")
            for epoch in sorted(self._prepared):
                self._life.log.visible += self._prepared.pop(epoch)
            self._life.log.visible += self._hidden
            self._hidden = []

    async def close(self) -> None:
        with self._life.call("close"):
            await self._sink.in_method("close")
