"""Which parts of a flow hand on items that have an event time. Pure."""

from __future__ import annotations

from streamflow.model.graph import Part
from streamflow.model.interfaces import Source
from streamflow.operators.batch import BatchBySize, BatchWithin
from streamflow.operators.element import LATE, ElementOperator
from streamflow.operators.fan import Output, Route, Zip
from streamflow.operators.joining.operator import Join
from streamflow.operators.keyed_apart import KeyedApart
from streamflow.operators.map import ConcurrentApply
from streamflow.operators.placed import PlacedApply

_FIX = "put .event_time(...) or .processing_time() after it"


def takes_late(part: Part) -> bool:
    """Tell whether `part` is the second output of an operator."""
    return isinstance(part.what, Output) and part.what.which == LATE and not isinstance(part.inputs[0].what, Route)


def why_untimed(part: Part) -> str:
    """Return why what leaves `part` has no event time, with the nearest fix; nothing if it has."""
    waiting, seen = [part], {part}
    while waiting:
        part = waiting.pop()
        if isinstance(part.what, ElementOperator) and part.what.sets_time:
            continue
        if why := _why(part):
            return why
        for one in part.inputs[0].inputs if takes_late(part) else part.inputs:
            if one not in seen:
                seen.add(one)
                waiting.append(one)
    return ""


def _why(part: Part) -> str:
    what = part.what
    if isinstance(what, Source):
        return "nothing has said when its items happened: put .event_time(...) or .processing_time() before it"
    if isinstance(what, (BatchBySize, BatchWithin, Zip)):
        return f"what {what.label!r} makes has no time of its own: {_FIX}"
    if isinstance(what, (ConcurrentApply, PlacedApply)) and not what.ordered:
        return (
            f"{what.label!r} lets items overtake each other (ordered=False), so that some would come late: "
            f"keep the order there, or {_FIX}"
        )
    untimed = isinstance(what, ElementOperator) and what.folds and not what.timed_results
    untimed = untimed or (isinstance(what, Join) and not what.timed_results)
    if untimed or (isinstance(what, KeyedApart) and what.folds):
        return f"the results of {getattr(what, 'label', what)!r} have no time of their own: {_FIX}"
    return ""
