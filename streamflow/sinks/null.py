"""Nowhere."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from streamflow.model.checkpoint import Delivery
from streamflow.model.interfaces import InlineWriter, Sink


@dataclass(frozen=True)
class Null(Sink[Any]):
    """Take every item and keep none: for flows that work by what their functions do, and for measuring."""

    guarantee = "nothing is kept"

    @property
    def delivery(self) -> Delivery:
        """Tell that nothing is there twice, since nothing is there."""
        return "exactly once"

    @property
    def inline(self) -> bool:
        """Tell that its writer takes items one by one."""
        return True

    async def open(self, bounded: bool) -> NullWriter:
        """Open nothing."""
        return NullWriter()


class NullWriter(InlineWriter[Any]):
    """Drop items."""

    def __init__(self) -> None:
        nowhere: deque[Any] = deque(maxlen=0)
        self.put = nowhere.append  # type: ignore[method-assign]  # the cheapest call that does nothing

    def put(self, item: Any, /) -> object:
        """Drop one item."""
        return None
