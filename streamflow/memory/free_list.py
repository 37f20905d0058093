"""Which parts of an address space are free. Pure: it hands out offsets and touches no memory."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

#: What sizes are rounded up to: a cache line, and the alignment that Arrow asks for.
LINE: Final = 64
#: What blocks of at mask this size are aligned to, so that their pages are theirs alone.
PAGE: Final = 4096


class FreeList:
    """Hand out offsets between 0 and `size`, the lowest that fit: pages and caches there are warm."""

    def __init__(self, size: int) -> None:
        self.size = size
        # The gaps, ascending, in two lists: with tens of blocks a scan of these beats any tree.
        self._starts: list[int] = [0] if size else []
        self._ends: list[int] = [size] if size else []
        self._blocks: dict[int, int] = {}
        #: Bytes handed out now, rounded up.
        self.used = 0
        #: The most that were handed out at one time.
        self.peak = 0

    @property
    def blocks(self) -> int:
        """Return how many blocks are handed out."""
        return len(self._blocks)

    def gaps(self) -> list[tuple[int, int]]:
        """Return the free ranges as (offset, size), ascending; no two of them touch."""
        return [(start, end - start) for start, end in zip(self._starts, self._ends, strict=True)]

    def allocate(self, n: int) -> int | None:
        """Return the offset of a new block of `n` bytes, or None where no gap holds it."""
        size = rounded(n)
        ends, mask = self._ends, PAGE - 1 if size >= PAGE else 0
        for index, gap in enumerate(self._starts):
            if ends[index] - gap >= size and (start := (gap + mask) & ~mask) + size <= ends[index]:
                self._carve(index, start, start + size)
                self._blocks[start] = size
                self.used += size
                if self.used > self.peak:
                    self.peak = self.used
                return start
        return None

    def free(self, offset: int) -> int:
        """Take the block at `offset` back and return its size; raise KeyError if there is none."""
        size = self._blocks.pop(offset, None)
        if size is None:
            raise KeyError(f"no block is handed out at offset {offset}: it was given back before, or never taken")
        self.used -= size
        self._join(offset, offset + size)
        return size

    def end_for(self, n: int) -> int:
        """Return the size that the space must have for a block of `n` bytes to fit at its end."""
        last = self._starts[-1] if self._ends and self._ends[-1] == self.size else self.size
        size = rounded(n)
        start = (last + PAGE - 1) & -PAGE if size >= PAGE else (last + LINE - 1) & -LINE
        return start + size

    def grow(self, new_size: int) -> None:
        """Add what lies between the present size and `new_size`; raise ValueError where that is less."""
        if new_size < self.size:
            raise ValueError(f"a space of {self.size} bytes cannot become one of {new_size}: blocks may lie there")
        if new_size > self.size:
            old, self.size = self.size, new_size
            self._join(old, new_size)

    def _carve(self, index: int, start: int, end: int) -> None:
        gap, gap_end = self._starts[index], self._ends[index]
        if gap == start:
            if end == gap_end:
                del self._starts[index], self._ends[index]
            else:
                self._starts[index] = end
            return
        self._ends[index] = start
        if end < gap_end:
            self._starts.insert(index + 1, end)
            self._ends.insert(index + 1, gap_end)

    def _join(self, start: int, end: int) -> None:
        starts, ends = self._starts, self._ends
        index = bisect_left(starts, start)
        before = index > 0 and ends[index - 1] == start
        after = index < len(starts) and starts[index] == end
        if before and after:
            ends[index - 1] = ends[index]
            del starts[index], ends[index]
        elif before:
            ends[index - 1] = end
        elif after:
            starts[index] = start
        else:
            starts.insert(index, start)
            ends.insert(index, end)


def rounded(n: int) -> int:
    """Return what a block of `n` bytes takes: whole lines, and one even for nothing, so that offsets differ."""
    if n < 0:
        raise ValueError(f"a block of {n} bytes cannot be")
    return (n + LINE - 1) & -LINE or LINE
