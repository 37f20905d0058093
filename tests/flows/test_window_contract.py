"""Windows keep the contract of operators: any batches, cancelled at every await, fused and interpreted."""

from __future__ import annotations

from typing import Any

import streamflow as sf
from streamflow.testing import OperatorSuite


def by_two(n: int) -> int:
    return n % 2


def time_of(n: int) -> int:
    return n


def tumbled(items: list[Any], size: int) -> list[sf.WindowResult]:
    found: dict[tuple[int, int], list[int]] = {}
    for n in items:
        found.setdefault((n // size * size, n % 2), []).append(n)
    return [sf.WindowResult(key, float(lo), float(lo + size), kept) for (lo, key), kept in found.items()]


class TestWindows(OperatorSuite):
    """In one stage."""

    def apply(self, flow: Any) -> Any:
        return flow.event_time(time_of).key_by(by_two).window(sf.tumbling(6)).collect()

    def reference(self, items: list[Any]) -> list[Any]:
        return tumbled(items, 6)


class TestWindowsBehindAnEdge(TestWindows):
    """With time that travels, and a timer."""

    def apply(self, flow: Any) -> Any:
        timed = flow.event_time(time_of, idle_after=1).buffer(3)
        return timed.key_by(by_two).window(sf.tumbling(6)).collect()


class TestKeyedState(OperatorSuite):
    """Without windows."""

    def apply(self, flow: Any) -> Any:
        return flow.key_by(by_two).scan(lambda total, n: total + n, 0).key_by(lambda one: one.key).reduce(max)

    def reference(self, items: list[Any]) -> list[Any]:
        sums: dict[int, int] = {}
        for n in items:
            sums[n % 2] = sums.get(n % 2, 0) + n
        return [sf.Keyed(key, sf.Keyed(key, total)) for key, total in sums.items()]
