"""Where markers stand among records that are on the disk. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from streamflow.model.markers import Barrier, Idle, Marker, Watermark


def written_down(marker: Marker) -> bool:
    """Tell whether a marker is written among the records: one of those that may be as many as these."""
    return isinstance(marker, (Watermark, Idle))


class Placing:
    """Keep markers: each before the record that came after it, or at the end, behind all that were written."""

    def __init__(self) -> None:
        self.end: deque[Marker] = deque()
        self._placed: deque[tuple[int, Marker]] = deque()

    def add(self, markers: Iterable[Marker]) -> None:
        """Put markers at the end."""
        self.end.extend(markers)

    def wrote(self, count: int, sequence: int) -> None:
        """Take note that the first `count` at the end lie before records from `sequence` on now, or are of them."""
        for _ in range(min(count, len(self.end))):  # there are none left if the edge was closed
            marker = self.end.popleft()
            if written_down(marker):
                sequence += 1
            else:
                self._placed.append((sequence, marker))

    def before(self, sequence: int) -> Iterator[Marker]:
        """Take out the markers that stand before record `sequence`."""
        while self._placed and self._placed[0][0] <= sequence:
            yield self._placed.popleft()[1]

    def take_end(self) -> Iterator[Marker]:
        """Take out the markers at the end."""
        while self.end:
            yield self.end.popleft()

    def take_barriers(self) -> list[tuple[Barrier, list[Marker]]]:
        """Take the barriers at the end out of their place; with each, those before it that are written down."""
        found: list[tuple[Barrier, list[Marker]]] = []
        kept: list[Marker] = []
        for marker in self.end:
            if isinstance(marker, Barrier):
                found.append((marker, [one for one in kept if written_down(one)]))
            else:
                kept.append(marker)
        if found:
            self.end = deque(kept)
        return found

    def clear(self) -> None:
        """Let go of all markers."""
        self.end.clear()
        self._placed.clear()
