"""Any async iterable, or a function that makes one."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from collections.abc import AsyncIterable as PlainAsyncIterable
from dataclasses import KW_ONLY, dataclass, field
from time import perf_counter
from typing import Any, Generic, TypeVar

from streamflow.model.errors import FlowError, RecordError, StreamflowError
from streamflow.model.interfaces import Reader, Source
from streamflow.model.positions import Position
from streamflow.sources.once import Once

T = TypeVar("T")

log = logging.getLogger("streamflow.sources")

#: Seconds for which items that come without a wait are gathered before they are passed on.
SLICE = 1e-3
#: Items between two looks at the clock.
STRIDE = 8


@dataclass(frozen=True, eq=False)
class AsyncIterable(Source[T]):
    """Read the items of `items`: an async iterable, or a function without arguments that returns one.

    An async iterator (an async generator) can be read by one run only: a second one raises FlowError. A
    generator is closed at the end of the run that read it. `endless` says that it does not end by itself, so
    that sinks write in place.
    """

    items: PlainAsyncIterable[T] | Callable[[], PlainAsyncIterable[T] | Awaitable[PlainAsyncIterable[T]]]
    _: KW_ONLY
    endless: bool = False
    _once: Once = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _require_async_iterable(self.items)
        object.__setattr__(self, "_once", Once(self.items))

    @property
    def bounded(self) -> bool:
        """Tell whether the source ends by itself, as far as the user said."""
        return not self.endless

    @property
    def replayable(self) -> bool:
        """Tell whether each run sees the same items, as those of a function can be expected to be."""
        return not _is_async_iterable(self.items)

    @property
    def label(self) -> str:
        """Return the name of the function or generator, or the type of the iterable."""
        name = getattr(self.items, "__name__", None)
        return name if isinstance(name, str) and name.isidentifier() else type(self.items).__name__

    async def open(self) -> Reader[T]:
        """Open the async iterable for one run; nothing is asked of it yet."""
        self._once.refuse_second_run()
        return AsyncReader(_Awaited(self.items, self._once), self.label, self.replayable)


class AsyncReader(Reader[T]):
    """Take what an async iterator gives, without a switch of tasks for each item.

    The iterator lives in a task of its own, from its first item to its end: what a generator opens around its
    `yield` (`asyncio.timeout`, a task group, a context variable) must be left in the task that entered it,
    and a reader that goes away must not interrupt it. That task runs on while items come without a wait, and
    stops when no `read` waits for more: never more than one item is taken from the iterator that was not
    asked for.
    """

    def __init__(self, awaited: _Awaited[T], label: str, replayable: bool) -> None:
        self._awaited = awaited
        self._label = label
        self._replayable = replayable
        self._index = 0
        self._skip = 0
        self._items: deque[T] = deque()
        self._wanted = 0
        self._draining = False
        self._error: BaseException | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._demand: asyncio.Future[None] | None = None
        self._pump: asyncio.Task[None] | None = None

    async def read(self, limit: int) -> Sequence[T] | None:
        """Wait for the first item, and return it with those that came right after it."""
        while not self._items:
            if self._pump.done() if self._pump is not None else self._draining:
                self._raise_error()
                return None
            self._ask(limit)
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        return self._take(limit)

    def position(self) -> Position:
        """Return the ordinal of the next item."""
        return Position(self._label, index=self._index)

    async def seek(self, position: Position) -> None:
        """Drop the items before `position.index` first."""
        if not self._replayable or position.index is None:
            await super().seek(position)
        self._index = self._skip = position.index or 0

    def drain(self) -> bool:
        """Interrupt the iterator, which may give an item all the same; what has come is still to be read."""
        self._stop()
        return self._pump is not None

    async def close(self) -> None:
        """Cancel what the iterator waits for, and close it, in its own task; raise what it raises then."""
        pump = self._pump
        if pump is None:
            return
        self._stop()
        await asyncio.wait([pump])
        self._raise_error()

    def _stop(self) -> None:
        if self._pump is not None and not self._draining:
            self._pump.cancel()
        self._draining = True

    def _ask(self, limit: int) -> None:
        self._wanted = limit
        if self._pump is None:
            self._pump = asyncio.create_task(self._run(), name=f"streamflow-{self._label}")
        _settle(self._demand)

    def _take(self, limit: int) -> list[T]:
        items = self._items
        if len(items) <= limit:
            batch = list(items)
            items.clear()
        else:
            batch = [items.popleft() for _ in range(limit)]
        self._index += len(batch)
        self._wanted = 0
        return batch

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if isinstance(error, asyncio.CancelledError):
            # Raised as it is, it would be taken for a cancellation of the run.
            raise StreamflowError(f"{self._label} was cancelled by its own code, not by the run") from error
        if error is not None:
            raise error

    # From here on: in the iterator's task.

    async def _run(self) -> None:
        try:
            await self._gather()
        except BaseException as error:
            if not (self._draining and isinstance(error, asyncio.CancelledError)):
                self._error = error
        try:
            await self._awaited.close()
        except BaseException as error:
            self._error = self._error or error
        _settle(self._arrival)

    async def _gather(self) -> None:
        iterator = await self._awaited.begin()
        await self._drop(iterator)
        items, following = self._items, iterator.__anext__
        began = perf_counter()
        while not self._draining:
            if len(items) >= self._wanted:
                self._demand = asyncio.get_running_loop().create_future()
                await self._demand
                began = perf_counter()
            try:
                items.append(await following())
            except StopAsyncIteration:
                return
            if self._arrival is not None:
                _settle(self._arrival)
                self._arrival = None
            # After the first item, so that slow ones come one by one, and then at times: a look costs half an item.
            if len(items) % STRIDE == 1 and perf_counter() - began >= SLICE:
                await asyncio.sleep(0)  # the reader, which was woken by the first of them, takes them now
                began = perf_counter()

    async def _drop(self, iterator: AsyncIterator[T]) -> None:
        for dropped in range(self._skip):
            try:
                await iterator.__anext__()
            except StopAsyncIteration:
                raise RecordError(
                    f"{self._label} ends at item {dropped:,}, before item {self._skip:,}: it has changed"
                ) from None


class _Awaited(Generic[T]):
    """Hold the async iterator of one run, made when the first item is asked for."""

    def __init__(self, items: Any, once: Once) -> None:
        self._items = items
        self._once = once
        self._iterator: AsyncIterator[T] | None = None

    async def begin(self) -> AsyncIterator[T]:
        """Return the iterator; from now on a second run is refused it."""
        iterator = self._iterator = aiter(await self._iterable())
        if iterator is self._items:
            self._once.begin()
        return iterator

    async def close(self) -> None:
        """Close an async generator, and whatever else a function opened for this run."""
        iterator, self._iterator = self._iterator, None
        if iterator is None or not (isinstance(iterator, AsyncGenerator) or not _is_async_iterable(self._items)):
            return
        close = getattr(iterator, "aclose", None)
        if not callable(close):
            return
        try:
            await close()
        except RuntimeError as error:
            if "ignored GeneratorExit" not in str(error):
                raise
            log.warning("%r yields after it was closed: what it yields there is lost", iterator)

    async def _iterable(self) -> PlainAsyncIterable[T]:
        if _is_async_iterable(self._items):
            return self._items  # type: ignore[no-any-return]
        made = self._items()
        if inspect.isawaitable(made):
            made = await made
        if not _is_async_iterable(made):
            raise FlowError(f"{self._items!r} returned {type(made).__name__}, which is no async iterable")
        return made  # type: ignore[no-any-return]


def _settle(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _is_async_iterable(items: object) -> bool:
    return hasattr(type(items), "__aiter__")


def _require_async_iterable(items: object) -> None:
    if _is_async_iterable(items):
        return
    if not callable(items):
        hint = ": use Iterable for it" if hasattr(type(items), "__iter__") else ""
        raise FlowError(f"AsyncIterable({items!r}): expected an async iterable or a function that returns one{hint}")
    try:
        inspect.signature(items).bind()
    except TypeError as error:
        raise FlowError(
            f"AsyncIterable({items!r}): the function is called without arguments, but has a {error}"
        ) from None
    except ValueError:
        return  # a builtin without a signature: the call will tell
