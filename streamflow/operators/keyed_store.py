"""Where what is kept of each key lies: in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class KeyedStore:
    """Hold one value a key, in the order in which the keys came; a value that was changed is put again."""

    __slots__ = ("_values", "get", "put")

    def __init__(self) -> None:
        self._values: dict[Any, Any] = {}
        #: The value of a key, or a default: `get(key, default=None)`.
        self.get: Callable[..., Any] = self._values.get
        #: Set the value of a key: `put(key, value)`.
        self.put: Callable[[Any, Any], None] = self._values.__setitem__

    def delete(self, key: Any) -> None:
        """Forget a key, if it is there."""
        self._values.pop(key, None)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Return keys and values, the first that came first."""
        return iter(self._values.items())

    def oldest(self) -> tuple[Any, Any] | None:
        """Return the key that came first, with its value."""
        return next(iter(self._values.items()), None)

    def __len__(self) -> int:
        return len(self._values)
