"""Objects that are used again instead of made again: what lies idle is bounded by its bytes.

Whoever takes an object holds a lease, and the pool knows nothing of what is out: an object whose lease is dropped is
lost to the pool, and that is all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

from streamflow.memory.reclaiming import register
from streamflow.model.arguments import whole_number
from streamflow.model.errors import FlowError
from streamflow.model.statistics import PoolStatistics

T = TypeVar("T")

#: Bytes of the smallest buffer, and size classes to a doubling: others are at most a quarter longer than asked for.
SMALLEST, STEPS = 1 << 12, 4


class _Idle(NamedTuple, Generic[T]):
    item: T
    size: int
    serial: int


class Lease(Generic[T]):
    """Hold one object that was taken from a pool until `give_back`, or to the end of a `with` block."""

    __slots__ = ("_give_back", "_item")

    def __init__(self, item: T, give_back: Callable[[T], None]) -> None:
        self._item = item
        self._give_back: Callable[[T], None] | None = give_back

    @property
    def item(self) -> T:
        """Return the object; FlowError says that it was given back."""
        if self._give_back is None:
            raise FlowError("this lease is over: its object was given back, and may be in use elsewhere")
        return self._item

    def give_back(self) -> None:
        """Let the pool have the object again, which nobody may use any more; FlowError says that it has it already."""
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            raise FlowError("give_back(): it was given back before; a lease is given back once")
        item = self._item
        del self._item
        give_back(item)

    def __enter__(self) -> T:
        return self.item

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._give_back is not None:
            self.give_back()

    def __repr__(self) -> str:
        return f"<Lease of {type(self._item).__name__}>" if self._give_back is not None else "<Lease, given back>"


class Shelf(Generic[T]):
    """Keep idle objects by the key of what they are alike in, and count; any thread may use it.

    Of a key the latest is taken first, which is the likeliest to be in the processor's cache. The longest idle make
    room for one that comes back.
    """

    def __init__(self, name: str, limit_bytes: int) -> None:
        self.name = name
        self.limit = whole_number("limit_bytes", limit_bytes, 0)
        self._lock = Lock()
        self._idle: dict[int, deque[_Idle[T]]] = {}
        self._bytes = self._serial = 0
        self._hits = self._misses = self._trims = self._refused = 0
        register(self)

    def take(self, key: int) -> T | None:
        """Return an idle object, or None."""
        with self._lock:
            if key not in self._idle:
                self._misses += 1
                return None
            self._hits += 1
            return self._remove(key, latest=True)

    def put(self, key: int, item: T, size: int) -> None:
        """Keep `item`, or let it go if it is larger than all that may lie idle."""
        let_go: list[T] = []  # outside the lock: freeing one may run any code
        with self._lock:
            if size > self.limit:
                self._refused += 1
                return
            while self._bytes + size > self.limit:
                oldest = min(self._idle, key=lambda key: self._idle[key][0].serial)
                let_go.append(self._remove(oldest, latest=False))
                self._trims += 1
            self._serial += 1
            self._idle.setdefault(key, deque()).append(_Idle(item, size, self._serial))
            self._bytes += size

    def _remove(self, key: int, *, latest: bool) -> T:
        alike = self._idle[key]
        one = alike.pop() if latest else alike.popleft()
        if not alike:
            del self._idle[key]
        self._bytes -= one.size
        return one.item

    def refuse(self) -> None:
        """Count an object that came back and could not be kept."""
        with self._lock:
            self._refused += 1

    def trim(self) -> int:
        """Let go of all that lies idle; return how many bytes that were."""
        with self._lock:
            idle, self._idle = self._idle, {}
            freed, self._bytes = self._bytes, 0
            self._trims += sum(map(len, idle.values()))
        return freed

    def statistics(self) -> PoolStatistics:
        """Return what was counted, and what lies idle."""
        with self._lock:
            return PoolStatistics(
                name=self.name,
                hits=self._hits,
                misses=self._misses,
                trims=self._trims,
                refused=self._refused,
                idle=sum(map(len, self._idle.values())),
                idle_bytes=self._bytes,
                limit_bytes=self.limit,
            )


class Pool(Generic[T]):
    """Be what pools have in common: a shelf of what lies idle."""

    def __init__(self, name: str, limit_bytes: int) -> None:
        self._shelf: Shelf[T] = Shelf(name, limit_bytes)

    def trim(self) -> int:
        """Let go of all that lies idle; return how many bytes that were."""
        return self._shelf.trim()

    def statistics(self) -> PoolStatistics:
        """Return the figures as they are now."""
        return self._shelf.statistics()

    def __repr__(self) -> str:
        now = self.statistics()
        return (
            f"<{type(self).__name__} {now.name!r}: {now.idle:,} idle ({now.idle_bytes:,} of {now.limit_bytes:,} bytes)"
            f", {now.hits:,} hits, {now.misses:,} misses>"
        )


class ObjectPool(Pool[T]):
    """Make objects by `make()`, and keep up to `limit_bytes` of those that come back, by what `size_of` says of each.

    `reset` is called with what comes back, before anybody else may have it. If it raises, or `size_of` does, the
    object is not kept, and `give_back` raises that. Any thread may take and give back.

    >>> pool = ObjectPool(list, limit_bytes=1000, size_of=len, reset=list.clear)
    >>> with pool.take() as found:
    ...     found.append(1)
    >>> pool.take().item, pool.statistics().hits
    ([], 1)
    """

    def __init__(
        self,
        make: Callable[[], T],
        *,
        limit_bytes: int,
        size_of: Callable[[T], int],
        reset: Callable[[T], object] | None = None,
        name: str = "objects",
    ) -> None:
        super().__init__(name, limit_bytes)
        self._make = make
        self._size_of = size_of
        self._reset = reset

    def take(self) -> Lease[T]:
        """Return a lease of an object that lay idle, or of a new one."""
        item = self._shelf.take(0)
        return Lease(self._make() if item is None else item, self._take_back)

    def _take_back(self, item: T) -> None:
        try:
            if self._reset is not None:
                self._reset(item)
            size = self._size_of(item)
        except BaseException:
            self._shelf.refuse()
            raise
        self._shelf.put(0, item, size)


class BufferPool(Pool[bytearray]):
    """Lend buffers of at least as many bytes as asked for, holding whatever was in them last; any thread may ask.

    A buffer that comes back while somebody still looks into it (a memoryview, an array made of it, a read that
    fills it), or that was made longer or shorter, is not kept: its memory lives as long as they do.

    >>> pool = BufferPool(1 << 20)
    >>> with pool.take(5000) as buffer:
    ...     len(buffer)
    5120
    """

    def __init__(self, limit_bytes: int, name: str = "buffers") -> None:
        super().__init__(name, limit_bytes)

    def take(self, size: int) -> Lease[bytearray]:
        """Return a lease of a buffer of at least `size` bytes, at most a quarter more if it is not tiny."""
        length = size_class(whole_number("take(size)", size, 0))
        buffer = self._shelf.take(length)
        return Lease(bytearray(length) if buffer is None else buffer, self._take_back)

    def _take_back(self, buffer: bytearray) -> None:
        length = len(buffer)
        if length != size_class(length) or exported(buffer):
            self._shelf.refuse()
        else:
            self._shelf.put(length, buffer, length)


def size_class(size: int) -> int:
    """Return the number of bytes of the buffers that are lent to who asks for `size`.

    >>> [size_class(size) for size in (0, 4096, 4097, 1 << 20, (1 << 20) + 1)]
    [4096, 4096, 5120, 1048576, 1310720]
    """
    if size <= SMALLEST:
        return SMALLEST
    step = (1 << (size - 1).bit_length() - 1) // STEPS
    return -(-size // step) * step


def exported(buffer: bytearray) -> bool:
    """Tell whether anybody looks into `buffer`, which cannot be empty: it could not be made shorter then."""
    try:
        last = buffer.pop()  # neither this nor `append` moves or copies it: 0.1 µs
    except BufferError:
        return True
    buffer.append(last)
    return False


#: What files are read into and written from, in all runs of the process. A run's end empties it if it was the last.
BUFFERS = BufferPool(32 << 20, name="file buffers")
#: What results of worker processes are copied into where they are not handed on as they lie.
ARRAYS = BufferPool(64 << 20, name="array buffers")
