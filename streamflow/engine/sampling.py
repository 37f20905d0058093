"""What the process uses while a run lasts: resident memory, processor time, threads, descriptors, the loop's lag."""

from __future__ import annotations

from collections import deque
from time import perf_counter

from streamflow.model.statistics import Sample

#: Samples remembered; when full, every other one is forgotten, so that the whole run stays in view.
HISTORY = 1024


class Sampler:
    """Read the process's figures, and remember them."""

    def __init__(self) -> None:
        import psutil  # late: it takes 10 ms, and only a run needs it

        self._process = psutil.Process()
        self._began = perf_counter()
        self._process.cpu_percent()
        self.history: deque[Sample] = deque()
        self.rss = self.peak_rss = self._process.memory_info().rss
        self.loop_lag = 0.0

    def sample(self, *, loop_lag: float, in_flight: int, queued: int, received: int) -> Sample:
        """Take one sample; about 0.1 ms."""
        process = self._process
        with process.oneshot():
            self.rss = process.memory_info().rss
            cpu, threads = process.cpu_percent(), process.num_threads()
            descriptors = process.num_fds() if hasattr(process, "num_fds") else 0
        self.peak_rss = max(self.peak_rss, self.rss)
        self.loop_lag = max(self.loop_lag, loop_lag)
        sample = Sample(
            at=perf_counter() - self._began,
            rss=self.rss,
            cpu_percent=cpu,
            threads=threads,
            descriptors=descriptors,
            loop_lag=loop_lag,
            in_flight=in_flight,
            queued=queued,
            received=received,
        )
        self.history.append(sample)
        if len(self.history) > HISTORY:
            self.history = deque(list(self.history)[::2])
        return sample
