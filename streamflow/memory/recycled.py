"""Copies whose memory is used again: a pool has their buffers back when nobody refers to them any more."""

from __future__ import annotations

import weakref
from collections import deque
from pickle import PickleBuffer

from streamflow.memory.pool import BufferPool, Lease


class RecycledCopies:
    """Copy bytes into buffers of `pool`; for one thread, while arrays over them may die on any."""

    def __init__(self, pool: BufferPool) -> None:
        self._pool = pool
        self._loans: dict[int, _Loan] = {}
        self._ended: deque[_Loan] = deque()

    def copy(self, source: memoryview, *, readonly: bool) -> memoryview:
        """Return a copy of `source`, which is valid as long as it, or anything made from it, is referred to."""
        self.settle()
        lease = self._pool.take(source.nbytes)
        # The detour is the arena's: see `Borrowed`. Whatever is made from what is returned holds the loan, and no more.
        loan = memoryview(lease.item)[: source.nbytes]
        loan[:] = source
        if readonly:
            loan = loan.toreadonly()
        watch = _Loan(loan, _end)
        watch.lease, watch.ended = lease, self._ended
        self._loans[id(watch)] = watch
        return memoryview(PickleBuffer(loan))

    def settle(self) -> None:
        """Give the buffers back to which nobody refers any more."""
        # Not where the last array dies: that may be within the garbage collector, which must take no lock.
        while self._ended:
            loan = self._ended.popleft()
            del self._loans[id(loan)]
            loan.lease.give_back()


class _Loan(weakref.ref[memoryview]):
    """Be what is known of a copy, and of its end."""

    __slots__ = ("ended", "lease")

    ended: deque[_Loan]
    lease: Lease[bytearray]


def _end(loan: weakref.ref[memoryview]) -> None:
    # On any thread, and within the collector: no more than this.
    assert isinstance(loan, _Loan)
    loan.ended.append(loan)
