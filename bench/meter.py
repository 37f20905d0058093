"""Take the time and the memory of one block of code."""

import gc
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from bench.works import Outcome

_MIB = 1024.0


class Meter:
    """Measure a ``with`` block: seconds by the wall, resident memory and its peak.

    The kernel's high-water mark is set back at the start (Linux), so that what imports and data generation
    needed does not count. Where it cannot be, the peak is one since the process began: never too small.
    """

    def __init__(self) -> None:
        """Start with nothing measured."""
        self.seconds = 0.0
        self.imported_mib = 0.0
        self._peak_mib = 0.0
        self._marked_mib = 0.0
        self._began = 0.0

    def __enter__(self) -> Self:
        """Collect garbage, note the memory and start the clock."""
        gc.collect()
        self.imported_mib = resident_mib()
        self.mark()
        self._peak_mib = 0.0
        self._began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop the clock and note the peak."""
        self.seconds = time.perf_counter() - self._began
        self._peak_mib = max(self._peak_mib, peak_mib())

    def mark(self) -> None:
        """Measure growth from here on: the memory by which a long run exceeds its own beginning."""
        self._peak_mib = max(self._peak_mib, peak_mib())
        self._marked_mib = resident_mib()
        reset_peak()

    @property
    def growth_mib(self) -> float:
        """Give how far the peak since the last mark lies above the memory at that mark."""
        return peak_mib() - self._marked_mib

    def outcome(self, count: int, checksum: int, **metrics: float) -> Outcome:
        """Make the report of this run."""
        return Outcome(
            seconds=self.seconds,
            count=count,
            checksum=checksum,
            imported_mib=self.imported_mib,
            peak_mib=self._peak_mib - self.imported_mib,
            metrics=metrics,
        )


def resident_mib() -> float:
    """Read how much memory is resident now."""
    return _status("VmRSS:") or _peak_of_life()


def peak_mib() -> float:
    """Read the highest resident memory since the last reset (Linux) or the process's start."""
    return _status("VmHWM:") or _peak_of_life()


def reset_peak() -> None:
    """Set the kernel's high-water mark back to the present, where the kernel lets us."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as control:
        control.write("5")


def _status(field: str) -> float | None:
    with suppress(OSError), open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1]) / _MIB
    return None


def _peak_of_life() -> float:
    import resource

    unit = _MIB * _MIB if sys.platform == "darwin" else _MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
