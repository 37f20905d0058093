"""What a user says about worker processes."""

from __future__ import annotations

from dataclasses import dataclass

from streamflow.model.arguments import memory_of, seconds_of, whole_number

#: Bytes of shared memory each way for each worker; its pages are taken when they are first used.
ARENA = 64 << 20


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """Hold how many workers there are, and what is asked of each; see `processes`. Sizes become numbers of bytes."""

    count: int
    timeout: float | None = None
    recycle_after: int | None = None
    memory: str | int | None = None
    views: bool = True
    arena: str | int = ARENA

    def __post_init__(self) -> None:
        whole_number("processes(n)", self.count, 1)
        if self.timeout is not None:
            seconds_of("processes(timeout=...)", self.timeout)
        if self.recycle_after is not None:
            whole_number("processes(recycle_after=...)", self.recycle_after, 1)
        if self.memory is not None:
            object.__setattr__(self, "memory", memory_of("processes(memory=...)", self.memory))
        object.__setattr__(self, "arena", memory_of("processes(arena=...)", self.arena, least=1 << 20))

    @property
    def memory_limit(self) -> int | None:
        """Return what a worker may allocate, in bytes."""
        return None if self.memory is None else int(self.memory)

    @property
    def arena_size(self) -> int:
        """Return the bytes of shared memory each way."""
        return int(self.arena)

    @property
    def workers(self) -> int:
        """Return the number of processes."""
        return self.count

    @property
    def label(self) -> str:
        """Return `processes(n)`."""
        return f"processes({self.count})"
