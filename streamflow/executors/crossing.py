"""What cannot cross to a worker process, and how that is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streamflow.model.errors import FlowError, NotTransferable
from streamflow.model.placement import Chain, Failure, Outcome


def pickled_chain(chain: Chain) -> bytes:
    """Return `chain`, its functions by value where they have no module; FlowError says what cannot be sent."""
    from streamflow.executors.by_value import dumps  # late: worker processes start while it is imported

    try:
        return dumps(chain)
    except Exception as error:
        raise FlowError(
            f"{chain.label}: it cannot be sent to a worker process: {type(error).__name__}: {error}. What a "
            f"function refers to goes with it: open files, locks and connections cannot; give them by resource="
        ) from error


def refused(items: Sequence[Any], label: str, pack: Callable[[list[Any]], object], error: Exception) -> Outcome:
    """Answer for a share that cannot be pickled: the items that are to blame fail, the others are given again.

    `error` is what pickling all of them has raised; one alone is to blame for it, even if it can be pickled now.
    """
    failures: list[Failure] = []
    for index, item in enumerate(items):
        found: Exception | None = error if len(items) == 1 else None
        try:
            pack([item])
        except Exception as problem:
            found = problem
        if found is not None:
            message = (
                f"{label}: the item, a {type(item).__name__}, cannot be sent to a worker process: "
                f"{type(found).__name__}: {found}"
            )
            failures.append(Failure(index, 0, NotTransferable(message)))
    failed = {failure.index for failure in failures}
    undone = [index for index in range(len(items)) if index not in failed]
    return Outcome(kept=(), failures=failures, undone=undone, apart=not failed)
