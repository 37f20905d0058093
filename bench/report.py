"""What one run of the harness found about one work: written as JSON, read back by the table."""

import datetime
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from bench.statistics import median, metric_of, ratio_of_rounds
from bench.works import ALL_PACKAGES, Allocator, Outcome, Scale, Work

Loop = Literal["asyncio", "uvloop"]
Status = Literal["measured", "not installed", "failed"]


@dataclass(frozen=True, slots=True)
class Setting:
    """Say under what conditions every contender of a run was measured alike."""

    scale: Scale = "default"
    rounds: int = 5
    allocator: Allocator = "default"
    loop: Loop = "asyncio"

    @property
    def suffix(self) -> str:
        """Tell runs of one work under other conditions apart by the name of their file."""
        parts = [part for part in (self.allocator, self.loop) if part not in ("default", "asyncio")]
        return "".join(f".{part}" for part in parts)


@dataclass(frozen=True, slots=True)
class Machine:
    """Describe where it was measured, without naming the machine."""

    cpu: str
    cores: int
    memory_gib: int
    system: str
    libc: str
    python: str


@dataclass(slots=True)
class Entry:
    """Collect the runs of one contender, or say why there are none."""

    label: str
    size: int
    status: Status = "measured"
    reason: str = ""
    runs: list[Outcome] = field(default_factory=list)

    def values(self, metric: str) -> list[float]:
        """List a metric round by round; seconds are per unit of size."""
        return [metric_of(run, metric, self.size) for run in self.runs]

    def median(self, metric: str) -> float:
        """Give a metric's median."""
        return median(self.values(metric))


@dataclass(slots=True)
class Report:
    """Hold all that was measured of one work in one run."""

    work: str
    setting: Setting
    date: str
    machine: Machine
    packages: dict[str, str]
    entries: dict[str, Entry]

    @property
    def file_name(self) -> str:
        """Name the file of this work under these conditions."""
        return f"{self.work}{self.setting.suffix}.json"

    def measured(self) -> dict[str, Entry]:
        """Give the contenders that ran."""
        return {name: entry for name, entry in self.entries.items() if entry.status == "measured" and entry.runs}

    def write(self, folder: Path, work: Work) -> Path:
        """Write runs and, for those who read the file itself, the medians and ratios that follow from them."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.file_name
        content = {**msgspec.to_builtins(self), "summary": summary(self, work)}
        path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
        return path


def read(path: Path) -> Report:
    """Read a report back; Raises msgspec.ValidationError for a file of another shape."""
    return msgspec.json.decode(path.read_bytes(), type=Report)


def summary(report: Report, work: Work) -> dict[str, dict[str, float]]:
    """Reduce each contender that ran to its medians and its ratio to the baseline of the same rounds."""
    measured = report.measured()
    base = measured.get(work.baseline)
    return {name: _medians(entry, base, work.shows) for name, entry in measured.items()}


def _medians(entry: Entry, base: Entry | None, shows: tuple[str, ...]) -> dict[str, float]:
    found = {"nanoseconds": entry.median("seconds") * 1e9, "peak_mib": entry.median("peak_mib")}
    if base is not None:
        ratio, least, greatest = ratio_of_rounds(entry.values("seconds"), base.values("seconds"))
        found |= {"ratio": ratio, "ratio_least": least, "ratio_greatest": greatest}
    found |= {metric: entry.median(metric) for metric in shows}
    return {name: round(value, 4) for name, value in found.items()}


def here() -> Machine:
    """Describe this machine."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=_memory_gib(),
        system=platform.system(),
        libc=" ".join(platform.libc_ver()),
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def today() -> str:
    """Give the date of the run."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def versions() -> dict[str, str]:
    """List the versions of the packages that are installed."""
    found = {package.distribution: package.version() for package in ALL_PACKAGES}
    return {name: version for name, version in found.items() if version is not None}


def _cpu() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> int:
    if not hasattr(os, "sysconf"):
        return 0
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
