"""Items that go to a worker together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streamflow.model.placement import Outcome


class Share:
    """Be one share under way: what was asked, and who waits for the answer."""

    __slots__ = ("answer", "chain", "items", "number", "positions")

    def __init__(
        self,
        number: int,
        chain: int,
        items: Sequence[Any],
        positions: Sequence[Any] | None,
        answer: Callable[[Outcome], None],
    ) -> None:
        self.number = number
        self.chain = chain
        self.items = items
        self.positions = positions
        self.answer = answer
