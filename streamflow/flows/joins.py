"""Several flows become one."""

from __future__ import annotations

from typing import Any, TypeVar

from streamflow.flows.flow import Flow
from streamflow.model.errors import FlowError
from streamflow.model.graph import Part
from streamflow.model.interfaces import Operator
from streamflow.operators.fan import Concat, Merge, Zip

T = TypeVar("T")


def merge(*flows: Flow[T], name: str | None = None) -> Flow[T]:
    """Interleave flows by arrival, each in its own order; the result ends when all have ended."""
    return _join(Merge(name), "merge", flows)


def zip(*flows: Flow[Any], strict: bool = False, name: str | None = None) -> Flow[tuple[Any, ...]]:
    """Join the n-th items of all flows into tuples; end at the shortest, or fail there if `strict`."""
    return _join(Zip(strict, name), "zip", flows)


def concat(*flows: Flow[T], name: str | None = None) -> Flow[T]:
    """Hand on the first flow whole, then the next, and so on."""
    return _join(Concat(name), "concat", flows)


def _join(operator: Operator, word: str, flows: tuple[Flow[Any], ...]) -> Flow[Any]:
    if not flows:
        raise FlowError(f"{word}(): give at least one flow")
    for one in flows:
        if not isinstance(one, Flow):
            raise FlowError(f"{word}(...): expected flows, got {type(one).__name__}; begin one with sf.flow(...)")
    return Flow(Part(operator, tuple(one._part for one in flows)))
