"""What is told of checkpoints: where a run goes on, where it stands, and what is promised of its output. Pure."""

from __future__ import annotations

from streamflow.model.events import RunGoesOn
from streamflow.model.statistics import RunStatistics

ANEW = "begin anew with --resume never"
_GOES_ON = "the same command goes on from there"


def goes_on(event: RunGoesOn) -> str:
    """Say where a run goes on.

    >>> goes_on(RunGoesOn(epoch=17, items=412_000, stand="running"))
    'resumed at 412,000 items (checkpoint 17)'
    """
    if event.stand == "done":
        return (
            f"an earlier run had finished, after {event.items:,} items: nothing to do; "
            f"input that came since is not read ({ANEW})"
        )
    if event.stand == "finishing":
        return f"an earlier run had come to its end, after {event.items:,} items: its output gets its name"
    return f"resumed at {event.items:,} items (checkpoint {event.epoch:,})"


def stopped(state: str, statistics: RunStatistics) -> str:
    """Say where a run with checkpoints stands that was stopped; nothing if there is nothing to go on from."""
    found = statistics.checkpoints
    if found is None or not found.epoch or found.already_done:
        return ""
    if state == "suspended":
        return f"suspended at {all_items(statistics):,} items; {_GOES_ON}"
    return f"checkpoint {found.epoch:,} stays; {_GOES_ON}"


def in_the_end(state: str, statistics: RunStatistics) -> str:
    """Say of a run with checkpoints that has come to its end how often items of all its runs are in the output.

    Whatever overflow or an operator left out is not spoken of: that would have been so in an unbroken run.
    """
    found = statistics.checkpoints
    if found is None or found.already_done or state not in ("finished", "drained"):
        return ""
    resumed = f"resumed at {found.resumed_at:,}, " if found.resumed_from is not None else ""
    return f"{resumed}{all_items(statistics):,} items in all: {_OFTEN.get(statistics.promise, statistics.promise)}"


_OFTEN = {
    "exactly once": "0 lost, 0 twice",
    "at least once": "none lost; what came after a checkpoint may be there twice (at least once)",
    "best effort": "what was under way when a run broke off may be missing, or there twice (best effort)",
    "at most once": "what was under way when a run broke off may be missing (at most once)",
}


def all_items(statistics: RunStatistics) -> int:
    """Return how many items the sources have given, in the runs before this one too."""
    before = statistics.checkpoints.resumed_at if statistics.checkpoints is not None else 0
    return before + statistics.items_in
