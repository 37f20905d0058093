"""Buffers that cross between two processes without being copied through a pipe.

The ownership rule: *the one side writes and allocates, the other reads and gives back; only the writer frees.*
The writer (`Arena`) takes a block, fills it and sends its reference (offset and length). From then on it does not
touch the block. The reader (`Borrowed`) makes arrays right over it; when the last of them has died it sends the
offset back, and only then the writer frees the block, which may be handed out again. So nothing needs a lock, and
an array that somebody still refers to is never overwritten. When a reader dies, the writer frees what that one had.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pickle import PickleBuffer

from streamflow.memory.free_list import PAGE, FreeList, rounded
from streamflow.memory.segment import Segment


@dataclass(frozen=True, slots=True)
class ArenaStatistics:
    """Say how full an arena is and was, in bytes, and how often it was exhausted."""

    capacity: int
    #: The size of the segment: more than the capacity once something larger has passed.
    size: int
    used: int
    peak: int
    #: Blocks that are handed out.
    blocks: int
    allocations: int
    #: How often somebody had to wait until something is given back.
    waits: int
    #: Bytes given back to the system by trimming.
    trimmed: int


class Block:
    """Be a part of the arena that is to be written to."""

    __slots__ = ("length", "offset", "view")

    def __init__(self, offset: int, length: int, view: memoryview) -> None:
        self.offset = offset
        self.length = length
        #: The bytes to write into; not to be touched any more once the reference has been sent.
        self.view = view

    @property
    def reference(self) -> tuple[int, int]:
        """Return what travels instead of the bytes: offset and length."""
        return self.offset, self.length

    def __repr__(self) -> str:
        return f"<Block of {self.length} bytes at {self.offset}>"


class Arena:
    """Hand out blocks of a segment, `capacity` bytes at a time: the writer's side, for one thread."""

    def __init__(self, segment: Segment, capacity: int) -> None:
        self.segment = segment
        self.capacity = capacity
        if segment.size < capacity:
            segment.grow(capacity)
        self._space = FreeList(capacity)
        self._waits = 0
        self._allocations = 0
        self._trimmed = 0

    @property
    def used(self) -> int:
        """Return how many bytes are handed out."""
        return self._space.used

    @property
    def peak(self) -> int:
        """Return the most bytes that were handed out at one time."""
        return self._space.peak

    @property
    def allocations(self) -> int:
        """Return how many blocks were handed out so far."""
        return self._allocations

    @property
    def waits(self) -> int:
        """Return how often the arena was exhausted."""
        return self._waits

    def allocate(self, n: int, *, beyond: bool = False) -> Block | None:
        """Return a block of `n` bytes, or None: then wait until something is given back.

        What is larger than the whole arena passes alone: when nothing is in use, or with `beyond`, the segment
        grows; so waiting always ends. Raises OSError where the system cannot grow it: let the bytes go another way.
        """
        space = self._space
        may_grow = beyond or not space.used
        # What grew once is not room for more from then on: the capacity bounds what is handed out, not the segment.
        offset = space.allocate(n) if may_grow or space.used + rounded(n) <= self.capacity else None
        if offset is None:
            if not may_grow:
                self._waits += 1
                return None
            offset = self._allocate_beyond(n)
        self._allocations += 1
        return Block(offset, n, self.segment.view(offset, n))

    def give_back(self, offset: int) -> None:
        """Free the block at `offset`, which nobody refers to any more; raise KeyError if there is none."""
        end = offset + self._space.free(offset)
        if end > self.capacity:
            # Only what lies within the capacity is kept warm for the next one.
            start = max(offset, self.capacity)
            self.segment.discard(start, end - start)

    def trim(self) -> int:
        """Give the pages that are free back to the system; return how many bytes that were."""
        before = self.segment.resident
        for offset, size in self._space.gaps():
            self.segment.discard(offset, size)
        freed = max(before - self.segment.resident, 0)
        self._trimmed += freed
        return freed

    def statistics(self) -> ArenaStatistics:
        """Return the numbers of this moment."""
        space = self._space
        return ArenaStatistics(
            capacity=self.capacity,
            size=space.size,
            used=space.used,
            peak=space.peak,
            blocks=space.blocks,
            allocations=self._allocations,
            waits=self._waits,
            trimmed=self._trimmed,
        )

    def _allocate_beyond(self, n: int) -> int:
        space = self._space
        size = -(-space.end_for(n) // PAGE) * PAGE
        self.segment.grow(size)  # first: if the system refuses, nothing has changed here
        space.grow(size)
        offset = space.allocate(n)
        assert offset is not None, "a space that was grown for a block has no room for it"
        return offset

    def __repr__(self) -> str:
        return f"<Arena: {self.used} of {self.capacity} bytes in {self._space.blocks} blocks>"


class Borrowed:
    """Look at blocks that another process wrote, and know which nobody refers to any more: the reader's side.

    To be called from one thread; what is made from the views may die on any. Keep it as long as views are out: who
    drops it is not told of their end.
    """

    # How the end of the last array is known. What is handed out is a memoryview of a PickleBuffer of a first
    # memoryview, the loan. Whatever is made from it (arrays, slices, Arrow buffers, further memoryviews) holds the
    # loan through the buffer protocol, and nobody else does: so the loan dies with the last of them, and a weak
    # reference tells. The detour through the PickleBuffer is what makes that true. `memoryview(loan)` is not an
    # export of the loan but a second view of what lies below: NumPy makes one of any memoryview that it is given,
    # and `loan.release()` would succeed, and the memory be taken for free, below a living array.

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._loans: dict[int, _Loan] = {}
        self._ended: deque[_Loan] = deque()
        self._settled: list[int] = []
        self._held = 0

    @property
    def held(self) -> int:
        """Return how many bytes somebody still refers to."""
        self._collect()
        return self._held

    @property
    def outstanding(self) -> int:
        """Return how many blocks somebody still refers to."""
        self._collect()
        return len(self._loans)

    def view(self, offset: int, length: int, readonly: bool = False) -> memoryview:
        """Return the bytes of a block; `settle` tells when nothing that was made from them is left."""
        return self._borrow(offset, length, readonly, None)

    def lend(self, offset: int, length: int, readonly: bool, on_free: Callable[[int], object]) -> memoryview:
        """Return the bytes of a block, and have `on_free(offset)` called when nothing made from them is left.

        It is called on whichever thread drops the last of them, at any point of its program and within the garbage
        collector: it may append to a deque or call `call_soon_threadsafe`, but must take no lock, touch no arena
        and raise nothing.
        """
        return self._borrow(offset, length, readonly, on_free)

    def settle(self) -> list[int]:
        """Return the offsets of the views that ended since it was last asked, to be sent back to the writer."""
        self._collect()
        settled, self._settled = self._settled, []
        return settled

    def _borrow(self, offset: int, length: int, readonly: bool, on_free: Callable[[int], object] | None) -> memoryview:
        self._collect()
        loan = self.segment.view(offset, length)
        if readonly:
            loan = loan.toreadonly()
        watch = _Loan(loan, _end)
        watch.offset, watch.length, watch.ended, watch.on_free = offset, length, self._ended, on_free
        self._loans[id(watch)] = watch
        self._held += length
        return memoryview(PickleBuffer(loan))

    def _collect(self) -> None:
        ended = self._ended
        while ended:
            loan = ended.popleft()
            del self._loans[id(loan)]
            self._held -= loan.length
            if loan.on_free is None:
                self._settled.append(loan.offset)

    def __repr__(self) -> str:
        return f"<Borrowed: {self._held} bytes in {len(self._loans)} blocks>"


class _Loan(weakref.ref[memoryview]):
    """Be what is known of a view, and of its end."""

    __slots__ = ("ended", "length", "offset", "on_free")

    offset: int
    length: int
    ended: deque[_Loan]
    on_free: Callable[[int], object] | None


def _end(loan: weakref.ref[memoryview]) -> None:
    # On any thread, and within the collector: no more than this.
    assert isinstance(loan, _Loan)
    loan.ended.append(loan)
    if loan.on_free is not None:
        loan.on_free(loan.offset)
