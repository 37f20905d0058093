"""What a processor sees of the key of its latest event."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from streamflow.model.errors import FlowError
from streamflow.operators.event_time import Clock
from streamflow.operators.timers import NO_VALUE, KeyedTimers

_NO_KEY: Final = object()


class KeyState:
    """Be the state of one key at a time: a value, and timers."""

    __slots__ = ("_by_event_time", "_clock", "_key", "_label", "_now", "_timers")

    def __init__(self, timers: KeyedTimers, now: Callable[[], float], label: str, *, by_event_time: bool) -> None:
        self._timers, self._now, self._label, self._by_event_time = timers, now, label, by_event_time
        self._clock = Clock(label=f"{label}: state.set_timer")
        self._key: Any = _NO_KEY

    def turn_to(self, key: Any) -> None:
        """Be the state of `key` from now on; the engine says so with each event."""
        self._key = key

    @property
    def key(self) -> Any:
        """Return the key of the latest event."""
        if self._key is _NO_KEY:
            raise FlowError(
                f"{self._label}: state is that of the key of the latest event, and there was none yet; "
                f"use it inside `async for event in inbox`"
            )
        return self._key

    @property
    def now(self) -> float:
        """Return the watermark, or where there is no event time how many seconds the run has been at work.

        The watermark is minus infinity before the first event, and infinity when the input has ended.
        """
        return self._now()

    def get(self, default: Any = None) -> Any:
        """Return the value of this key; what is changed in place must be set again."""
        value = self._timers.value(self.key)
        return default if value is NO_VALUE else value

    def set(self, value: Any) -> None:
        """Set the value of this key; None is a value like any other."""
        self._timers.put(self.key, value)

    def clear(self) -> None:
        """Take the value of this key away; its timers stay."""
        self._timers.put(self.key, NO_VALUE)

    def set_timer(self, at: float | datetime) -> None:
        """Have a `Timer` of this key come when it is `at`, at once if that is over; once, however often it is set."""
        key, moment = self.key, self._moment(at)
        if self._now() != math.inf:  # one that sets itself anew would keep the end of the input away for ever
            self._timers.add(key, moment)

    def cancel_timer(self, at: float | datetime) -> None:
        """Take back the timer of this key that was set for `at`, if there is one."""
        self._timers.remove(self.key, self._moment(at))

    def _moment(self, at: Any) -> float:
        if isinstance(at, (datetime, str)) and not self._by_event_time:
            raise TypeError(
                f"{self._label}: set_timer({at!r}): without event time timers go by the seconds of the run: "
                f"set_timer(state.now + 60), or put .event_time(...) before it"
            )
        moment = self._clock.convert(at)
        if not math.isfinite(moment):
            raise ValueError(f"{self._label}: set_timer({at!r}): a timer needs a time that comes")
        return moment
