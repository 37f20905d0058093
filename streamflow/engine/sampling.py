"""What the process uses while a run lasts: resident memory, processor time, threads, descriptors, the loop's lag."""

from __future__ import annotations

from time import perf_counter

from streamflow.metrics.series import Series
from streamflow.model.statistics import Sample

#: Seconds over which the processor's share can be told: the system counts in hundredths.
SHORTEST = 0.1


class Sampler:
    """Read the process's figures, and remember them."""

    def __init__(self) -> None:
        import psutil  # late: it takes 10 ms, and only a run needs it

        self._process = psutil.Process()
        self._began = perf_counter()
        self._process.cpu_percent()
        self._cpu = self._cpu_at = 0.0
        self.history = Series()
        self.rss = self.peak_rss = self._process.memory_info().rss
        self.loop_lag = 0.0

    def sample(
        self, *, loop_lag: float, in_flight: int, queued: int, received: int, bytes_read: int, latency: float | None
    ) -> Sample:
        """Take one sample; about 0.1 ms."""
        process = self._process
        with process.oneshot():
            self.rss = process.memory_info().rss
            threads = process.num_threads()
            descriptors = process.num_fds() if hasattr(process, "num_fds") else 0
        at = perf_counter() - self._began
        if at - self._cpu_at > SHORTEST:
            self._cpu, self._cpu_at = process.cpu_percent(), at
        self.peak_rss = max(self.peak_rss, self.rss)
        self.loop_lag = max(self.loop_lag, loop_lag)
        sample = Sample(
            at=at,
            rss=self.rss,
            cpu_percent=self._cpu,
            threads=threads,
            descriptors=descriptors,
            loop_lag=loop_lag,
            in_flight=in_flight,
            queued=queued,
            received=received,
            bytes_read=bytes_read,
            latency=latency,
        )
        self.history.add(sample)
        return sample
