"""Which inputs of a join may be left waiting until the other has come as far. Pure."""

from __future__ import annotations

from streamflow.engine.plan import Plan

#: What reads one input only when another has come so far.
_CHOOSY = ("zip", "concat", "join")


def may_wait(plan: Plan, join: int) -> tuple[bool, ...]:
    """Tell for each input of a join whether it can wait for all the others without holding one of them up.

    Whoever feeds another must be able to go on meanwhile: it may send elsewhere only where everything is always read.
    """
    ports = sorted((edge for edge in plan.edges if edge.consumer == join), key=lambda edge: edge.port)
    free = [_goes_on(plan, join, edge.port, edge.producer) for edge in ports]
    return tuple(all(free[:port] + free[port + 1 :]) for port in range(len(ports)))


def _goes_on(plan: Plan, join: int, port: int, producer: int) -> bool:
    """Tell whether nobody who feeds this input can be held up but by this input."""
    feeding = {one.index for one in plan.stages if producer in plan.downstream(one.index)} | {producer}
    for edge in plan.edges:
        inside = edge.consumer in feeding or (edge.consumer == join and edge.port == port)
        if edge.producer in feeding and not inside and not edge.letters:
            reached = {edge.consumer} | plan.downstream(edge.consumer)
            if any(plan.stages[one].kind in _CHOOSY for one in reached):
                return False
    return True
