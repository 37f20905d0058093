"""The order of what is under way at the same time. Pure: it is told what happened and says what may leave."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

PENDING: Final = object()
#: The value of a slot whose item leaves the stream here.
NOTHING: Final = object()


class Slot:
    """Hold the place of one item, or of a marker, in the order of the input."""

    __slots__ = ("value",)

    def __init__(self, value: Any = PENDING) -> None:
        self.value = value


class Ordered:
    """Let results leave in the order in which their slots were opened."""

    #: Markers have slots of their own, so nothing need wait for them.
    fenced = False

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque()

    def __len__(self) -> int:
        return len(self._slots)

    def open(self) -> Slot:
        """Open the next slot."""
        slot = Slot()
        self._slots.append(slot)
        return slot

    def close(self, slot: Slot, value: Any) -> bool:
        """Fill `slot`; return whether something may leave now."""
        slot.value = value
        return self._slots[0] is slot

    def mark(self, value: Any) -> None:
        """Put a filled slot at the end: a marker keeps its place."""
        self._slots.append(Slot(value))

    def ready(self) -> bool:
        """Tell whether something may leave."""
        return bool(self._slots) and self._slots[0].value is not PENDING

    def leave(self) -> Any:
        """Return the value of the first slot, which must be filled, and remove it."""
        return self._slots.popleft().value


class Unordered:
    """Let results leave as they come. A marker is a fence: nothing is opened until all before it has been closed."""

    def __init__(self) -> None:
        self._open = 0
        self._ready: deque[Any] = deque()
        self._fence: list[Any] = []

    def __len__(self) -> int:
        return self._open + len(self._ready)

    @property
    def fenced(self) -> bool:
        """Tell whether a marker waits for what was opened before it."""
        return bool(self._fence)

    def open(self) -> Slot:
        """Open a slot; not while `fenced`."""
        self._open += 1
        return Slot()

    def close(self, slot: Slot, value: Any) -> bool:
        """Fill `slot`; something may leave now."""
        slot.value = value
        self._open -= 1
        self._ready.append(value)
        self._pass_fence()
        return True

    def mark(self, value: Any) -> None:
        """Let a marker leave after everything that was opened before it."""
        self._fence.append(value)
        self._pass_fence()

    def _pass_fence(self) -> None:
        if not self._open:
            self._ready.extend(self._fence)
            self._fence.clear()

    def ready(self) -> bool:
        """Tell whether something may leave."""
        return bool(self._ready)

    def leave(self) -> Any:
        """Return the next value, and remove it."""
        return self._ready.popleft()
