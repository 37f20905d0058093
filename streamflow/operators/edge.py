"""`buffer`: what the user says about one edge."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from streamflow.files.file_system import FileSystem
from streamflow.files.local import LOCAL
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Operator
from streamflow.model.policies import FAIL, OVERFLOWS, ErrorPolicy, Overflow

#: The least that an edge may be given of the disk.
LEAST_SPILL = 1 << 16


@dataclass(frozen=True, eq=False)
class Buffer(Operator):
    """Put an edge here, with its own bounds (None: the engine's) and overflow policy.

    One that spills has `bytes` on the disk at most, below the folder `path` (None: that for temporary files).
    """

    items: int | None = None
    bytes: int | None = None
    overflow: Overflow = "block"
    path: str | os.PathLike[str] | None = None
    name: str | None = None
    errors: ErrorPolicy = FAIL
    files: FileSystem = field(default=LOCAL, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.overflow not in OVERFLOWS:
            raise FlowError(f"buffer(overflow={self.overflow!r}): expected one of {', '.join(OVERFLOWS)}")
        if self.overflow == "spill":
            self._check_spilling()
        elif self.path is not None:
            raise FlowError(
                f"buffer(path={os.fspath(self.path)!r}, overflow={self.overflow!r}): only an edge that spills writes "
                f"to a folder; leave path out, or say overflow='spill'"
            )

    def _check_spilling(self) -> None:
        if self.bytes is None:
            raise FlowError("buffer(overflow='spill'): say how much of the disk it may take, as in bytes='1GB'")
        if self.bytes < LEAST_SPILL:
            raise FlowError(
                f"buffer(overflow='spill', bytes={self.bytes!r}): that is too little to write items to; "
                f"give at least '{LEAST_SPILL >> 10}KiB'"
            )

    @property
    def multiplies(self) -> bool:
        """Tell whether the policy drops."""
        return self.overflow not in ("block", "fail", "spill")

    @property
    def repeatable(self) -> bool:
        """Tell whether the policy never acts by arrival."""
        return self.overflow in ("block", "spill")
