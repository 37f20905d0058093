"""Who waits for whom: find circles of waits, and describe what stands still. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def circle_of_waits(waits: Mapping[str, set[str]], free: set[str]) -> list[str]:
    """Return the names on a circle of stages that can never move again, or an empty list.

    `waits[a]` are the stages each of which could let `a` go on; `free` are those that wait for nobody in the run
    (they compute, or wait for the outside world). A stage can move if it is free or any it waits for can.
    """
    moving = set(free)
    grown = True
    while grown:
        fresh = {name for name, others in waits.items() if name not in moving and others & moving}
        grown = bool(fresh)
        moving |= fresh
    stuck = {name for name in waits if name not in moving and waits[name]}
    if not stuck:
        return []
    path: list[str] = []
    here = min(stuck)
    while here not in path:
        path.append(here)
        onward = sorted(waits[here] & stuck)
        if not onward:
            return []  # it waits for one that has ended: its end is on the way
        here = onward[0]
    return path[path.index(here) :]
