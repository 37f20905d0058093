"""Sources that have a word of their own on the face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamflow.sources.inbox import Inbox
    from streamflow.sources.ticks import Ticks


def inbox(capacity: int = 1000, *, name: str = "inbox") -> Inbox[Any]:
    """Return a source to push into: `await send(x)`, `send_nowait(x)`, `await ask(x)`, `close()`."""
    from streamflow.sources.inbox import Inbox

    return Inbox(capacity, name=name)


def ticks(every: float, *, count: int | None = None) -> Ticks:
    """Return a source of 0, 1, 2, … every `every` seconds; ticks that nobody was ready for come as one."""
    from streamflow.sources.ticks import Ticks

    return Ticks(every=every, count=count)
