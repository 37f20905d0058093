"""What goes to the place where functions run, and what comes back: steps, shares of items, outcomes. Words only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["map", "filter", "tap"]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Be one operator as its place sees it: a function, and what it is called with beside the item.

    `resource` gives a context manager, entered once a worker. `goes_on` says that an item which fails here leaves
    the rest of its share to be done; else nothing is begun after it.
    """

    kind: Kind
    function: Callable[..., Any]
    label: str
    resource: Callable[[], Any] | None = None
    with_position: bool = False
    goes_on: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Be the steps that an item takes in one place, without coming back in between; `timeout` is in seconds an item."""

    steps: tuple[Step, ...]
    timeout: float | None = None

    @property
    def wants_positions(self) -> bool:
        """Tell whether a function is called with the item's position."""
        return any(step.with_position for step in self.steps)

    @property
    def label(self) -> str:
        """Return the names of the steps."""
        return " → ".join(step.label for step in self.steps)


@dataclass(slots=True)
class Failure:
    """Say that the item at `index` of its share failed at `step`."""

    index: int
    step: int
    error: BaseException


@dataclass(slots=True)
class Outcome:
    """Say what came of one share: the results in order, and of which items they are.

    Every item of the share is in `kept` (None: all are), was dropped by a step, is in `failures`, or in `undone`: those
    are to be given again, because their worker was lost or an item before them has failed. `fatal` is an error
    that no item is to blame for. `seconds` is the time that the functions took, `crossing` that for which the event
    loop was held to send the share or to take this in, whichever is longer.
    """

    values: list[Any] = field(default_factory=list)
    kept: Sequence[int] | None = None
    dropped: Sequence[int] = ()
    failures: list[Failure] = field(default_factory=list)
    undone: Sequence[int] = ()
    #: Whether what is `undone` is to be given again one by one, because nobody knows which item is to blame.
    apart: bool = False
    seconds: float = 0.0
    crossing: float = 0.0
    fatal: BaseException | None = None
