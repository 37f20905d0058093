"""A flow as it was written: parts that point at what feeds them. Sharing a part is using it twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamflow.model.interfaces import Operator, Sink, Source


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Hold one source, operator or sink and the parts that feed it. Identity is equality: it is a place in a graph."""

    what: Source[Any] | Operator | Sink[Any]
    inputs: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """Hold the ends of a description; everything else is reached through them."""

    ends: tuple[Part, ...]

    def parts(self) -> tuple[Part, ...]:
        """Return every part, each after those that feed it, in the order in which they were written."""
        order: dict[Part, None] = {}
        # An explicit stack: a flow of thousands of operators must not meet the recursion limit.
        stack = [(end, False) for end in reversed(self.ends)]
        while stack:
            part, ready = stack.pop()
            if part in order:
                continue
            if ready:
                order[part] = None
            else:
                stack.append((part, True))
                stack.extend((one, False) for one in reversed(part.inputs))
        return tuple(order)
