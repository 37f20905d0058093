"""What may be said about failures on any source that can fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from streamflow.model.interfaces import Source
from streamflow.model.policies import ErrorPolicy, OnError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PolicedSource(Source[T]):
    """Describe what happens to a record that cannot be read or decoded."""

    on_error: OnError = "fail"
    max_failures: int | None = None
    errors: ErrorPolicy = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "errors", ErrorPolicy(self.on_error, self.max_failures))
