"""What can be read once only: iterators that some run has begun to read."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from streamflow.model.errors import FlowError

#: Those that can be weakly referenced (generators can): two descriptions of one iterator must know of each
#: other.
_begun: WeakSet[Any] = WeakSet()


class Once:
    """Remember for one description whether its iterator was begun, by this description or by another."""

    def __init__(self, iterator: object) -> None:
        self._iterator = iterator
        self._begun = False

    def refuse_second_run(self) -> None:
        """Raise FlowError if a run has already begun to read the iterator."""
        if self._begun or self._begun_elsewhere():
            raise FlowError(
                f"this {type(self._iterator).__name__} was read by an earlier run, and an iterator "
                f"can be read once only: pass a function that makes it, as in sf.flow(lambda: ...), or a list"
            )

    def begin(self) -> None:
        """Note that a run begins to read the iterator; raise FlowError if it is the second one."""
        self.refuse_second_run()
        self._begun = True
        try:
            _begun.add(self._iterator)
        except TypeError:
            return  # it can be neither referenced weakly nor found again: this description alone remembers

    def _begun_elsewhere(self) -> bool:
        try:
            return self._iterator in _begun
        except TypeError:
            return False
