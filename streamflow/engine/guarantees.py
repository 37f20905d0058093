"""How often an item of each source has its effect in each sink, when a run with checkpoints is broken off. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streamflow.engine.plan import Plan

Promise = Literal["exactly once", "at least once", "at most once", "best effort"]
#: From the strongest to the weakest.
ORDER: tuple[Promise, ...] = ("exactly once", "at least once", "at most once", "best effort")


@dataclass(frozen=True, slots=True)
class Guarantee:
    """Join a source and a sink that its items reach by what is promised, and why it is no more.

    Both have the names that they have in a checkpoint: two of one label are told apart.
    """

    source: str
    sink: str
    promise: Promise
    because: str = ""

    def __str__(self) -> str:
        return f"{self.source} → {self.sink}: {self.promise}" + (f" ({self.because})" if self.because else "")


def guarantees(plan: Plan) -> tuple[Guarantee, ...]:
    """Return the guarantee of each pair of a source and a sink that it reaches, in the order of the plan."""
    found = []
    for stage in plan.stages:
        if stage.source is None:
            continue
        reached = {stage.index, *plan.downstream(stage.index)}
        for other in plan.stages:
            if other.sink is None or other.index not in reached:
                continue
            promise: Promise = other.sink.delivery
            because = "" if promise == "exactly once" else "the sink cannot take back what it was given"
            if not stage.source.replayable:
                # What operators held at the checkpoint is delivered again where the sink cannot take it back.
                taken_back = promise == "exactly once"
                promise = "at most once" if taken_back else "best effort"
                because = "the source cannot be read again"
                because += "" if taken_back else ", nor the sink take back anything"
            found.append(Guarantee(stage.keys[0], other.keys[-1], promise, because))
    return tuple(found)


def weakest(found: tuple[Guarantee, ...]) -> Promise:
    """Return what holds for all of them."""
    return max((one.promise for one in found), key=ORDER.index, default="exactly once")
