"""The best that we can write by hand to have arrays worked on in other processes: slots in shared memory, in turns.

It knows beforehand how large arrays are and what is done with them, writes results where the arrays were, signals by
semaphores, and survives nothing: a worker that dies is waited for without end.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle
from multiprocessing.shared_memory import SharedMemory
from multiprocessing.synchronize import Semaphore
from typing import Any

import numpy as np

#: Slots of a worker: one at work, one that is there when it ends.
SLOTS = 2
Array = Any
InPlace = Callable[[Array], None]


class Ring:
    """Pass arrays of one length through workers, in order."""

    def __init__(self, length: int, workers: int, work: InPlace) -> None:
        """Start the workers, by fork: what they share is simply there."""
        self._context = multiprocessing.get_context("fork")
        self._memory = SharedMemory(create=True, size=workers * SLOTS * length * 4)
        slots = np.ndarray((workers, SLOTS, length), np.float32, self._memory.buf)
        self._lanes = [_Lane(self._context, list(slots[worker]), work) for worker in range(workers)]
        self._order = [(lane, slot) for slot in range(SLOTS) for lane in self._lanes]

    def passed(self, arrays: Iterable[Array], *, copied: bool) -> Iterator[Array]:
        """Yield the results; those that are not copied out are valid until the next one is asked for."""
        waiting, free = cycle(self._order), len(self._order)
        for (lane, slot), array in zip(cycle(self._order), arrays, strict=False):
            if free:
                free -= 1
            else:
                yield _result(*next(waiting), copied=copied)
            lane.slots[slot][:] = array
            lane.filled.release()
        for _ in range(len(self._order) - free):
            yield _result(*next(waiting), copied=copied)

    def close(self) -> None:
        """End the workers and give the memory back."""
        for lane in self._lanes:
            lane.end()
        self._order, self._lanes = [], []
        self._memory.close()
        self._memory.unlink()


class _Lane:
    def __init__(self, context: Any, slots: list[Array], work: InPlace) -> None:
        self.slots = slots
        self.filled: Semaphore = context.Semaphore(0)
        self.done: Semaphore = context.Semaphore(0)
        self._process = context.Process(target=self._serve, args=(work,), daemon=True)
        self._process.start()

    def _serve(self, work: InPlace) -> None:
        for slot in cycle(self.slots):
            self.filled.acquire()
            work(slot)
            self.done.release()

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self.slots.clear()


def _result(lane: _Lane, slot: int, *, copied: bool) -> Array:
    lane.done.acquire()
    return lane.slots[slot].copy() if copied else lane.slots[slot]


@contextmanager
def ring(length: int, workers: int, work: InPlace) -> Iterator[Ring]:
    """Open a ring and close it."""
    made = Ring(length, workers, work)
    try:
        yield made
    finally:
        made.close()
