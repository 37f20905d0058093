"""What a run tells its `on_event` callback, in the past tense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Be something that has happened in a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """All sources and sinks are open, and data flows."""

    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Event):
    """Nothing of the run is left; `state` says how it ended and `report` holds the figures."""

    state: str
    report: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaused(Event):
    """The sources read no more, until the run is resumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed(Event):
    """The sources read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDraining(Event):
    """The sources have been told to end, and what is under way flows out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFailed(Event):
    """A stage ended with an error, which its run will raise once the rest has emptied."""

    stage: str
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStalled(Event):
    """Data waited and nothing moved for `seconds`; `report` names edges, stages and stacks."""

    seconds: float
    report: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopHeld(Event):
    """One call of a user's function held the event loop for `seconds`."""

    stage: str
    seconds: float
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCommitted(Event):
    """Every stage has delivered its part of checkpoint `epoch`, and the sinks have committed."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFailed(Event):
    """A checkpoint could not be kept, because of `error`; the run goes on, with that of `epoch` to go back to."""

    error: Exception
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGoesOn(Event):
    """The run has found checkpoint `epoch`, by which an earlier run had read `items`; `stand` says what is left to do.

    `running`: to go on from there. `finishing`: to give the output its final name. `done`: nothing.
    """

    epoch: int
    items: int
    stand: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReclaimed(Event):
    """Memory came near the run's limit, and what was not in use was given back: `reclaimed` bytes, `now` are left."""

    reclaimed: int
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesHeld(Event):
    """Memory came to the mark below `limit`, and the sources read no more until it has fallen; all in bytes."""

    now: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesLetGo(Event):
    """Memory has fallen far enough, and the sources read again, which were held for `seconds`."""

    now: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNotRead(Event):
    """A table that a flow is joined with could not be read again, because of `error`; it stays as it was."""

    table: str
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFull(Event):
    """There is no space left where `edge` spills to, `folder`: its sender waits, and tries again."""

    edge: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChanged(Event):
    """The file that a source follows became another; `change` is one word, `detail` a sentence.

    `missing`: nothing bears the name. `rotated`: the next file is read. `truncated`: it is read from its beginning
    again. `unreadable`: the next file cannot be opened yet. `late`: lines came to a file that had been left.
    """

    source: str
    change: str
    detail: str
