"""What can go wrong: one root, one class for each reaction a caller may have."""

from __future__ import annotations


class StreamflowError(Exception):
    """Stand at the root of every error that streamflow itself raises."""


class FlowError(StreamflowError):
    """Say that a flow was described in a way that cannot work: mend the description."""


class RecordError(StreamflowError):
    """Say that one record of an input cannot be read: mend or skip that record.

    `record` holds what was read of it (cut to a few hundred bytes).
    """

    def __init__(self, message: str, record: object = None) -> None:
        super().__init__(message)
        self.record = record


class NoForm(StreamflowError, TypeError):
    """Say that a value has no form in the format that it is written in: convert it before the sink."""


class BufferOverflow(StreamflowError):
    """Say that an edge with `overflow="fail"` was full."""


class SpillDamaged(StreamflowError):
    """Say that what an edge had written to the disk cannot be read back: it was damaged there."""


class InboxClosed(StreamflowError):
    """Say that an item was sent to an inbox that takes no more."""


class InboxFull(StreamflowError):
    """Say that `send_nowait` met a full inbox: wait with `send`, or shed load."""


class NoResult(StreamflowError):
    """Say that an item asked through an inbox left the flow without a result: it was dropped or the run ended."""


class ItemTimeout(StreamflowError, TimeoutError):
    """Say that one attempt on one item, or the gap between two items, took longer than its `timeout`."""


class ItemCancelled(StreamflowError):
    """Say that a user's function raised CancelledError although nobody had cancelled the run: a failure like any other.

    The original is its `__cause__`. It cannot be passed on itself, since asyncio takes it for a cancellation.
    """

    def __init__(self, where: str) -> None:
        super().__init__(f"{where}: the function raised CancelledError, and nobody had cancelled the run")


class WorkerDied(StreamflowError):
    """Say that a worker process was lost with an item in its hands: killed, crashed, exited, or out of memory."""


class NotTransferable(StreamflowError, TypeError):
    """Say that an item, a result or an error cannot cross to or from a worker process: hand on plain data."""


class CheckpointDamaged(StreamflowError):
    """Say that no checkpoint of a file can be used: each is damaged, or was written by a later version."""


class CheckpointMismatch(FlowError):
    """Say that a checkpoint belongs to a flow whose stages were other ones; the message names the difference."""


class NotSerialisable(StreamflowError, TypeError):
    """Say that something which a checkpoint must hold cannot be written down; the message names it, and its key."""


class TooManyFailures(StreamflowError):
    """Say that a stage, source or sink skipped more failures than its `max_failures` allows."""


class FlowDeadlock(StreamflowError):
    """Say that stages wait for each other in a circle, so that nothing can ever move again."""


class FlowHung(StreamflowError):
    """Say that something of a run would not end by its deadline; the message names what, and where it stood."""


class RunCancelled(StreamflowError):
    """Say that a run was cancelled through its handle before it had finished."""
