"""Tell whether a checkpoint belongs to a flow: what each part of it must fit. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from streamflow.engine.plan import Plan, PlannedStage
from streamflow.model.errors import CheckpointMismatch
from streamflow.model.interfaces import Operator


def fingerprint(plan: Plan) -> dict[str, str]:
    """Return for each source, sink and operator that a checkpoint holds something of what that is.

    The keys are the names by which checkpoints address them. What remembers nothing is left out: it may change freely.
    """
    found = {key: what for stage in plan.stages for key, what in _of_stage(stage, plan.tracked)}
    return found | {edge.spilling.key: "what lies in an edge that spills" for edge in plan.edges if edge.spilling}


def _of_stage(stage: PlannedStage, tracked: bool) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, part in stage.by_key():
        if part is stage.source:
            found.append((key, f"the position in {type(part).__name__} {part.label}"))
        elif part is stage.sink:
            found.append((key, f"the output of {type(part).__name__} {part.label}"))
        elif isinstance(part, Operator) and (keeps := part.keeps):
            found.append((key, f"{keeps}, with positions" if tracked and not stage.letters else keeps))
    return found


def compare(saved: Mapping[str, str], now: Mapping[str, str], label: str) -> None:
    """Raise CheckpointMismatch, naming each difference, unless what was saved fits the flow as it is now."""
    gone = [key for key in saved if key not in now]
    new = [key for key in now if key not in saved]
    changed = [key for key in saved if key in now and saved[key] != now[key]]
    if not (gone or new or changed):
        return
    lines = [f"{key!r} was {saved[key]}, and is {now[key]}" for key in changed]
    for key in gone:
        near = difflib.get_close_matches(key, new, 1, 0.4)
        lines.append(f"{key!r} is no longer there" + (f" (renamed to {near[0]!r}?)" if near else ""))
    lines += [f"{key!r} is new" for key in new]
    raise CheckpointMismatch(
        f"{label}: this checkpoint belongs to another flow, or to this one before it was changed: {'; '.join(lines)}. "
        f"Give back what was there (name= keeps the name of a stage stable), or begin anew with resume='never' or "
        f"another path"
    )
