"""What the engine needs of an operator that it can fuse into one generated function."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Final

from streamflow.model.interfaces import Operator, State


class _Dropped:
    __slots__ = ()

    def __repr__(self) -> str:
        return "DROPPED"


class _Kept:
    __slots__ = ()

    def __repr__(self) -> str:
        return "KEPT"


#: What `apply` returns for an item that leaves the stream here.
DROPPED: Final = _Dropped()
#: What `apply` returns for an item that the operator holds back in its state.
KEPT: Final = _Kept()


class ElementOperator(Operator):
    """Be a synchronous step from one item to at most one item.

    It is written twice: `lines` for the generated function and `apply` for its interpreted twin, and tests hold the
    two equal. In `lines`, `x` is the item, `f` the function, `s` the state; `f` and `s` are made unique by the fuser,
    which also turns the words `DROP`, `KEEP` (hold it back) and `STOP` (drop it, want no more) into what they mean.
    """

    @property
    def function(self) -> Callable[..., Any] | None:
        """Return the user's function, if there is one."""
        return None

    @property
    def drops(self) -> bool:
        """Tell whether `lines` may drop an item."""
        return False

    @property
    def multiplies(self) -> bool:
        """Tell whether an item may vanish here."""
        return self.drops or self.errors.drops

    @property
    @abstractmethod
    def lines(self) -> tuple[str, ...]:
        """Return the body of the generated loop for this operator."""

    @abstractmethod
    def apply(self, item: Any, state: Any, call: Callable[..., Any]) -> Any:
        """Return the item to hand on, `DROPPED` or `KEPT`; `call` is the user's function as it is to be called."""

    def start(self) -> State | None:
        """Return fresh state for one run, or None for an operator that remembers nothing."""
        return None
