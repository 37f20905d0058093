"""What may be said about failures on any sink that can fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from streamflow.model.interfaces import Sink
from streamflow.model.policies import ErrorPolicy, OnError, Retry

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PolicedSink(Sink[T]):
    """Describe what happens to an item that cannot be encoded or written: `retry` first, then `on_error`."""

    on_error: OnError = "fail"
    max_failures: int | None = None
    retry: Retry | None = None
    errors: ErrorPolicy = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "errors", ErrorPolicy(self.on_error, self.max_failures))
