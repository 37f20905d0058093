"""What a worker process of joblib does with a share: everything crosses as bytes, by cloudpickle."""

from __future__ import annotations

import atexit
import logging
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from streamflow.executors.by_value import Pickler
from streamflow.executors.errors import pickled_error, unpickled_error
from streamflow.executors.performing import CURSOR, Performer
from streamflow.memory.packing import pack, unpack
from streamflow.model.errors import FlowError, NotTransferable
from streamflow.model.placement import Failure, Outcome

#: The chains that this worker has met, by the digest of what they were sent as.
_performers: dict[bytes, Performer] = {}


class Crossed(NamedTuple):
    """Be an `Outcome` on its way: values and errors apart, as bytes."""

    outcome: Outcome
    values: bytes
    failures: list[tuple[int, int, bytes]]
    fatal: bytes | None


def crossing(values: list[Any]) -> bytes:
    """Return values as they cross, buffers included: joblib's way has no other place for them."""
    payload = pack(values, sys.maxsize, pickler=Pickler).payload
    assert isinstance(payload, bytes), "nothing is as large as that"
    return payload


def crossed(payload: bytes) -> Any:
    """Return the values that `crossing` has packed."""
    return unpack(payload, ())


def numbered(number: int, function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    """Return what `function` returns, and of which share that is."""
    return number, function(*arguments)


def perform(digest: bytes, chain: bytes, payload: bytes, count: int) -> Crossed:
    """Do one share, in the worker."""
    performer = _performers.get(digest)
    if performer is None:
        try:
            performer = Performer(pickle.loads(chain))
        except BaseException as error:
            return _packed(Outcome(kept=(), undone=range(count), fatal=_not_loaded(error)), "", 0)
        _performers[digest] = performer
        atexit.register(_leave, performer)
    label, last = performer.chain.steps[-1].label, len(performer.chain.steps) - 1
    try:
        items, positions = crossed(payload)
    except BaseException as error:
        return _packed(_unread(error, performer.chain.steps[0].label, count), label, last)
    return _packed(performer.perform(items, positions, [0] * CURSOR), label, last)


def outcome_of(answer: Crossed, count: int, label: str) -> Outcome:
    """Return what came of a share of `count` items; in the parent."""
    outcome = answer.outcome
    outcome.failures = [Failure(index, step, unpickled_error(error)) for index, step, error in answer.failures]
    outcome.fatal = None if answer.fatal is None else unpickled_error(answer.fatal)
    try:
        outcome.values = crossed(answer.values)
    except Exception as error:
        if count > 1:
            return Outcome(kept=(), undone=range(count), apart=True)
        message = f"{label}: the result cannot be read here: {type(error).__name__}: {error}"
        return Outcome(kept=(), failures=[Failure(0, 0, NotTransferable(message))])
    return outcome


def _leave(performer: Performer) -> None:
    try:
        performer.close()
    except BaseException:
        logging.getLogger("streamflow.executors").exception("%s: resource=", performer.chain.label)


def _not_loaded(error: BaseException) -> FlowError:
    where = "".join(traceback.format_exception(error)).rstrip()
    return FlowError(
        f"a function cannot be loaded in a worker of joblib: {type(error).__name__}: {error}. A worker imports modules "
        f"by their names; it never sees what exists in the parent's memory only.\n{where}"
    )


def _unread(error: BaseException, label: str, count: int) -> Outcome:
    if count > 1:
        return Outcome(kept=(), undone=range(count), apart=True)
    message = f"{label}: the item cannot be read in a worker of joblib: {type(error).__name__}: {error}"
    return Outcome(kept=(), failures=[Failure(0, 0, NotTransferable(message))])


def _packed(outcome: Outcome, label: str, last: int) -> Crossed:
    try:
        values = crossing(outcome.values)
    except BaseException:
        values = _without_the_unpicklable(outcome, label, last)
    failures = [(one.index, one.step, pickled_error(one.error, label)) for one in outcome.failures]
    fatal = None if outcome.fatal is None else pickled_error(outcome.fatal, label)
    outcome.values, outcome.failures, outcome.fatal = [], [], None
    return Crossed(outcome, values, failures, fatal)


def _without_the_unpicklable(outcome: Outcome, label: str, last: int) -> bytes:
    """Turn results that cannot leave into failures of their items; return the others as they cross."""
    kept = range(len(outcome.values)) if outcome.kept is None else outcome.kept
    good: list[tuple[int, Any]] = []
    for index, value in zip(kept, outcome.values, strict=True):
        try:
            crossing([value])
        except BaseException as error:
            message = (
                f"{label}: the result, a {type(value).__name__}, cannot leave the worker process: "
                f"{type(error).__name__}: {error}; return plain data (numbers, text, dicts, arrays)"
            )
            outcome.failures.append(Failure(index, last, NotTransferable(message)))
        else:
            good.append((index, value))
    outcome.failures.sort(key=lambda failure: failure.index)
    outcome.kept = [index for index, _ in good]
    return crossing([value for _, value in good])
