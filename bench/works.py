"""What a benchmark is made of: a work, the contenders that do it, the figures it must reach.

Only words live here, so that a worker process which measures memory and import time loads next to nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module, metadata, util
from typing import Literal

Scale = Literal["quick", "default", "full"]
Allocator = Literal["default", "raised"]

# How a metric is written in a table: what it is, and its unit.
METRICS = {
    "mb_per_s": ("", "MB/s"),
    "gb_per_s": ("", "GB/s"),
    "peak_mib": ("peak RSS", "MiB"),
    "growth_mib": ("growth", "MiB"),
    "p50_us": ("p50", "µs"),
    "p99_us": ("p99", "µs"),
    "p50_ms": ("p50", "ms"),
    "p99_ms": ("p99", "ms"),
    "timer_p99_ms": ("timer late by p99", "ms"),
    "timer_max_ms": ("timer late by at most", "ms"),
    "hand_off_p99_ms": ("thread hand-off p99", "ms"),
    "hand_off_max_ms": ("thread hand-off max", "ms"),
    "first_ms": ("to the first line of output", "ms"),
    "retries": ("", "retries"),
    "first_item_ms": ("to the first item", "ms"),
    "with_imports_ms": ("imports included", "ms"),
    "above_limit_mib": ("peak PSS above the limit", "MiB"),
    "peak_pss_mib": ("peak PSS", "MiB"),
    "items_per_ms": ("", "items/ms"),
    "import_ms": ("", "ms"),
    "checkpoints": ("", "checkpoints"),
    "recovery_ms": ("to hold the state again", "ms"),
    "held_ms": ("loop held by the snapshot", "ms"),
    "seeds_per_s": ("", "seeds/s"),
    "traces_differ": ("traces that differ", ""),
    "operations": ("operations on the disk", ""),
    "deaths": ("deaths", ""),
    "not_identical": ("outputs that differ", ""),
    "heavy_modules": ("heavy packages imported", ""),
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Say how much work there is: small enough for a test, the usual, and the issue's own."""

    quick: int
    default: int
    full: int

    def at(self, scale: Scale) -> int:
        """Give the size at a scale."""
        return {"quick": self.quick, "default": self.default, "full": self.full}[scale]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what one run of one contender gave.

    ``peak_mib`` is the highest resident memory above what was resident when the clock started, imports done.
    ``checksum`` is what contenders of the same size must agree upon.
    """

    seconds: float
    count: int
    checksum: int
    imported_mib: float = 0.0
    peak_mib: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """Name what a contender needs: the distribution that pip installs, the module that Python imports."""

    distribution: str
    module: str

    def version(self) -> str | None:
        """Give the version at hand, or None where the package is missing; nothing is imported for it."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return "source tree" if self._is_a_folder_here() else None

    def load(self) -> None:
        """Import the module."""
        import_module(self.module)

    def _is_a_folder_here(self) -> bool:
        spec = util.find_spec(self.module) if "." not in self.module else None
        return spec is not None and spec.origin is not None


STREAMFLOW = Package("streamflow-engine", "streamflow")
STREAMABLE = Package("streamable", "streamable")
AIOSTREAM = Package("aiostream", "aiostream")
BYTEWAX = Package("bytewax", "bytewax.operators")
SPDL = Package("spdl-core", "spdl.pipeline")
ORJSON = Package("orjson", "orjson")
MSGSPEC = Package("msgspec", "msgspec")
PYARROW = Package("pyarrow", "pyarrow.parquet")
ANYIO = Package("anyio", "anyio")
UVLOOP = Package("uvloop", "uvloop")
WATCHFILES = Package("watchfiles", "watchfiles")
PYPELN = Package("pypeln", "pypeln")
REACTIVEX = Package("reactivex", "reactivex")
POLARS = Package("polars", "polars")
DUCKDB = Package("duckdb", "duckdb")
JOBLIB = Package("joblib", "joblib")
NUMPY = Package("numpy", "numpy")
PSUTIL = Package("psutil", "psutil")
ZSTANDARD = Package("zstandard", "zstandard")
PEERS = (STREAMABLE, AIOSTREAM, BYTEWAX, SPDL, PYPELN, REACTIVEX, POLARS, DUCKDB, JOBLIB)
ALL_PACKAGES = (STREAMFLOW, ORJSON, MSGSPEC, ANYIO, UVLOOP, ZSTANDARD, WATCHFILES, NUMPY, *PEERS)


@dataclass(frozen=True, slots=True)
class Contender:
    """Name one way to do a work. ``sizes`` overrides the work's own, for a figure at another size."""

    name: str
    label: str
    run: Callable[[int], Outcome]
    needs: tuple[Package, ...] = ()
    sizes: Sizes | None = None

    @property
    def missing(self) -> tuple[Package, ...]:
        """Give the packages that are not installed here."""
        return tuple(package for package in self.needs if package.version() is None)

    @property
    def is_peer(self) -> bool:
        """Tell whether somebody else's library does the work."""
        return any(package in PEERS for package in self.needs)


@dataclass(frozen=True, slots=True)
class Figure:
    """State one figure to reach: a metric of one contender, or its ratio to another's in the same run.

    A bound on ``seconds`` is one on seconds per unit of size, so that sizes may differ.
    """

    of: str
    over: str | None = None
    metric: str = "seconds"
    at_most: float | None = None
    at_least: float | None = None

    def is_met_by(self, value: float) -> bool:
        """Tell whether a measured value keeps the bounds."""
        above = self.at_least is not None and value < self.at_least
        below = self.at_most is not None and value > self.at_most
        return not (above or below)


@dataclass(frozen=True, slots=True)
class Work:
    """Describe one row of the table: what is done, by whom, against which baseline, to reach what.

    ``timed`` says that how long it takes is what counts; ``warm_up`` is the size that a process does, untimed,
    before the run that is measured (0: the work sees to it itself); ``counted``, that every contender passes
    the same number of items; ``allocator`` pins malloc's thresholds for a figure that is asked with them so;
    ``shows`` names the metrics that the table lists.
    """

    name: str
    title: str
    unit: str
    sizes: Sizes
    baseline: str
    contenders: tuple[Contender, ...]
    figures: tuple[Figure, ...]
    prepare: Callable[[int], object] | None = None
    warm_up: int = 0
    timed: bool = True
    counted: bool = True
    allocator: Allocator | None = None
    shows: tuple[str, ...] = ()

    def contender(self, name: str) -> Contender:
        """Find a contender by its name."""
        for contender in self.contenders:
            if contender.name == name:
                return contender
        raise SystemExit(f"{self.name} has no contender {name!r}; it has {', '.join(self.names())}")

    def names(self) -> list[str]:
        """List the contenders' names, the baseline wherever the table wants it."""
        return [contender.name for contender in self.contenders]

    def size_of(self, contender: Contender, scale: Scale) -> int:
        """Give the size at which a contender runs."""
        return (contender.sizes or self.sizes).at(scale)
