"""A list to collect items in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from streamflow.model.interfaces import InlineWriter, Sink

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ListSink(Sink[T]):
    """Append each item to `target`. It grows with the input: the one sink that no bound holds for."""

    target: list[T]

    @property
    def inline(self) -> bool:
        """Tell that its writer takes items one by one."""
        return True

    @property
    def unresumable(self) -> str:
        """Return why: the next process has another list, without what went into this one."""
        return (
            "what is in a list is in no checkpoint, and gone with its process: write to a file or a table, or give the "
            "items to a function, as in .to(save)"
        )

    async def open(self, bounded: bool) -> ListWriter[T]:
        """Go on at the end of the list."""
        return ListWriter(self.target)


class ListWriter(InlineWriter[T]):
    """Append items."""

    def __init__(self, target: list[T]) -> None:
        self._target = target
        self.put = target.append  # type: ignore[method-assign]  # the C function itself

    def put(self, item: T, /) -> object:
        """Append one item."""
        self._target.append(item)
        return None
