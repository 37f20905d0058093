"""The ownership rule: only the writer frees, and never what somebody still refers to."""

from __future__ import annotations

import errno
import gc
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamflow.memory.arena import Arena, Block, Borrowed
from streamflow.memory.free_list import PAGE
from streamflow.memory.packing import pack, unpack
from streamflow.memory.segment import Segment

CAPACITY = 8 * PAGE


@pytest.fixture
def arena() -> Iterator[Arena]:
    segment = Segment.create(CAPACITY)
    yield Arena(segment, CAPACITY)
    segment.close()


@pytest.fixture
def borrowed(arena: Arena) -> Iterator[Borrowed]:
    segment = Segment(os.dup(arena.segment.fd))
    yield Borrowed(segment)
    segment.close()


def take(arena: Arena, n: int, **options: bool) -> Block:
    block = arena.allocate(n, **options)
    assert block is not None
    return block


class Model(RuleBasedStateMachine):
    """Write, look, hold on to, drop and give back in any order; what is held never changes."""

    def __init__(self) -> None:
        super().__init__()
        segment = Segment.create(CAPACITY)
        self.arena = Arena(segment, CAPACITY)
        self.borrowed = Borrowed(Segment(os.dup(segment.fd)))
        self.held: dict[int, tuple[list[memoryview], bytes]] = {}
        self.dropped: set[int] = set()
        self.serial = 0

    @rule(n=st.one_of(st.integers(0, 500), st.integers(PAGE, 9 * PAGE)), beyond=st.booleans(), cut=st.booleans())
    def send(self, n: int, beyond: bool, cut: bool) -> None:
        used = self.arena.used
        block = self.arena.allocate(n, beyond=beyond)
        if block is None:
            assert used
            assert not beyond
            return
        if used and not beyond:
            assert self.arena.used <= self.arena.capacity
        self.serial += 1
        content = (self.serial.to_bytes(4, "big") * (n // 4 + 1))[:n]
        block.view[:] = content
        offset, length = block.reference
        assert offset not in self.held
        assert length == n
        view = self.borrowed.view(offset, length)
        views = [view[n // 3 :], view[: n // 2]] if cut else [view]
        self.held[offset] = (views, content)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.held)))
        self.check(offset)
        del self.held[offset]
        self.dropped.add(offset)

    @rule()
    def settle(self) -> None:
        offsets = self.borrowed.settle()
        assert set(offsets) == self.dropped
        assert len(offsets) == len(self.dropped)
        for offset in offsets:
            self.arena.give_back(offset)
        self.dropped.clear()

    @rule()
    def trim(self) -> None:
        assert self.arena.trim() >= 0

    def check(self, offset: int) -> None:
        views, content = self.held[offset]
        n = len(content)
        expected = [content[n // 3 :], content[: n // 2]] if len(views) == 2 else [content]
        assert [bytes(view) for view in views] == expected

    @invariant()
    def what_is_held_is_whole(self) -> None:
        for offset in self.held:
            self.check(offset)
        assert self.borrowed.held == sum(len(content) for _, content in self.held.values())
        assert self.borrowed.outstanding == len(self.held)
        assert self.arena.statistics().blocks == len(self.held) + len(self.dropped)

    def teardown(self) -> None:
        self.dropped |= set(self.held)
        self.held.clear()
        self.settle()
        assert self.arena.used == 0
        self.arena.segment.close()
        self.borrowed.segment.close()


TestArena = Model.TestCase
TestArena.settings = settings(stateful_step_count=30)


def test_an_exhausted_arena_says_so_and_goes_on_when_something_is_given_back(arena: Arena) -> None:
    blocks = [take(arena, PAGE) for _ in range(8)]
    assert arena.allocate(1) is None
    assert arena.allocate(1) is None
    assert (arena.waits, arena.allocations) == (2, 8)
    arena.give_back(blocks[3].offset)
    assert take(arena, PAGE).reference == (3 * PAGE, PAGE)
    with pytest.raises(KeyError):
        arena.give_back(5)


def test_what_is_larger_than_the_arena_passes_alone(arena: Arena, borrowed: Borrowed) -> None:
    small = take(arena, 1)
    assert arena.allocate(2 * CAPACITY) is None
    arena.give_back(small.offset)
    large = take(arena, 2 * CAPACITY)
    large.view[:] = b"x" * 2 * CAPACITY
    assert bytes(borrowed.view(*large.reference)) == b"x" * 2 * CAPACITY
    assert arena.allocate(1) is None
    forced = take(arena, 1, beyond=True)
    arena.give_back(forced.offset)
    arena.give_back(large.offset)
    # The bound is what it was, though the segment is larger.
    full = take(arena, CAPACITY)
    assert arena.allocate(1) is None
    arena.give_back(full.offset)
    assert arena.used == 0
    assert arena.peak > arena.capacity


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs sparse memory")
def test_only_what_lies_within_the_capacity_stays_warm(arena: Arena) -> None:
    large = take(arena, 3 * CAPACITY)
    large.view[:] = b"x" * 3 * CAPACITY
    arena.give_back(large.offset)
    assert arena.segment.resident == CAPACITY
    kept = take(arena, PAGE)
    assert arena.trim() == CAPACITY - PAGE
    assert arena.trim() == 0
    assert bytes(kept.view[:3]) == b"xxx"
    assert arena.statistics().trimmed == CAPACITY - PAGE


def test_where_the_system_cannot_grow_it_nothing_changes(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(arena.segment, "grow", full)
    before = arena.statistics()
    with pytest.raises(OSError, match="No space left"):
        arena.allocate(2 * CAPACITY)
    assert arena.statistics() == before
    take(arena, CAPACITY)


def test_statistics_are_of_their_moment(arena: Arena) -> None:
    take(arena, 100)
    statistics = arena.statistics()
    take(arena, 100)
    assert (statistics.used, statistics.peak, statistics.blocks, statistics.size) == (128, 128, 1, CAPACITY)
    with pytest.raises(FrozenInstanceError):
        statistics.used = 3  # type: ignore[misc]
    assert repr(arena) == f"<Arena: 256 of {CAPACITY} bytes in 2 blocks>"


# What keeps a loan: whatever was made of the view, by whatever route, and nothing else.


def make_array(view: memoryview) -> Any:
    numpy = pytest.importorskip("numpy")
    view[:] = bytes(range(256)) * (len(view) // 256)
    packed = pack(numpy.frombuffer(bytes(view), "u1").copy(), 0)
    return unpack(packed.payload, [view])


def make_arrow(view: memoryview) -> Any:
    return pytest.importorskip("pyarrow").py_buffer(view)


def make_arrow_array(view: memoryview) -> Any:
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.Array.from_buffers(pyarrow.int64(), len(view) // 8, [None, pyarrow.py_buffer(view)])


def make_buffer_array(view: memoryview) -> Any:
    return pytest.importorskip("numpy").frombuffer(view, "u1")


KEEPERS: dict[str, Callable[[memoryview], Any]] = {
    "memoryview": lambda view: view,
    "memoryview of it": memoryview,
    "slice of it": lambda view: view[5:],
    "cast": lambda view: view.cast("I")[3:],
    "read-only": lambda view: view.toreadonly(),
    "array": make_array,
    "array of a buffer": make_buffer_array,
    "slice of an array": lambda view: make_array(view)[100::7],
    "one element's view": lambda view: make_array(view)[3:4],
    "reshaped": lambda view: make_array(view).reshape(16, -1).T,
    "other type": lambda view: make_array(view).view("i8"),
    "memoryview of an array": lambda view: memoryview(make_array(view)),
    "Arrow buffer": make_arrow,
    "slice of an Arrow buffer": lambda view: make_arrow(view).slice(8, 8),
    "Arrow array": make_arrow_array,
    "NumPy over Arrow": lambda view: make_arrow_array(view).to_numpy(),
    "Arrow over NumPy": lambda view: make_arrow(make_array(view)),
}


@pytest.mark.parametrize("make", KEEPERS.values(), ids=KEEPERS.keys())
def test_a_view_is_in_use_while_anything_made_of_it_lives(
    make: Callable[[memoryview], Any], arena: Arena, borrowed: Borrowed
) -> None:
    block = take(arena, PAGE)
    freed: deque[int] = deque()
    things = [make(borrowed.view(*block.reference)), make(borrowed.lend(*block.reference, False, freed.append))]
    gc.collect()
    assert borrowed.settle() == []
    assert not freed
    assert borrowed.held == 2 * PAGE
    things.pop()
    assert list(freed) == [block.offset]  # told at once, and not by settle
    assert borrowed.settle() == []
    things.pop()
    assert borrowed.settle() == [block.offset]
    assert borrowed.settle() == []
    assert borrowed.held == 0


def test_a_copy_keeps_nothing(arena: Arena, borrowed: Borrowed) -> None:
    block = take(arena, 100)
    block.view[:] = b"y" * 100
    copy = bytes(borrowed.view(*block.reference))
    assert borrowed.settle() == [block.offset]
    assert copy == b"y" * 100


def test_releasing_a_view_is_no_way_around_an_array(arena: Arena, borrowed: Borrowed) -> None:
    numpy = pytest.importorskip("numpy")
    view = borrowed.view(*take(arena, PAGE).reference)
    array = numpy.frombuffer(view, "u1")
    view.release()  # succeeds below a living array: which is why nothing here relies on it
    del view
    assert borrowed.settle() == []
    del array
    assert borrowed.settle() == [0]


def test_an_array_in_a_circle_is_in_use_until_the_collector_comes(arena: Arena, borrowed: Borrowed) -> None:
    freed: deque[int] = deque()
    block = take(arena, PAGE)
    circle: list[Any] = [borrowed.lend(*block.reference, False, freed.append)]
    circle.append(circle)
    gc.collect()
    del circle
    assert borrowed.held == PAGE
    gc.collect()
    assert list(freed) == [block.offset]
    assert borrowed.held == 0


def test_the_last_reference_may_die_on_any_thread(arena: Arena, borrowed: Borrowed) -> None:
    freed: deque[tuple[int, int]] = deque()
    block = take(arena, 10)
    held = [borrowed.lend(*block.reference, False, lambda offset: freed.append((offset, threading.get_ident())))]
    thread = threading.Thread(target=held.clear)
    thread.start()
    identity = thread.ident
    thread.join()
    assert list(freed) == [(block.offset, identity)]


def test_a_block_can_be_lent_again_before_anybody_looked(arena: Arena, borrowed: Borrowed) -> None:
    for _ in range(3):
        block = take(arena, 10)
        view = borrowed.lend(*block.reference, False, arena.give_back)
        del view
        assert arena.used == 0
    assert borrowed.outstanding == 0


def test_a_read_only_view_cannot_be_written_to(arena: Arena, borrowed: Borrowed) -> None:
    block = take(arena, 10)
    with pytest.raises(TypeError):
        borrowed.view(*block.reference, readonly=True)[0] = 1
    borrowed.view(*block.reference)[0] = 1
    assert block.view[0] == 1
    assert borrowed.outstanding == 0
    assert repr(borrowed) == "<Borrowed: 0 bytes in 0 blocks>"


def test_views_outlive_the_segment(arena: Arena, borrowed: Borrowed) -> None:
    block = take(arena, 4)
    block.view[:] = b"stay"
    view = borrowed.view(*block.reference)
    borrowed.segment.close()
    arena.segment.close()
    assert bytes(view) == b"stay"
    del view
    assert borrowed.settle() == [block.offset]
