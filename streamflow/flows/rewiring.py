"""A flow with other ends: what trials, benchmarks and replays run instead of what was described. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from streamflow.flows.flow import Flow
from streamflow.flows.runnable import Runnable
from streamflow.model.errors import FlowError
from streamflow.model.graph import Graph, Part
from streamflow.model.interfaces import Operator, Sink, Source
from streamflow.model.policies import DeadLetters, ErrorPolicy, OnError
from streamflow.operators.fan import Merge, Zip
from streamflow.operators.joining.operator import Join

What = Source[Any] | Operator | Sink[Any]


def parts_of(flow: Runnable) -> tuple[Part, ...]:
    """Return the parts of `flow`, each after those that feed it."""
    return flow._graph.parts()


def rewired(flow: Runnable, change: Callable[[Any], What]) -> Runnable:
    """Return `flow` with `change(part)` in the place of each source, operator and sink."""
    made: dict[Part, Part] = {}
    for part in flow._graph.parts():
        made[part] = Part(change(part.what), tuple(made[one] for one in part.inputs))
    return Runnable(Graph(tuple(made[end] for end in flow._graph.ends)))


def entered(flow: Runnable, entries: Mapping[Part, Flow[Any]]) -> Runnable:
    """Return what of `flow` is reached from `entries`: parts, and what comes to each in the place of its input.

    What is to come from a source takes its place. A part that is reached both ways gets both, merged. FlowError for a
    `zip` or a join that is not reached by all its inputs, and for a join that is to be entered itself.
    """
    made: dict[Part, Part] = {}
    for part in flow._graph.parts():
        inputs = [made[one] for one in part.inputs if one in made]
        if isinstance(part.what, Join) and part in entries:
            raise FlowError(f"{part.what.label}: what failed in a join cannot be given to it alone: run the flow again")
        if isinstance(part.what, (Zip, Join)) and 0 < len(inputs) < len(part.inputs):
            raise FlowError(f"{part.what.label} joins several flows, of which only some would get items")
        if part in entries:
            inputs.append(entries[part]._part)
            if isinstance(part.what, Source):
                made[part] = inputs[0]
                continue
        if inputs:
            several = len(inputs) > 1 and len(part.inputs) == 1
            made[part] = Part(part.what, (Part(Merge(), tuple(inputs)),) if several else tuple(inputs))
    return Runnable(Graph(tuple(made[end] for end in flow._graph.ends if end in made)))


def sets_aside(what: What) -> bool:
    """Tell whether a source, operator or sink has a sink of dead letters."""
    return isinstance(what.errors.on_error, DeadLetters)


def with_letters(what: Any, sink: Sink[Any]) -> Any:
    """Return a source, operator or sink that sets failed items aside in `sink`, if it lets them go at all."""
    return with_policy(what, DeadLetters(sink)) if what.errors.drops else what


def with_policy(what: Any, on_error: OnError) -> Any:
    """Return a source, operator or sink with another policy; FlowError for one of a third party that has none."""
    names = {field.name for field in dataclasses.fields(what) if field.init} if dataclasses.is_dataclass(what) else ()
    if "on_error" in names:
        return dataclasses.replace(what, on_error=on_error)
    if "errors" in names:
        return dataclasses.replace(what, errors=ErrorPolicy(on_error, what.errors.max_failures))
    raise FlowError(f"{what.label}: its failed items cannot be led elsewhere; it has no field on_error")
