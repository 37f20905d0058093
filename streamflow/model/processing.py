"""What a processor is given: the items of its keys, and the timers that it has set for them."""

from __future__ import annotations

from typing import Any, NamedTuple


class KeyedItem(NamedTuple):
    """Be an item with its key, and with its event time in seconds since the epoch if the flow has one."""

    key: Any
    value: Any
    time: float | None


class Timer(NamedTuple):
    """Say that the time has come for which a timer was set."""

    key: Any
    time: float
