"""`key_by(...).process`: one coroutine that takes the items of its keys and their timers, and sends what it likes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from streamflow.model.arguments import whole_number
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Operator
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.callables import gives_async_items, is_async, name_of, require_callable


@dataclass(frozen=True, eq=False)
class Process(Operator):
    """Hand items and timers to `call(inbox, out, state)`, which lives as long as its stage; `concurrency` of them.

    The error policy is that of the key's function: what the coroutine itself raises fails the run, since it is gone.
    """

    key: Callable[[Any], Any]
    call: Callable[[Any, Any, Any], Any]
    concurrency: int = 1
    name: str | None = None
    errors: ErrorPolicy = FAIL
    by_event_time: bool = False

    @property
    def label(self) -> str:
        """Return `process(function)` behind its key, or the user's name."""
        return self.name or f"key_by({name_of(self.key)}).process({name_of(self.call)})"

    @property
    def multiplies(self) -> bool:
        """Tell that what leaves is for the coroutine to say."""
        return True

    @property
    def repeatable(self) -> bool:
        """Tell whether one coroutine gets everything, in the order of the input."""
        return self.concurrency == 1

    @property
    def keeps(self) -> str:
        """Return what gives the states and the timers their meaning."""
        clock = "event time" if self.by_event_time else "the clock of the run"
        return f"process({name_of(self.call)}) by {name_of(self.key)}, timers by {clock}"

    def where_timed(self) -> Process:
        """Return it as it is where items have an event time."""
        return replace(self, by_event_time=True)


def process_operator(
    key: Callable[[Any], Any], call: Any, concurrency: object, name: str | None, errors: ErrorPolicy
) -> Process:
    """Return the operator that these words describe; raise FlowError for what cannot work."""
    if callable(call) and gives_async_items(call):
        raise FlowError(
            f"process({name_of(call)}): an async generator gives items by `yield`, which nobody would ask for here: "
            f"write `await out(item)` instead"
        )
    require_callable(call, "process")
    if not is_async(call):
        raise FlowError(
            f"process({name_of(call)}): expected `async def {name_of(call)}(inbox, out, state)`, which takes events by "
            f"`async for event in inbox`; for a plain function of state and item use map_with_state"
        )
    _check_takes_three(call)
    return Process(key, call, whole_number("process(concurrency=...)", concurrency, 1), name, errors)


def _check_takes_three(call: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(call)
    except ValueError:
        return  # something of C, which does not say what it takes
    try:
        signature.bind("inbox", "out", "state")
    except TypeError as error:
        raise FlowError(
            f"process({name_of(call)}): it is called as {name_of(call)}(inbox, out, state), and takes {signature}: "
            f"{error}"
        ) from None
