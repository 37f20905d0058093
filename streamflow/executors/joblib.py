"""Workers by joblib: for who has its backends in use already, or wants loky's processes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar, Final

from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Executor, Pool

BACKENDS: Final = ("loky", "threading")


@dataclass(frozen=True, kw_only=True)
class Joblib(Executor):
    """Run functions in the workers of a backend of joblib; see `joblib`."""

    backend: str = "loky"
    n_jobs: int = 2
    extra: ClassVar[str | None] = "ml"

    def __post_init__(self) -> None:
        if self.backend == "multiprocessing":
            # multiprocessing.Pool never answers for a worker that has died, forks beside running threads, and joblib
            # itself gives no generator over it.
            raise FlowError(
                "joblib(backend='multiprocessing'): with it a worker that dies is waited for for ever; use 'loky', "
                "whose workers are processes too"
            )
        if self.backend not in BACKENDS:
            raise FlowError(f"joblib(backend={self.backend!r}): expected {' or '.join(map(repr, BACKENDS))}")
        if not isinstance(self.n_jobs, int) or isinstance(self.n_jobs, bool) or self.n_jobs == 0:
            raise FlowError(
                f"joblib(n_jobs={self.n_jobs!r}): expected a number of workers, or one below zero: -1 means all cores, "
                f"-2 all but one"
            )
        if find_spec("joblib") is None:
            raise FlowError("joblib(...) needs the package joblib: pip install 'streamflow-engine[ml]'")

    @property
    def workers(self) -> int:
        """Return the number of workers, which joblib counts from the cores if `n_jobs` is below zero."""
        if self.n_jobs > 0:
            return self.n_jobs
        from streamflow.executors.joblib_parallel import cores

        return max(cores() + 1 + self.n_jobs, 1)

    @property
    def label(self) -> str:
        """Return `joblib('loky', 2)`."""
        return f"joblib({self.backend!r}, {self.n_jobs})"

    async def open(self) -> Pool:
        """Make the pool; its workers begin with the first shares."""
        from streamflow.executors.joblib_pool import JoblibPool

        return JoblibPool(self)


def joblib(backend: str = "loky", n_jobs: int = 2) -> Joblib:
    """Describe the workers of a backend of joblib: "loky" (processes) or "threading".

    `n_jobs` is meant as joblib means it: -1 for all cores, and 1 for calls one after the other in this process, beside
    the loop. Items and results are copied, arrays too: `processes(n)` hands them over in shared memory, costs only the
    item at work where a worker dies (loky loses all workers at once, so that items are done again until the one to
    blame is known), and can give up a call that takes too long.

    >>> import streamflow as sf
    >>> list(sf.flow([3, 4]).map(lambda n: n * n, on=sf.joblib("threading", 2)))
    [9, 16]
    """
    return Joblib(backend=backend, n_jobs=n_jobs)
