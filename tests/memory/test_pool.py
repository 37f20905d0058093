"""Pools lend, keep what fits, and never lend what somebody still looks into."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

import streamflow as sf
from streamflow.memory import reclaiming
from streamflow.memory.pool import BufferPool, Lease, ObjectPool, size_class


def test_a_buffer_that_was_given_back_is_lent_again() -> None:
    pool = BufferPool(1 << 20)
    lease = pool.take(1 << 16)
    first = lease.item
    lease.give_back()
    with pool.take(1 << 16) as again:
        assert again is first
    assert (pool.statistics().hits, pool.statistics().misses, pool.statistics().idle_bytes) == (1, 1, 1 << 16)


def test_giving_back_twice_and_using_it_after_are_errors() -> None:
    lease = BufferPool(1 << 20).take(10)
    with lease as buffer:
        assert len(buffer) >= 10
    with pytest.raises(sf.FlowError, match="given back once"):
        lease.give_back()
    with pytest.raises(sf.FlowError, match="this lease is over"):
        lease.item  # noqa: B018 - that is what raises
    with pytest.raises(sf.FlowError, match="this lease is over"), lease:
        pass


def test_a_lease_may_be_given_back_inside_its_block() -> None:
    pool = BufferPool(1 << 20)
    lease = pool.take(10)
    with lease:
        lease.give_back()
    assert pool.statistics().idle == 1


def test_a_buffer_that_is_looked_into_is_never_lent_again() -> None:
    pool = BufferPool(1 << 20)
    lease = pool.take(4096)
    view = memoryview(lease.item)[10:20]
    lease.give_back()
    assert (pool.statistics().refused, pool.statistics().idle) == (1, 0)
    with pool.take(4096) as other:
        other[:] = b"x" * len(other)
    assert bytes(view) == bytes(10)


@pytest.mark.parametrize("spoil", [lambda buffer: buffer.append(1), bytearray.clear])
def test_a_buffer_of_another_length_is_not_kept(spoil: Any) -> None:
    pool = BufferPool(1 << 20)
    with pool.take(5000) as buffer:
        spoil(buffer)
    # An emptied one is of no class, one byte more neither.
    assert (pool.statistics().refused, pool.statistics().idle) == (1, 0)


def test_a_lease_that_is_dropped_loses_its_object_and_no_more() -> None:
    pool = BufferPool(1 << 20)
    pool.take(4096)
    gc.collect()
    with pool.take(4096):
        pass
    assert (pool.statistics().idle, pool.statistics().misses) == (1, 2)


def test_the_longest_idle_make_room() -> None:
    pool = BufferPool(3 * 4096)
    leases = [pool.take(4096) for _ in range(3)]
    for lease in leases:
        lease.give_back()
    pool.take(8192).give_back()
    now = pool.statistics()
    assert (now.idle, now.idle_bytes, now.trims) == (2, 12288, 2)
    pool.take(1 << 20).give_back()  # larger than all that may lie idle
    assert pool.statistics().refused == 1
    assert pool.trim() == 12288
    assert pool.statistics().idle_bytes == 0


def test_an_object_is_reset_before_anybody_else_has_it() -> None:
    pool: ObjectPool[list[int]] = ObjectPool(list, limit_bytes=100, size_of=lambda _: 10, reset=list.clear)
    with pool.take() as found:
        found.append(1)
    with pool.take() as again:
        assert again is found
        assert again == []


def test_what_cannot_be_reset_is_not_kept() -> None:
    def reset(found: list[int]) -> None:
        raise ValueError("spoilt")

    pool: ObjectPool[list[int]] = ObjectPool(list, limit_bytes=100, size_of=len, reset=reset)
    with pytest.raises(ValueError, match="spoilt"):
        pool.take().give_back()
    assert (pool.statistics().refused, pool.statistics().idle) == (1, 0)


def test_many_threads_never_share_a_buffer() -> None:
    pool = BufferPool(8 * 4096)
    wrong: list[str] = []

    def work(mine: int) -> None:
        for _ in range(300):
            with pool.take(4096) as buffer:
                buffer[:] = bytes([mine]) * len(buffer)
                if buffer.count(mine) != len(buffer):
                    wrong.append("written by two")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = pool.statistics()
    assert not wrong
    assert now.hits + now.misses == 1200
    assert now.idle <= 4


def test_reclaiming_asks_every_pool_that_lives() -> None:
    pool = BufferPool(1 << 20)
    pool.take(4096).give_back()
    before = len(reclaiming.registered())
    assert reclaiming.reclaim(collect=True) >= 4096
    assert pool.statistics().idle == 0
    del pool
    gc.collect()
    assert len(reclaiming.registered()) == before - 1


@pytest.mark.parametrize("limit", [-1, 1.5, "1MB", True])
def test_a_limit_is_a_number_of_bytes(limit: Any) -> None:
    with pytest.raises(sf.FlowError, match="limit_bytes"):
        BufferPool(limit)


def test_what_is_live_tells_about_itself() -> None:
    pool = BufferPool(1 << 20, name="mine")
    lease = pool.take(1)
    assert repr(pool) == "<BufferPool 'mine': 0 idle (0 of 1,048,576 bytes), 0 hits, 1 misses>"
    assert repr(lease) == "<Lease of bytearray>"
    lease.give_back()
    assert repr(lease) == "<Lease, given back>"


LIMIT = 64 << 10
SIZES = st.sampled_from([0, 1, 4096, 4097, 9000, 30_000, 65_536, 70_000])


class PoolAgainstList(RuleBasedStateMachine):
    """Hold a pool equal to a list of idle buffers, the longest idle first."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.pool = BufferPool(LIMIT)
        self.idle: list[bytearray] = []
        self.out: list[bytearray] = []
        self.hits = self.misses = 0

    @rule(target=leases, size=SIZES)
    def take(self, size: int) -> Lease[bytearray]:
        fitting = [buffer for buffer in self.idle if len(buffer) == size_class(size)]
        lease = self.pool.take(size)
        assert len(lease.item) >= size
        assert not any(lease.item is other for other in self.out)
        if fitting:
            assert lease.item is fitting[-1]
            self.idle = [buffer for buffer in self.idle if buffer is not lease.item]
        self.hits += bool(fitting)
        self.misses += not fitting
        self.out.append(lease.item)
        return lease

    @rule(lease=consumes(leases))
    def give_back(self, lease: Lease[bytearray]) -> None:
        buffer = lease.item
        lease.give_back()
        self.out = [other for other in self.out if other is not buffer]
        if len(buffer) > LIMIT:
            return
        self.idle.append(buffer)
        while sum(map(len, self.idle)) > LIMIT:
            del self.idle[0]

    @rule(lease=consumes(leases))
    def give_back_in_use(self, lease: Lease[bytearray]) -> None:
        buffer = lease.item
        with memoryview(buffer):
            lease.give_back()
        self.out = [other for other in self.out if other is not buffer]

    @rule(lease=consumes(leases))
    def drop(self, lease: Lease[bytearray]) -> None:
        self.out = [other for other in self.out if other is not lease.item]

    @rule()
    def trim(self) -> None:
        assert self.pool.trim() == sum(map(len, self.idle))
        self.idle.clear()

    @invariant()
    def figures_agree(self) -> None:
        now = self.pool.statistics()
        assert now.idle_bytes <= LIMIT
        assert (now.idle_bytes, now.idle) == (sum(map(len, self.idle)), len(self.idle))
        assert (now.hits, now.misses) == (self.hits, self.misses)


TestPoolAgainstList = PoolAgainstList.TestCase
