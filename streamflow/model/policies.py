"""What to do with an item that failed: try again, skip it, set it aside, or fail the run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

from streamflow.model.arguments import seconds_of, whole_number
from streamflow.model.errors import FlowError, TooManyFailures

Backoff = Literal["exponential", "linear", "fixed"]
BACKOFFS = ("exponential", "linear", "fixed")

#: What an edge does with items for which it has no room.
Overflow = Literal["block", "drop_oldest", "drop_newest", "latest", "fail", "spill"]
OVERFLOWS: tuple[Overflow, ...] = ("block", "drop_oldest", "drop_newest", "latest", "fail", "spill")


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """Try an item again after a failure; `attempts` counts the first try, delays are in seconds.

    The delay before retry number r (from 1) is `base` (fixed), `base * r` (linear) or `base * 2**(r - 1)`
    (exponential), cut at `max_delay`; with `jitter` it is drawn evenly from the upper half of that.

    >>> [Retry(base=10, jitter=False, max_delay=60.0).delay(r) for r in (1, 2, 3, 4)]
    [10.0, 20.0, 40.0, 60.0]
    """

    attempts: int = 3
    backoff: Backoff = "exponential"
    base: float = 0.1
    max_delay: float = 30.0
    jitter: bool = True
    on: tuple[type[BaseException], ...] = (Exception,)

    def __post_init__(self) -> None:
        whole_number("Retry(attempts=...), which counts the first try", self.attempts, 1)
        if self.backoff not in BACKOFFS:
            raise FlowError(f"Retry(backoff={self.backoff!r}): expected one of {', '.join(BACKOFFS)}")
        seconds_of("Retry(base=...)", self.base, zero=True)
        seconds_of("Retry(max_delay=...)", self.max_delay, zero=True)
        kinds = self.on if isinstance(self.on, (tuple, list)) else (self.on,)
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            raise FlowError(f"Retry(on={self.on!r}): expected classes of exceptions, as in on=(TimeoutError, OSError)")
        object.__setattr__(self, "on", tuple(kinds))

    def delay(self, retry: int) -> float:
        """Return the seconds to wait before retry number `retry` (the first is 1)."""
        # A large exponent overflows a float long after any sensible max_delay: cut the exponent, not the result.
        growth = {"fixed": 1.0, "linear": float(retry), "exponential": 2.0 ** min(retry - 1, 64)}[self.backoff]
        full = min(self.base * growth, self.max_delay)
        return random.uniform(full / 2, full) if self.jitter else full

    def again(self, attempt: int, error: BaseException) -> bool:
        """Tell whether attempt number `attempt` (the first is 1), which ended in `error`, is to be followed."""
        return attempt < self.attempts and isinstance(error, self.on)


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Set failed items aside in `sink`, one `DeadLetter` record each."""

    sink: Any  # a Sink, not named by type: sinks carry policies themselves


OnError = Literal["fail", "skip"] | DeadLetters


@dataclass(frozen=True, slots=True)
class ErrorPolicy:
    """Join what is said about failures on one operator, source or sink."""

    on_error: OnError = "fail"
    max_failures: int | None = None

    def __post_init__(self) -> None:
        if self.on_error not in ("fail", "skip") and not isinstance(self.on_error, DeadLetters):
            raise FlowError(
                f"on_error={self.on_error!r}: expected 'fail', 'skip' or sf.dead_letter(sink)",
            )
        if self.max_failures is not None:
            whole_number("max_failures (None for no limit)", self.max_failures, 0)
            if self.on_error == "fail":
                raise FlowError("max_failures has no meaning with on_error='fail': the first failure ends the run")

    @property
    def drops(self) -> bool:
        """Tell whether a failed item leaves the stream without ending the run."""
        return self.on_error != "fail"

    def check(self, failures: int, label: str, error: BaseException) -> None:
        """Raise TooManyFailures from `error` if `failures` is more than `max_failures`."""
        if self.max_failures is not None and failures > self.max_failures:
            raise TooManyFailures(
                f"{label}: {failures:,} items failed and max_failures={self.max_failures:,} allows no more; "
                f"the last error was {type(error).__name__}: {error}"
            ) from error


FAIL = ErrorPolicy()
