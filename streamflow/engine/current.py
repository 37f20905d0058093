"""Where the item came from that the user's function has in its hands: what `sf.position()` asks."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from streamflow.model.errors import FlowError
from streamflow.model.positions import Position, Span

_locate: ContextVar[Callable[[], Position | Span | None]] = ContextVar("streamflow_position")


def set_locator(locate: Callable[[], Position | Span | None]) -> None:
    """Make `locate` answer `position()` in the calling task."""
    _locate.set(locate)


def position() -> Position | Span:
    """Return where the item comes from that the calling function was given: file, line and offset, or ordinal.

    Behind an edge the exact place is known where the flow tracks positions (`with_position=True` on an operator, or
    dead letters); elsewhere it is the `Span` of the batch. Raises FlowError outside of a flow's function.
    """
    locate = _locate.get(None)
    found = locate() if locate is not None else None
    if found is None:
        raise FlowError("position() has an answer only inside a function that a running flow calls with an item")
    return found
