"""Any iterable, or a function that makes one."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterator, Sequence, Sized
from collections.abc import Iterable as PlainIterable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from itertools import islice
from time import perf_counter
from typing import Generic, TypeVar

from streamflow.model.errors import FlowError, RecordError
from streamflow.model.interfaces import PullReader, Reader, Source
from streamflow.model.positions import Position
from streamflow.model.statistics import Progress
from streamflow.sources.once import Once
from streamflow.sources.threaded import ThreadReader

T = TypeVar("T")

#: Seconds that one pull may take, unless a single item takes longer.
SLICE = 1e-3
#: Items between two looks at the clock, at most: a look costs as much as a short item.
LONGEST_STRIDE = 16

log = logging.getLogger("streamflow.sources")


@dataclass(frozen=True, eq=False)
class Iterable(Source[T]):
    """Read the items of `items`: an iterable, or a function without arguments that returns one.

    A list, tuple, range or function can be read by any number of runs; an iterator (a generator, a `map`, a
    file) by one only: a second run raises FlowError. A generator is closed at the end of the run that read
    it.

    With `on_thread`, an iterable that blocks (it waits for a network, a device, a person) is pulled on a
    thread of its own. `endless` says that it does not end by itself, so that sinks write in place.
    """

    items: PlainIterable[T] | Callable[[], PlainIterable[T]]
    _: KW_ONLY
    on_thread: bool = False
    endless: bool = False
    _once: Once = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _require_iterable(self.items)
        object.__setattr__(self, "_once", Once(self.items))

    @property
    def bounded(self) -> bool:
        """Tell whether the source ends by itself, as far as the user said."""
        return not self.endless

    @property
    def replayable(self) -> bool:
        """Tell whether each run sees the same items: a sequence, or what a function makes anew."""
        return isinstance(self.items, Sequence) or not _is_iterable(self.items)

    @property
    def label(self) -> str:
        """Return the name of the function or generator, or the type of the iterable."""
        name = getattr(self.items, "__name__", None)
        return name if isinstance(name, str) and name.isidentifier() else type(self.items).__name__

    async def open(self) -> Reader[T]:
        """Open the iterable for one run; nothing is pulled yet, and nothing is waited for."""
        if self.on_thread:
            return ThreadReader(self._pulled(), self.label)
        if type(self.items) in (list, tuple, range):
            return SequenceReader(self.items, self.label)  # type: ignore[arg-type]
        return IteratorReader(self._pulled(), self.label)

    def _pulled(self) -> Pulled[T]:
        self._once.refuse_second_run()
        return Pulled(self.items, self._once)


class Pulled(Generic[T]):
    """Hold the iterator of one run, made when the first item is asked for, and close it in the end."""

    def __init__(self, items: PlainIterable[T] | Callable[[], PlainIterable[T]], once: Once) -> None:
        self._items = items
        self._once = once
        self._iterator: Iterator[T] | None = None
        #: How many items there are, once `begin` was called, if what is iterated over can say so.
        self.total: int | None = None

    @property
    def replayable(self) -> bool:
        """Tell whether the first n items can be skipped to come to item n of an earlier run."""
        return isinstance(self._items, Sequence) or not _is_iterable(self._items)

    def begin(self) -> Iterator[T]:
        """Return the iterator; from now on a second run is refused it."""
        self._iterator = iterator = self._make()
        if iterator is self._items:
            self._once.begin()
        return iterator

    def close(self) -> None:
        """Close a generator, and whatever else a function opened for this run (a file, a cursor)."""
        iterator, self._iterator = self._iterator, None
        if iterator is None or not (isinstance(iterator, Generator) or not _is_iterable(self._items)):
            return
        close = getattr(iterator, "close", None)
        if not callable(close):
            return
        try:
            close()
        except RuntimeError as error:
            if "ignored GeneratorExit" not in str(error):
                raise
            log.warning("%r yields after it was closed: what it yields there is lost", iterator)

    def _make(self) -> Iterator[T]:
        if _is_iterable(self._items):
            self.total = _length(self._items)
            return iter(self._items)  # type: ignore[arg-type]
        made = self._items()  # type: ignore[operator]
        if not _is_iterable(made):
            if inspect.iscoroutine(made):
                made.close()
            raise FlowError(f"{self._items!r} returned {type(made).__name__}, which is no iterable{_hint(made)}")
        self.total = _length(made)
        return iter(made)


class SequenceReader(PullReader[T]):
    """Read a list, tuple or range by slices."""

    def __init__(self, items: Sequence[T], label: str) -> None:
        self._items = items
        self._label = label
        self._index = 0

    def pull(self, limit: int) -> Sequence[T] | None:
        """Return the next `limit` items."""
        batch = self._items[self._index : self._index + limit]
        self._index += len(batch)
        return batch or None

    def position(self) -> Position:
        """Return the ordinal of the next item."""
        return Position(self._label, index=self._index)

    def progress(self) -> Progress:
        """Return the items given, of all there are now."""
        return Progress(done=self._index, total=len(self._items), unit="items")

    async def seek(self, position: Position) -> None:
        """Go on from item `position.index`."""
        wanted = _index_of(position)
        if wanted > len(self._items):
            raise RecordError(f"{self._label} ends at item {len(self._items):,}, before {position}: it has changed")
        self._index = wanted


class IteratorReader(PullReader[T]):
    """Pull from an iterator so that no item waits long for the next one.

    The first pull takes one item and each that stays within its millisecond doubles the next; one that does
    not cuts it to what a millisecond holds. The clock is looked at after each stride of items, of 1 to 16.
    """

    def __init__(self, pulled: Pulled[T], label: str) -> None:
        self._pulled = pulled
        self._label = label
        self._iterator: Iterator[T] | None = None
        self._ended = False
        self._index = 0
        self._size = 1
        self._stride = 1
        self._error: BaseException | None = None

    def pull(self, limit: int) -> Sequence[T] | None:
        """Return what a millisecond gives, or one item if that takes longer."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._ended:
            return None
        batch: list[T] = []
        try:
            self._fill(batch, min(limit, self._size))
        except BaseException as error:
            if not batch:
                raise
            self._error = error  # for the next pull: the items before it come first
        self._index += len(batch)
        return batch or None

    def _fill(self, batch: list[T], size: int) -> None:
        iterator = self._iterator
        if iterator is None:
            iterator = self._iterator = self._pulled.begin()
        began = now = perf_counter()
        while size > 0:
            stride = min(self._stride, size)
            before = len(batch)
            # If the iterator raises in the middle, `extend` leaves the items before that in the batch.
            batch.extend(islice(iterator, stride))
            if len(batch) - before < stride:
                self._ended = True  # and the iterator is never asked again, even if it would go on
                return
            size -= stride
            earlier, now = now, perf_counter()
            self._adapt_stride(now - earlier, stride)
            if now - began >= SLICE:
                self._size = max(1, int(len(batch) * SLICE / (now - began)))
                return
        self._size = max(self._size, 2 * len(batch))

    def _adapt_stride(self, seconds: float, stride: int) -> None:
        """Keep a stride within an eighth of the slice, by what its items have just cost."""
        if seconds * 8 > SLICE:
            self._stride = max(1, stride // 2) if seconds < SLICE else 1
        elif stride == self._stride < LONGEST_STRIDE:
            self._stride *= 2

    def position(self) -> Position:
        """Return the ordinal of the next item."""
        return Position(self._label, index=self._index)

    def progress(self) -> Progress:
        """Return the items given, of as many as there were at the beginning."""
        return Progress(done=self._index, total=self._pulled.total, unit="items")

    async def seek(self, position: Position) -> None:
        """Pull and drop items up to `position.index`, of a sequence or of what a function makes anew."""
        if not self._pulled.replayable:
            await super().seek(position)
        wanted = _index_of(position)
        iterator = self._iterator = self._pulled.begin()
        turn = perf_counter()
        while self._index < wanted:
            skipped = sum(1 for _ in islice(iterator, min(LONGEST_STRIDE, wanted - self._index)))
            if not skipped:
                raise RecordError(f"{self._label} ends at item {self._index:,}, before {position}: it has changed")
            self._index += skipped
            if perf_counter() - turn > SLICE:
                await asyncio.sleep(0)
                turn = perf_counter()

    def release(self) -> None:
        """Close the generator, if it is one."""
        self._ended = True
        self._iterator = None
        self._pulled.close()


def _is_iterable(items: object) -> bool:
    return hasattr(type(items), "__iter__") or hasattr(type(items), "__getitem__")


def _length(items: object) -> int | None:
    if isinstance(items, Sized):
        with suppress(Exception):  # it was asked for the eyes only: whoever cannot say so may still be iterated over
            return len(items)
    return None


def _hint(items: object) -> str:
    if isinstance(items, AsyncIterable):
        return ": use AsyncIterable for it"
    if isinstance(items, Awaitable):
        return ": an async function that yields makes an async iterable; one that returns cannot be a source"
    return ""


def _require_iterable(items: object) -> None:
    if _is_iterable(items):
        return
    if not callable(items) or inspect.iscoroutinefunction(items):
        raise FlowError(f"Iterable({items!r}): expected an iterable or a function that returns one{_hint(items)}")
    if inspect.isasyncgenfunction(items):
        raise FlowError(f"Iterable({items!r}): this function makes an async iterable: use AsyncIterable for it")
    try:
        inspect.signature(items).bind()
    except TypeError as error:
        raise FlowError(f"Iterable({items!r}): the function is called without arguments, but has a {error}") from None
    except ValueError:
        return  # a builtin without a signature: the call will tell


def _index_of(position: Position) -> int:
    if position.index is None:
        raise RecordError(f"cannot seek to {position}: it has no index")
    return position.index
