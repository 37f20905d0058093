"""Worker processes: for functions that compute in Python. One that dies costs the item that it had, and no other."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import TracebackType
from typing import ClassVar

from streamflow.executors.kept import Kept
from streamflow.executors.process_settings import ARENA, ProcessSettings
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Executor, Pool


@dataclass(frozen=True, kw_only=True)
class Processes(ProcessSettings, Executor):
    """Run functions in `count` worker processes; see `processes`."""

    #: Where workers wait between runs, in a `with` block.
    kept: list[Kept] = field(default_factory=list, repr=False, compare=False)
    interrupts: ClassVar[bool] = True

    async def open(self) -> Pool:
        """Start the workers, and return without waiting for them; FlowError on Windows."""
        if sys.platform == "win32":
            raise FlowError(
                f"{self.label}: worker processes need Linux or macOS (inherited descriptors, fcntl); on Windows "
                f"on='joblib' works, and on='thread' where functions release the GIL"
            )
        from streamflow.executors.process_pool import ProcessPool

        pool = ProcessPool(self, self.kept[-1] if self.kept else None)
        try:
            pool.begin()
        except BaseException:
            await pool.close()
            raise
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
    memory: str | int | None = None,
    views: bool = True,
    arena: str | int = ARENA,
) -> Processes:
    """Describe `count` worker processes, for functions that compute in Python.

    `timeout` is in seconds an item, after which its worker is killed; it is the default of the functions' own. A worker
    is replaced after `recycle_after` items. `memory` bounds what a worker allocates ("1GB", or a number of bytes):
    beyond, its function gets a MemoryError. Arrays cross through shared memory, `arena` bytes each way for each worker;
    with `views` the results are handed on as they lie there, for as long as they are referred to, else copied out.

    >>> import streamflow as sf
    >>> list(sf.flow([3, 4]).map(lambda n: n * n, on=sf.processes(2)))
    [9, 16]
    """
    return Processes(count=count, timeout=timeout, recycle_after=recycle_after, memory=memory, views=views, arena=arena)
