"""The free list against a slow and obvious model: a set of the lines that are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamflow.memory.free_list import LINE, PAGE, FreeList

SIZES = st.one_of(st.integers(0, 300), st.integers(PAGE - 100, 3 * PAGE))


class Model(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.size = 10 * PAGE
        self.space = FreeList(self.size)
        self.taken: set[int] = set()
        self.blocks: dict[int, range] = {}
        self.peak = 0

    def lowest(self, n: int) -> int | None:
        lines = max(-(-n // LINE), 1)
        step = PAGE if lines * LINE >= PAGE else LINE
        for offset in range(0, self.size, step):
            block = range(offset // LINE, offset // LINE + lines)
            if offset + lines * LINE <= self.size and self.taken.isdisjoint(block):
                return offset
        return None

    @rule(n=SIZES)
    def allocate(self, n: int) -> None:
        expected = self.lowest(n)
        offset = self.space.allocate(n)
        assert offset == expected
        if offset is not None:
            first = offset // LINE
            block = range(first, first + max(-(-n // LINE), 1))
            assert self.taken.isdisjoint(block)
            self.taken |= set(block)
            self.blocks[offset] = block
            self.peak = max(self.peak, len(self.taken) * LINE)

    @precondition(lambda self: self.blocks)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.blocks)))
        block = self.blocks.pop(offset)
        self.taken -= set(block)
        assert self.space.free(offset) == len(block) * LINE
        with pytest.raises(KeyError):
            self.space.free(offset)

    @rule(n=st.integers(0, 2 * PAGE))
    def grow(self, n: int) -> None:
        self.size += n // LINE * LINE
        self.space.grow(self.size)

    @rule(n=SIZES)
    def grow_for_one(self, n: int) -> None:
        self.size = self.space.end_for(n)
        self.space.grow(max(self.size, self.space.size))
        self.size = self.space.size
        assert self.lowest(n) is not None

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.space.used == len(self.taken) * LINE
        assert self.space.blocks == len(self.blocks)
        assert self.space.peak == self.peak
        gaps = self.space.gaps()
        assert sum(size for _, size in gaps) + self.space.used == self.size
        free = {line for start, size in gaps for line in range(start // LINE, (start + size) // LINE)}
        assert free.isdisjoint(self.taken)
        ends = [start + size for start, size in gaps]
        assert all(end < start for end, (start, _) in zip(ends, gaps[1:], strict=False))  # none touches the next

    def teardown(self) -> None:
        for offset in self.blocks:
            self.space.free(offset)
        assert self.space.gaps() == [(0, self.space.size)]


TestFreeList = Model.TestCase


@given(st.integers(0, 5 * PAGE), st.integers(0, 5 * PAGE))
def test_a_space_of_any_size_can_grow_for_a_block(size: int, n: int) -> None:
    space = FreeList(size)
    space.allocate(100)
    space.grow(max(space.end_for(n), size))
    assert space.allocate(n) is not None


def test_a_block_of_a_page_or_more_begins_at_one() -> None:
    space = FreeList(4 * PAGE)
    assert [space.allocate(1), space.allocate(PAGE), space.allocate(65)] == [0, PAGE, LINE]


def test_what_cannot_be_is_refused() -> None:
    space = FreeList(PAGE)
    assert space.allocate(PAGE + 1) is None
    with pytest.raises(ValueError, match="-1"):
        space.allocate(-1)
    with pytest.raises(KeyError, match="offset 64"):
        space.free(64)
    with pytest.raises(ValueError, match="cannot become"):
        space.grow(PAGE - 1)
