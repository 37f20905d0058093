"""From which stretch of the source the items of a stage came that holds many of them at once. Pure."""

from __future__ import annotations

from collections import deque

from streamflow.model.batches import Origin
from streamflow.model.positions import Span


class Origins:
    """Remember where items came from, by their ordinals, as long as one of them is in the stage."""

    def __init__(self) -> None:
        self._origins: deque[tuple[int, Origin | None]] = deque()

    def remember(self, first: int, origin: Origin | None, left: int) -> None:
        """Take note of where the items from `first` on come from; the first `left` are in the stage no more."""
        origins = self._origins
        origins.append((first, origin))
        while len(origins) > 1 and origins[1][0] <= left:
            origins.popleft()

    @property
    def latest(self) -> Origin | None:
        """Return where the latest items came from."""
        return self._origins[-1][1] if self._origins else None

    def span_of(self, index: int) -> Span | None:
        """Return from which stretch of the source the batch of item `index` came."""
        origin = None
        for first, candidate in self._origins:
            if first > index:
                break
            origin = candidate
        return origin.span() if origin is not None else None

    def clear(self) -> None:
        """Forget all."""
        self._origins.clear()
