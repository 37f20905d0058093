"""What a failure says to the caller: the user's own exception, with a note of where it happened."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Any

from streamflow.metrics.ledger import Ledger
from streamflow.model.errors import FlowError, ItemCancelled, NoForm
from streamflow.model.failures import DeadLetter
from streamflow.model.interfaces import Operator, Sink
from streamflow.model.notes import add_note, notes_of
from streamflow.model.policies import DeadLetters
from streamflow.model.positions import Answerable, Known, Where, plain, resolved

_MARK = "in stage "
_ENGINE = str(Path(__file__).parent)


def explain_failure(error: BaseException, stage: str, operator: str, index: int | None, position: Known) -> None:
    """Add one note to `error`, unless it has ours already: stage, operator, item index and source position."""
    if any(note.startswith(_MARK) for note in notes_of(error)):
        return
    parts = [f"{_MARK}{stage!r}"]
    if operator != stage:
        parts.append(f"operator {operator!r}")
    if index is not None:
        parts.append(f"item {index:,} of its input")
    if position is not None:
        parts.append(f"source position: {position}")
    add_note(error, ", ".join(parts))


def explain_letter(error: BaseException, item: object) -> None:
    """Add a note of what was to be set aside, if `item` is a dead letter: its own error must not be lost with it."""
    if isinstance(item, DeadLetter):
        add_note(error, f"while setting aside {item.item!r}, which failed with {item.exception}: {item.message}")


def as_failure(error: BaseException, label: str) -> BaseException:
    """Return `error`, or what stands for one that would be taken for something else on its way to the caller."""
    if isinstance(error.__cause__, NoForm):
        return error.__cause__  # an encoder has put words of its own before it
    if isinstance(error, asyncio.CancelledError):
        stand_in: Exception = ItemCancelled(label)
    elif isinstance(error, (StopIteration, StopAsyncIteration)):
        stand_in = RuntimeError(f"{label}: the function raised {type(error).__name__}")
    else:
        return error
    stand_in.__cause__ = error
    return stand_in


def without_our_frames(error: BaseException) -> BaseException:
    """Cut the engine's frames off the traceback: they would keep the batch's other items as long as the error."""
    here = error.__traceback__
    while here is not None and here.tb_frame.f_code.co_filename.startswith((_ENGINE, "<streamflow fused")):
        with suppress(RuntimeError):  # one that still runs
            here.tb_frame.clear()
            dict(here.tb_frame.f_locals)  # which brings the copy up to date that was made when blame was looked for
        here = here.tb_next
    return error.with_traceback(here)


def is_cancellation(error: BaseException) -> bool:
    """Tell whether `error` cancels the present task; a CancelledError may as well be a failure of the user's code."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


class Failures:
    """Apply the error policies of one stage, and gather its dead letters until the driver takes them."""

    def __init__(self, stage: str, ledger: Ledger) -> None:
        self.stage = stage
        self.ledger = ledger
        self.letters: list[tuple[DeadLetters, DeadLetter]] = []
        self._counts: dict[int, int] = {}

    def take(
        self,
        error: BaseException,
        operator: Operator | Sink[Any],
        item: Any,
        index: int,
        position: Where,
        *,
        attempts: int = 1,
        emitted: int = 0,
    ) -> None:
        """Count a failed item and do what `operator` says about it; raise `error`, explained, if that is to fail.

        A FlowError is a mistake in the description, which no policy for items covers.
        """
        error = as_failure(error, operator.label)
        self.ledger.failed += 1
        policy = operator.errors
        position = plain(position)
        if isinstance(position, Answerable):
            position.reject(without_our_frames(error))
        position = resolved(position)
        if not policy.drops or isinstance(error, FlowError):
            explain_failure(error, self.stage, operator.label, index, position)
            explain_letter(error, item)
            raise error
        if isinstance(policy.on_error, DeadLetters):
            letter = DeadLetter.of(
                error, item, self.stage, operator.label, index, position, time(), attempts=attempts, emitted=emitted
            )
            self.letters.append((policy.on_error, letter))
        count = self._counts[id(operator)] = self._counts.get(id(operator), 0) + 1
        policy.check(count, operator.label, error)


def in_words(error: BaseException | None) -> str | None:
    """Return an error and its notes as text, for a report; one that cannot say what it is has its type at least."""
    if error is None:
        return None
    try:
        said = str(error)
    except Exception:
        said = "(its __str__ raises)"
    name = type(error).__name__
    return "\n".join([f"{name}: {said}" if said else name, *notes_of(error)])
