"""Whether a call has held the event loop: it has if this thread has computed all that time, and nothing else."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from time import thread_time

from streamflow.model.interfaces import InlineWriter, Operator
from streamflow.operators.element import ElementOperator
from streamflow.operators.flat_map import FlatMap
from streamflow.operators.keyed import KeyedFold, KeyedScan, MapWithState
from streamflow.operators.map import Apply

#: Seconds for which one call of a user's function may hold the loop before a warning names its stage.
HELD = 0.05
#: Long calls in a row in which the thread has hardly computed, from which on they are no accident.
IDLE_IN_A_ROW = 3
TOOK_LONG = "one call of its function took that long, and nothing else could run; "
PLACE_ADVICE = (
    TOOK_LONG + 'give it another place: on="process" if it computes in Python, on="thread" if it waits or releases the '
    "GIL; or split it into smaller steps"
)
ELSEWHERE_ADVICE = (
    TOOK_LONG
    + 'it can have no other place: make it cheaper, or do its work before it, in a .map(...) with on="process"'
)
_PLACEABLE = (Apply, KeyedFold, KeyedScan, MapWithState)


class HeldLoop:
    """Tell, once, of a call that has held the loop; `advice` None is for a stage without a function of the user's.

    Time in which this thread did not compute went to other processes, unless that happens several times in a row: then
    the function waits. A full garbage collection comes to whoever happens to be at work: after one, the next long call
    is waited for.
    """

    __slots__ = ("_advice", "_began", "_collections", "_idle", "_tell")

    def __init__(self, advice: str | None, tell: Callable[[float, str], None]) -> None:
        self._advice, self._tell = advice, tell
        self._began = 0.0
        self._idle = 0
        self._collections = _full_collections()

    def begin(self) -> None:
        """Take note that a call begins."""
        if self._advice is not None:
            self._began = thread_time()

    def end(self, seconds: float) -> None:
        """Take note of the end of a call that took so long by the clock."""
        if seconds <= HELD:
            self._idle = 0
        elif self._advice is not None and self._was_long():
            self._warn(seconds)

    def _was_long(self) -> bool:
        if thread_time() - self._began > HELD:
            return True
        self._idle += 1
        return self._idle >= IDLE_IN_A_ROW

    def _warn(self, seconds: float) -> None:
        assert self._advice is not None
        before, self._collections = self._collections, _full_collections()
        if before == self._collections:
            advice, self._advice = self._advice, None
            self._tell(seconds, advice)


def advice_for(operators: Iterable[Operator], writer: InlineWriter[object] | None) -> str | None:
    """Return what to do about a slow function among those of a stage, or None if it calls none of the user's."""
    calling = [operator for operator in operators if _calls_user(operator)]
    if any(isinstance(operator, _PLACEABLE) for operator in calling):
        return PLACE_ADVICE
    return ELSEWHERE_ADVICE if calling or (writer is not None and writer.calls_user) else None


def _calls_user(operator: Operator) -> bool:
    if isinstance(operator, Apply):
        return not operator.ours
    if isinstance(operator, ElementOperator):
        return operator.function is not None or bool(operator.functions)
    return isinstance(operator, FlatMap) and operator.call is not None


def _full_collections() -> int:
    return int(gc.get_stats()[-1]["collections"])
