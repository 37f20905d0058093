"""What a user says about worker processes."""

from __future__ import annotations

from dataclasses import dataclass

from streamflow.model.arguments import seconds_of, whole_number

#: Bytes of shared memory each way for each worker; its pages are taken when they are first used.
ARENA = 64 << 20


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """Hold how many workers there are, and what is asked of each; see `processes`."""

    count: int
    timeout: float | None = None
    recycle_after: int | None = None
    memory: int | None = None
    views: bool = True
    arena: int = ARENA

    def __post_init__(self) -> None:
        whole_number("processes(n)", self.count, 1)
        if self.timeout is not None:
            seconds_of("processes(timeout=...)", self.timeout)
        if self.recycle_after is not None:
            whole_number("processes(recycle_after=...)", self.recycle_after, 1)
        if self.memory is not None:
            whole_number("processes(memory=...), in bytes", self.memory, 1 << 20)
        whole_number("processes(arena=...), in bytes", self.arena, 1 << 20)

    @property
    def workers(self) -> int:
        """Return the number of processes."""
        return self.count

    @property
    def label(self) -> str:
        """Return `processes(n)`."""
        return f"processes({self.count})"
