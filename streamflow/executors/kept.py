"""Worker processes that wait for the next run, where a `with` block keeps them."""

from __future__ import annotations

import threading

from streamflow.executors.worker_process import WorkerProcess

#: Seconds that idle workers are given to leave their resources at the end.
GRACE = 5.0


class Kept:
    """Hold the idle workers between two runs."""

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
