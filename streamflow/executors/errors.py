"""Errors that cross from a worker process: as themselves where that is possible, with where they were raised."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from streamflow.model.errors import NotTransferable


class InWorker(Exception):
    """Show, as the cause of an error, its traceback in the worker process where it was raised."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


def pickled_error(error: BaseException, label: str) -> bytes:
    """Return `error` for its way to the parent; one that cannot travel is replaced by what says so."""
    text = "".join(traceback.format_exception(error)).rstrip()
    pickled = _as_itself(pickle.dumps, error, text)
    if pickled is None:
        import cloudpickle  # late: it costs a worker's start, and is for a class that no module has

        pickled = _as_itself(cloudpickle.dumps, error, text)
    return pickled or pickle.dumps((_stand_in(error, label), text))


def _as_itself(dumps: Callable[[Any], bytes], error: BaseException, text: str) -> bytes | None:
    with suppress(Exception):
        pickled = dumps((error, text))
        if type(pickle.loads(pickled)[0]) is type(error):
            return pickled
    return None


def unpickled_error(pickled: bytes) -> BaseException:
    """Return the error that `pickled_error` has packed, with its traceback in the worker as its cause."""
    try:
        error, text = pickle.loads(pickled)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # the worker could, this process cannot: its class is not to be found here
        return NotTransferable(f"an error was raised in a worker process that cannot be read here: {problem}")
    found: BaseException = error
    _set_cause(found, InWorker(text))
    return found


def _set_cause(error: BaseException, cause: BaseException) -> None:
    # Around what a class of the user's may have put before it.
    BaseException.__dict__["__cause__"].__set__(error, cause)


def _stand_in(error: BaseException, label: str) -> NotTransferable:
    try:
        said = str(error)
    except Exception:
        said = "its __str__ raises"
    kind = type(error)
    return NotTransferable(
        f"{label}: the function raised {kind.__module__}.{kind.__qualname__}({said}), an error that cannot be pickled"
    )
