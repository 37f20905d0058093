"""Notes on a user's exception: where it happened, without standing in its way to the caller."""

from __future__ import annotations

import logging

log = logging.getLogger("streamflow.run")


def add_note(error: BaseException, note: str) -> None:
    """Add `note` to `error`; one that takes none (a class may refuse attributes) keeps its way, and the note is logged.

    >>> error = KeyError("b")
    >>> add_note(error, "in stage 'map'")
    >>> error.__notes__
    ["in stage 'map'"]
    """
    try:
        error.add_note(note)
    except Exception:
        try:
            # A frozen dataclass, say: what refuses attributes is the class's own `__setattr__`, not the object.
            BaseException.__setattr__(error, "__notes__", [*notes_of(error), note])
        except Exception:
            log.warning("%s takes no note, which would have said: %s", type(error).__name__, note)


def notes_of(error: BaseException) -> list[str]:
    """Return the notes on `error`, as far as they can be read and are text."""
    try:
        return [note for note in getattr(error, "__notes__", ()) if isinstance(note, str)]
    except Exception:
        return []
