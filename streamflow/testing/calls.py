"""What was called on a part: the record that faulty parts keep, and that tests assert on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Call(NamedTuple):
    """Name one call: `life` numbers the reader or writer it was made on, from 1."""

    life: int
    method: str


@dataclass(eq=False)
class CallLog:
    """Record every call on every reader or writer that one description has opened.

    `items` are those a source handed out or a sink took; `visible` those a reader of the sink's output would
    see; `faults` counts injected faults, `cancelled` calls that were cancelled; `violations` are breaches of
    the contract in `streamflow.model.interfaces`.
    """

    calls: list[Call] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    visible: list[Any] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    faults: int = 0
    cancelled: int = 0
    #: The lives whose `open` failed: nobody has anything to close.
    unopened: set[int] = field(default_factory=set)

    def count(self, method: str) -> int:
        """Return how often `method` was called, over all lives."""
        return sum(call.method == method for call in self.calls)

    def methods(self, life: int = 1) -> list[str]:
        """Return the methods called on one reader or writer, in order."""
        return [call.method for call in self.calls if call.life == life]

    @property
    def opened(self) -> int:
        """Return how often `open` was called."""
        return self.count("open")

    @property
    def closed(self) -> int:
        """Return how often `close` was called."""
        return self.count("close")

    @property
    def finished(self) -> int:
        """Return how often `finish` was called."""
        return self.count("finish")

    @property
    def aborted(self) -> int:
        """Return how often `abort` was called."""
        return self.count("abort")

    @property
    def prepared(self) -> int:
        """Return how often `prepare` was called."""
        return self.count("prepare")

    @property
    def committed(self) -> int:
        """Return how often `commit` was called."""
        return self.count("commit")

    def check(self) -> None:
        """Raise AssertionError if the contract was broken, or something that was opened was not closed."""
        wrong = list(self.violations)
        closed = {life for life, method in self.calls if method == "close"} | self.unopened
        wrong += [f"{life}: never closed" for life in sorted({call.life for call in self.calls} - closed)]
        if wrong:
            raise AssertionError("\n  ".join(["the contract was broken:", *wrong]))


class Life:
    """Watch the calls on one live part, and note what the contract forbids."""

    def __init__(self, log: CallLog, ends: bool) -> None:
        """Begin a life; one that `ends` is to be finished or aborted before it is closed."""
        self.log = log
        self._number = log.opened + 1
        self._ends = ends
        self._running: list[str] = []
        self._done: set[str] = set()

    @contextmanager
    def call(self, method: str) -> Iterator[None]:
        """Record a call of `method` that lasts as long as the block."""
        self._look(method)
        self.log.calls.append(Call(self._number, method))
        self._running.append(method)
        try:
            yield
        except BaseException as error:
            self.log.cancelled += isinstance(error, asyncio.CancelledError)
            if method == "open":
                self.log.unopened.add(self._number)
            raise
        finally:
            self._running.remove(method)
            self._done.add(method)

    def _look(self, method: str) -> None:
        if self._running:
            self._note(f"{method} while {self._running[-1]} was running")
        if "close" in self._done:
            self._note(f"{method} after close")
        for end in ("finish", "abort"):
            if end in self._done and method not in ("close", "abort"):
                self._note(f"{method} after {end}")
        if "abort" in self._done and method == "abort":
            self._note("abort after abort")
        if method == "close" and self._ends and not self._done & {"finish", "abort"}:
            self._note("close without finish or abort")

    def _note(self, what: str) -> None:
        self.log.violations.append(f"{self._number}: {what}")
