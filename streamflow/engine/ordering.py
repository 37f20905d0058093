"""The order of what is under way at the same time. Pure: it is told what happened and says what may leave.

An item is known by its ordinal: whoever takes it counts, and nothing is allocated for it here.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from streamflow.model.markers import LatencyProbe

PENDING: Final = object()
#: The value of an item that leaves the stream here.
NOTHING: Final = object()


class Signal:
    """Be, among results, something else: a marker to pass on, or the error that ends the run."""

    __slots__ = ("what",)

    def __init__(self, what: Any) -> None:
        self.what = what


class Ordered:
    """Let results leave in the order in which their items were taken, `capacity` of them apart at most."""

    #: Whether nothing may be taken for now: here a marker keeps its place, and nothing need wait for it.
    fenced = False

    def __init__(self, capacity: int) -> None:
        size = 1 << max(capacity - 1, 1).bit_length()
        self._values: list[Any] = [PENDING] * size  # a ring: item n is at n modulo its size, a power of two
        self._mask = size - 1
        self._marks: deque[tuple[int, Any]] = deque()
        #: The ordinal of the next item to leave.
        self.head = 0

    def close(self, item: int, value: Any) -> bool:
        """Fill the place of `item`; return whether something may leave now."""
        self._values[item & self._mask] = value
        return item == self.head

    def mark(self, what: Any, taken: int) -> None:
        """Let a marker leave after the first `taken` items."""
        self._marks.append((taken, what))

    def ready(self) -> bool:
        """Tell whether something may leave."""
        if self._marks and self._marks[0][0] == self.head:
            return True
        return self._values[self.head & self._mask] is not PENDING

    def leave(self, limit: int) -> tuple[list[Any], Any]:
        """Take out up to `limit` results, up to the first signal; return them and what was signalled."""
        values, mask, head, out = self._values, self._mask, self.head, list[Any]()
        stop = self._marks[0][0] if self._marks else -1
        signal = None
        while head != stop and len(out) < limit and (value := values[head & mask]) is not PENDING:
            values[head & mask] = PENDING
            head += 1
            if value.__class__ is Signal:
                signal = value.what
                break
            if value is not NOTHING:
                out.append(value)
        self.head = head
        if head == stop and signal is None:
            signal = self._marks.popleft()[1]
        return out, signal


class Unordered:
    """Let results leave as they come. A marker is a fence: nothing may be taken until all before it has been closed.

    A latency probe is no fence, or measuring would cost what it measures: it leaves once as many results have as were
    under way when it came.
    """

    def __init__(self) -> None:
        self.fenced = False
        #: How many items have left.
        self.head = 0
        self._closed = 0
        self._ready: deque[Any] = deque()
        self._fence: deque[tuple[int, Any]] = deque()
        self._probes: deque[tuple[int, Signal]] = deque()

    def close(self, item: int, value: Any) -> bool:
        """Take the value of an item; something may leave now."""
        self._closed += 1
        self._ready.append(value)
        if self._probes and self._closed >= self._probes[0][0]:
            self._ready.append(self._probes.popleft()[1])
        if self.fenced:
            self._pass_fence()
        return True

    def mark(self, what: Any, taken: int) -> None:
        """Let a marker leave after everything that was taken before it."""
        if isinstance(what, LatencyProbe) and taken > self._closed and not self.fenced:
            self._probes.append((taken, Signal(what)))
            return
        self._fence.append((taken, what))
        self._pass_fence()

    def let_pass(self, what: Any) -> None:
        """Let a marker leave behind what is done, ahead of what is still under way."""
        self._ready.append(Signal(what))

    def _pass_fence(self) -> None:
        while self._fence and self._closed >= self._fence[0][0]:
            self._ready.append(Signal(self._fence.popleft()[1]))
        self.fenced = bool(self._fence)

    def ready(self) -> bool:
        """Tell whether something may leave."""
        return bool(self._ready)

    def leave(self, limit: int) -> tuple[list[Any], Any]:
        """Take out up to `limit` results, up to the first signal; return them and what was signalled."""
        ready, out = self._ready, list[Any]()
        while ready and len(out) < limit:
            value = ready.popleft()
            if value.__class__ is Signal:
                self.head += isinstance(value.what, BaseException)
                return out, value.what
            self.head += 1
            if value is not NOTHING:
                out.append(value)
        return out, None
