"""Worker processes: for functions that compute in Python. One that dies costs the item that it had, and no other."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import ClassVar

from streamflow.executors.worker_process import WorkerProcess
from streamflow.model.arguments import seconds_of, whole_number
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Executor, Pool

#: Bytes of shared memory each way for each worker; its pages are taken when they are first used.
ARENA = 64 << 20
#: Seconds that idle workers are given to leave their resources at the end.
GRACE = 5.0


class Kept:
    """Hold the workers that wait for the next run, where a `with` block keeps them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # runs of one description may be on several loops
        self._idle: list[WorkerProcess] = []
        self._over = False

    def take(self) -> list[WorkerProcess]:
        """Take all of them."""
        with self._lock:
            idle, self._idle = self._idle, []
        return idle

    def put(self, workers: list[WorkerProcess]) -> list[WorkerProcess]:
        """Keep workers; return those that nobody will want any more."""
        with self._lock:
            if self._over:
                return workers
            self._idle += workers
        return []

    def end(self) -> None:
        """End them all."""
        with self._lock:
            self._over = True
        idle = self.take()
        for worker in idle:
            worker.send(("end",))
        for worker in idle:
            worker.wait(GRACE)


@dataclass(frozen=True, kw_only=True)
class Processes(Executor):
    """Run functions in `count` worker processes; see `processes`."""

    count: int
    timeout: float | None = None
    recycle_after: int | None = None
    memory: int | None = None
    views: bool = True
    arena: int = ARENA
    #: Where workers wait between runs: equal descriptions share a pool within a run, and this one is like no other.
    kept: list[Kept] = field(default_factory=list, repr=False, compare=False)
    interrupts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole_number("processes(n)", self.count, 1)
        if self.timeout is not None:
            seconds_of("processes(timeout=...)", self.timeout)
        if self.recycle_after is not None:
            whole_number("processes(recycle_after=...)", self.recycle_after, 1)
        if self.memory is not None:
            whole_number("processes(memory=...), in bytes", self.memory, 1 << 20)
        whole_number("processes(arena=...), in bytes", self.arena, 1 << 20)

    @property
    def workers(self) -> int:
        """Return the number of processes."""
        return self.count

    @property
    def label(self) -> str:
        """Return `processes(n)`."""
        return f"processes({self.count})"

    async def open(self) -> Pool:
        """Start the workers, and return without waiting for them."""
        from streamflow.executors.process_pool import ProcessPool

        pool = ProcessPool(self, self.kept[-1] if self.kept else None)
        pool.begin()
        return pool

    def __enter__(self) -> Processes:
        """Keep the workers from one run to the next, up to the end of the block."""
        if self.kept:
            raise FlowError(f"{self.label}: its workers are kept already; one `with` block is enough")
        self.kept.append(Kept())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kept.pop().end()


def processes(
    count: int,
    *,
    timeout: float | None = None,
    recycle_after: int | None = None,
    memory: int | None = None,
    views: bool = True,
    arena: int = ARENA,
) -> Processes:
    """Describe `count` worker processes, for functions that compute in Python.

    `timeout` is in seconds an item, after which its worker is killed; it is the default of the functions' own. A worker
    is replaced after `recycle_after` items. `memory` bounds what a worker allocates, in bytes: beyond, its function
    gets a MemoryError. Arrays cross through shared memory, `arena` bytes each way for each worker; with `views` the
    results are handed on as they lie there, which lasts as long as they are referred to, else they are copied.

    >>> import streamflow as sf
    >>> list(sf.flow([3, 4]).map(lambda n: n * n, on=sf.processes(2)))
    [9, 16]
    """
    return Processes(
        count=count, timeout=timeout, recycle_after=recycle_after, memory=memory, views=views, arena=arena
    )
