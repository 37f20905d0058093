"""What the engine needs of an operator that it can fuse into one generated function."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
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


class _Aside:
    __slots__ = ()

    def __repr__(self) -> str:
        return "ASIDE"


#: What `apply` returns for an item that the operator holds back in its state.
KEPT: Final = _Kept()
#: What `apply` returns for an item that goes to the operator's second output.
ASIDE: Final = _Aside()
#: The outputs of an operator that has two.
RESULTS, LATE = "results", "late"


class ElementOperator(Operator):
    """Be a synchronous step from one item to at most one item.

    It is written twice: `lines` for the generated function and `apply` for its interpreted twin, and tests hold the
    two equal. In `lines`, `x` is the item, `f` the function, `s` the state; `f` and `s` are made unique by the fuser,
    which also turns the words `DROP`, `KEEP` (hold it back), `STOP` (drop it, want no more) and `ASIDE` (hand it to the
    second output) into what they mean. Where `functions` are several they are `g.0`, `g.1` …, names of its own bear
    an `@`; `t` is the event time of the item and `c` the clock, if `timed`.
    """

    @property
    def function(self) -> Callable[..., Any] | None:
        """Return the user's function, if there is one."""
        return None

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """Return the user's functions where there are several; `apply` is then given a list of them."""
        return ()

    @property
    def names(self) -> Mapping[str, Any]:
        """Return what `lines` refer to besides, by names with an `@`."""
        return {}

    @property
    def sets_time(self) -> bool:
        """Tell whether `lines` set the event time of the item; the state is a `Clock` then."""
        return False

    @property
    def timed(self) -> bool:
        """Tell whether `lines` need the event time of the item."""
        return False

    @property
    def may_be_timed(self) -> bool:
        """Tell whether this operator is another one where items have an event time."""
        return False

    def where_timed(self) -> ElementOperator:
        """Return that other one."""
        return self

    @property
    def runs_by_clock(self) -> bool:
        """Tell whether the state goes by the clock of the run, which the engine sets as `run_time`."""
        return False

    @property
    def folds(self) -> bool:
        """Tell whether items end here, and what leaves are results that the state, a `Firing`, gives when they are due.

        Such an operator ends its stage.
        """
        return False

    @property
    def timed_results(self) -> bool:
        """Tell whether results have an event time, where items end here."""
        return False

    @property
    def parts_late(self) -> bool:
        """Tell whether it has a second output, so that what leaves are pairs of the output and the item."""
        return False

    def parting_late(self) -> ElementOperator:
        """Return this operator with its second output, if it can have one."""
        return self

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
