"""`buffer`: what the user says about one edge."""

from __future__ import annotations

from dataclasses import dataclass

from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Operator
from streamflow.model.policies import FAIL, OVERFLOWS, ErrorPolicy, Overflow


@dataclass(frozen=True, eq=False)
class Buffer(Operator):
    """Put an edge here, with its own bounds (None: the engine's) and overflow policy."""

    items: int | None = None
    bytes: int | None = None
    overflow: Overflow = "block"
    name: str | None = None
    errors: ErrorPolicy = FAIL

    def __post_init__(self) -> None:
        if self.overflow not in OVERFLOWS:
            raise FlowError(f"buffer(overflow={self.overflow!r}): expected one of {', '.join(OVERFLOWS)}")

    @property
    def multiplies(self) -> bool:
        """Tell whether the policy drops."""
        return self.overflow not in ("block", "fail")

    @property
    def repeatable(self) -> bool:
        """Tell whether the policy never acts by arrival."""
        return self.overflow == "block"
