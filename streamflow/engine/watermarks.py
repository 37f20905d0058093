"""Event time over several inputs: the least of their watermarks holds for all of them. Pure."""

from __future__ import annotations

import math

from streamflow.model.markers import Idle, Marker, Watermark


class Watermarks:
    """Follow `ports` inputs; one that is idle or has ended takes no part in the minimum, one that said nothing does."""

    def __init__(self, ports: int) -> None:
        self._times: dict[int, float] = dict.fromkeys(range(ports), -math.inf)
        self._idle: set[int] = set()
        self._told: Marker = Watermark(-math.inf)
        self._highest = -math.inf

    def advance(self, port: int, time: float) -> Marker | None:
        """Take the watermark of `port`, which is not idle then; return what is to be handed on, if anything."""
        self._times[port] = max(time, self._times[port])
        self._idle.discard(port)
        return self._news()

    def note(self, port: int, time: float) -> None:
        """Take the watermark of `port` from an item, which carries it on itself: see `least`."""
        if time > self._times[port] or port in self._idle:
            self._times[port] = max(time, self._times[port])
            self._idle.discard(port)
            self._rise()

    @property
    def least(self) -> float:
        """Return the watermark of all inputs together, which never goes back."""
        return self._highest

    def behind(self, port: int, other: int) -> bool:
        """Tell whether `port` has not come as far as `other`, and is not idle; both have not ended."""
        return port not in self._idle and self._times[port] < self._times[other]

    def _rise(self) -> None:
        active = [time for port, time in self._times.items() if port not in self._idle]
        self._highest = max(self._highest, min(active, default=-math.inf))

    def idle(self, port: int) -> Marker | None:
        """Take note that `port` waits for the outside world; return what is to be handed on, if anything."""
        self._idle.add(port)
        return self._news()

    def end(self, port: int) -> Marker | None:
        """Take note that `port` has ended; return what is to be handed on, if anything."""
        del self._times[port]
        self._idle.discard(port)
        return self._news()

    def _news(self) -> Marker | None:
        """Return what all inputs together say now, if it differs from what was said last; time never goes back."""
        if not self._times:
            return None  # the end itself says more
        self._rise()
        now = Watermark(self._highest) if len(self._times) > len(self._idle) else Idle()
        if now == self._told:
            return None
        self._told = now
        return now
