"""The order of what is under way at the same time. Pure: it is told what happened and says what may leave.

A slot is a list of one value, not an object of a class: one is made for each item, and it costs a quarter.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from streamflow.model.markers import LatencyProbe

PENDING: Final = object()
#: The value of a slot whose item leaves the stream here.
NOTHING: Final = object()
Slot = list[Any]


class Signal:
    """Be, in a slot, something other than a result: a marker to pass on, or the error that ends the run."""

    __slots__ = ("what",)

    def __init__(self, what: Any) -> None:
        self.what = what


class Ordered:
    """Let results leave in the order in which their slots were opened; a marker has a slot of its own."""

    #: Whether nothing may be opened for now.
    fenced = False

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque()

    def open(self) -> Slot:
        """Open the next slot."""
        slot = [PENDING]
        self._slots.append(slot)
        return slot

    def close(self, slot: Slot, value: Any) -> bool:
        """Fill `slot`; return whether something may leave now."""
        slot[0] = value
        return self._slots[0] is slot

    def mark(self, what: Any) -> None:
        """Let a marker leave after everything that was opened before it."""
        self._slots.append([Signal(what)])

    def ready(self) -> bool:
        """Tell whether something may leave."""
        return bool(self._slots) and self._slots[0][0] is not PENDING

    def leave(self, limit: int) -> tuple[list[Any], int, Any]:
        """Take out up to `limit` results, up to the first signal: the results, the slots freed, what was signalled."""
        slots, out, freed = self._slots, list[Any](), 0
        while slots and len(out) < limit:
            value = slots[0][0]
            if value is PENDING:
                break
            slots.popleft()
            if value.__class__ is Signal:
                return out, freed, value.what
            freed += 1
            if value is not NOTHING:
                out.append(value)
        return out, freed, None


class Unordered:
    """Let results leave as they come. A marker is a fence: nothing may be opened until all before it has been closed.

    A latency probe is no fence, or measuring would cost what it measures: it leaves once as many results have as were
    open when it came.
    """

    def __init__(self) -> None:
        self.fenced = False
        self._open = 0
        self._closed = 0
        self._ready: deque[Any] = deque()
        self._fence: list[Signal] = []
        self._probes: deque[tuple[int, Signal]] = deque()

    def open(self) -> Slot:
        """Open a slot; not while `fenced`."""
        self._open += 1
        return [PENDING]

    def close(self, slot: Slot, value: Any) -> bool:
        """Fill `slot`; something may leave now."""
        self._open -= 1
        self._closed += 1
        self._ready.append(value)
        if self._probes and self._closed >= self._probes[0][0]:
            self._ready.append(self._probes.popleft()[1])
        if self._fence:
            self._pass_fence()
        return True

    def mark(self, what: Any) -> None:
        """Let a marker leave after everything that was opened before it."""
        if isinstance(what, LatencyProbe) and self._open and not self._fence:
            self._probes.append((self._closed + self._open, Signal(what)))
            return
        self._fence.append(Signal(what))
        self._pass_fence()

    def _pass_fence(self) -> None:
        if not self._open:
            self._ready.extend(self._fence)
            self._fence.clear()
        self.fenced = bool(self._fence)

    def ready(self) -> bool:
        """Tell whether something may leave."""
        return bool(self._ready)

    def leave(self, limit: int) -> tuple[list[Any], int, Any]:
        """Take out up to `limit` results, up to the first signal: the results, the slots freed, what was signalled."""
        ready, out, freed = self._ready, list[Any](), 0
        while ready and len(out) < limit:
            value = ready.popleft()
            if value.__class__ is Signal:
                return out, freed, value.what
            freed += 1
            if value is not NOTHING:
                out.append(value)
        return out, freed, None
