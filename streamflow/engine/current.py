"""Where the item came from that the user's function has in its hands: what `sf.position()` asks."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from streamflow.model.errors import FlowError
from streamflow.model.positions import Gathered, Position, Span, Where, resolved

_locate: ContextVar[Callable[[], Where]] = ContextVar("streamflow_position")


def set_locator(locate: Callable[[], Where]) -> None:
    """Make `locate` answer `position()` in the calling task."""
    _locate.set(locate)


def position() -> Position | Span | Gathered:
    """Return where the item comes from that the calling function was given: file, line and offset, or ordinal.

    Behind an edge the exact place is known where the flow tracks positions (`with_position=True` on an operator, or
    dead letters); elsewhere it is the `Span` of the batch. Raises FlowError outside of a flow's function.
    """
    locate = _locate.get(None)
    found = resolved(locate()) if locate is not None else None
    if found is None:
        raise FlowError(
            "position() has an answer only inside a function that a running flow calls with an item on its event loop; "
            "a function with on= gets it as its last argument: with_position=True"
        )
    return found
