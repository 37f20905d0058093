"""What is taken from joblib: `Parallel`, and for it loky's processes by an executor that belongs to one pool alone.

joblib's own "loky" shares one executor in the whole process: two pools would resize it below each other's shares, and
the one that ends could end neither its workers (the other's shares are with them) nor leave them (they are ours).
Arrays are not dumped to a temporary folder for the workers to map, so that there is none to be left behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import joblib
from joblib.externals.loky import ProcessPoolExecutor
from joblib.parallel import ParallelBackendBase, ThreadingBackend

#: Seconds for a thread of loky's to end that has nothing left to do.
GRACE = 5.0


class BrokenOff(Exception):
    """Say that the workers were ended for good."""


def cores() -> int:
    """Return how many cores joblib sees."""
    count: int = joblib.cpu_count()
    return count


def parallel(workers: int, backend: Any) -> Any:
    """Return a `Parallel` that gives each result as it comes, and takes one call at a time."""
    return joblib.Parallel(n_jobs=workers, backend=backend, return_as="generator_unordered", batch_size=1)


def delayed(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return a call as `Parallel` takes it."""
    return joblib.delayed(function)(*arguments)


class JoinedThreads(ThreadingBackend):  # type: ignore[misc]  # joblib ships no types
    """Be joblib's threads, which are waited for at the end."""

    def terminate(self) -> None:
        """End the threads, each after the call that it is at."""
        pool, self._pool = self.__dict__.get("_pool"), None
        if pool is not None:
            pool.close()
            pool.join()


class OwnLoky(ParallelBackendBase):  # type: ignore[misc]  # joblib ships no types
    """Hold one executor of loky from `configure` to `terminate`."""

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True

    def __init__(self) -> None:
        super().__init__(nesting_level=0)
        self._executor: ProcessPoolExecutor | None = None
        self._over = False
        self._lock = threading.Lock()

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return the number of workers, which is known already."""
        return n_jobs

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Make the executor; its processes begin with the first call."""
        self.parallel = parallel
        executor = ProcessPoolExecutor(max_workers=n_jobs, timeout=None, env=self._prepare_worker_env(n_jobs))
        with self._lock:
            if self._over:
                raise BrokenOff  # the executor has begun nothing yet
            self._executor = executor
        return n_jobs

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Future[Any]:
        """Have a worker call it."""
        future: Future[Any]
        with self._lock:  # one that is being ended must not begin its threads
            try:
                if self._executor is None:
                    raise BrokenOff
                future = self._executor.submit(func)
            except (BrokenOff, RuntimeError) as error:
                # joblib asks for the next call in a callback of loky, which would log what is raised there.
                future = Future()
                future.set_exception(error)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, future: Future[Any]) -> Any:
        """Return what came of a call."""
        return future.result()

    def terminate(self) -> None:
        """Let the workers leave their resources, and wait for their end."""
        self._end(kill_workers=False)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """End the workers now, whatever they are at."""
        self._end(kill_workers=True)
        # No others are begun: who has seen workers die makes a new `Parallel`.

    def break_off(self) -> None:
        """End the workers for good; to be called from another thread, and any number of times."""
        self._over = True
        self._end(kill_workers=True)

    def _end(self, *, kill_workers: bool) -> None:
        with self._lock:
            executor, self._executor = self._executor, None  # once only: a second shutdown would not wait
        if executor is not None:
            calls = getattr(executor, "_call_queue", None)
            executor.shutdown(wait=True, kill_workers=kill_workers)
            feeder = getattr(calls, "_thread", None)
            if feeder is not None:
                feeder.join(GRACE)  # loky lets go of it, whose end is near, and of its pipe
