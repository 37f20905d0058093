"""Recycled copies: right as long as anybody refers to them, and their memory used again after that."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamflow.memory.pool import BufferPool
from streamflow.memory.recycled import RecycledCopies


def array_over(view: memoryview) -> Any:
    taken: list[pickle.PickleBuffer] = []
    payload = pickle.dumps(np.zeros(view.nbytes, np.uint8), protocol=5, buffer_callback=taken.append)
    return pickle.loads(payload, buffers=[view])


@given(st.lists(st.tuples(st.integers(1, 20_000), st.sampled_from(["hold", "slice", "drop"])), max_size=30))
def test_what_is_held_is_never_written_over(steps: list[tuple[int, str]]) -> None:
    pool = BufferPool(1 << 20)
    copies = RecycledCopies(pool)
    held: list[tuple[int, Any]] = []
    for number, (length, what) in enumerate(steps):
        array = array_over(copies.copy(memoryview(bytes([number]) * length), readonly=False))
        assert (array == number).all()
        if what == "hold":
            held.append((number, array))
        elif what == "slice":
            held.append((number, array[length // 2 :]))
        elif held:
            held.pop(0)
        del array
        assert all((one == value).all() for value, one in held)


def test_memory_is_used_again_and_counted() -> None:
    pool = BufferPool(1 << 20)
    copies = RecycledCopies(pool)
    for _ in range(5):
        assert len(array_over(copies.copy(memoryview(bytes(10_000)), readonly=False))) == 10_000
    assert (pool.statistics().hits, pool.statistics().misses) == (4, 1)


def test_what_may_not_be_written_to_stays_so_and_what_outlives_the_copies_stays_right() -> None:
    copies = RecycledCopies(BufferPool(1 << 20))
    array = array_over(copies.copy(memoryview(b"abc"), readonly=True))
    del copies
    assert not array.flags.writeable
    assert bytes(array) == b"abc"
