"""Barriers over several inputs: hold those that have delivered theirs until all have. Pure."""

from __future__ import annotations

from streamflow.model.markers import Barrier


class Alignment:
    """Follow one checkpoint at a time over `ports` inputs; an input that has ended counts as aligned."""

    def __init__(self, ports: int) -> None:
        self._ports = ports
        self.ended: set[int] = set()
        self.held: set[int] = set()
        self._barrier: Barrier | None = None

    @property
    def complete(self) -> bool:
        """Tell whether every input has ended."""
        return len(self.ended) == self._ports

    def readable(self, port: int) -> bool:
        """Tell whether `port` may be read."""
        return port not in self.held and port not in self.ended

    def deliver(self, port: int, barrier: Barrier) -> Barrier | None:
        """Take the barrier of `port`; return it if that was the last one missing."""
        self._barrier = barrier
        self.held.add(port)
        return self._aligned()

    def end(self, port: int) -> Barrier | None:
        """Take note that `port` has ended; return the barrier if that was the last one missing."""
        self.ended.add(port)
        return self._aligned()

    def _aligned(self) -> Barrier | None:
        if self._barrier is None or len(self.held | self.ended) < self._ports:
            return None
        barrier, self._barrier = self._barrier, None
        self.held.clear()
        return barrier
