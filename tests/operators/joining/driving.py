"""What the tests of joins share: scripts of items, watermarks and saves, and how they are played."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

from hypothesis import strategies as st

from streamflow.operators.joining.state import JoinState


class Item(NamedTuple):
    """One item as the models remember it; `late` as of its arrival."""

    port: int
    key: str
    time: float
    name: str
    watermark: float


#: (port, key, time): items in no order of time; a number: how far the watermark goes on (at first from -1); "save": the
#: state is restored from its pieces.
ITEMS = st.tuples(st.integers(0, 1), st.sampled_from("ab"), st.integers(0, 20).map(float))
SCRIPTS = st.lists(st.one_of(ITEMS, ITEMS, st.integers(0, 4).map(float), st.just("save")), max_size=40)


def saved(state: JoinState, make: Callable[[], JoinState]) -> JoinState:
    """Return a fresh state restored from the pieces of `state`, as they would come from a disk."""
    fresh = make()
    for chunk in state.chunks():
        fresh.restore_chunk(pickle.loads(pickle.dumps(chunk)))
    assert fresh.retained == state.retained
    assert list(fresh.chunks()) == list(state.chunks())
    return fresh


def play(
    make: Callable[[], JoinState],
    script: list[Any],
    look: Callable[[JoinState, list[Item], float, list[Any]], None],
) -> list[Any]:
    """Play a script to its end; after each step `look` at state, accepted items, watermark and all results so far."""
    state = make()
    accepted: list[Item] = []
    results: list[Any] = []
    watermark = -math.inf
    names = count()
    for step in [*script, math.inf]:
        if step == "save":
            state = saved(state, make)
        elif isinstance(step, tuple):
            item = Item(*step, f"{'lr'[step[0]]}{next(names)}", watermark)
            found = state.add(item.port, item.key, item.time, item.name)
            if found is not None:
                accepted.append(item)
                results += found
        else:
            watermark = max(watermark, -1.0) + step
            results += state.advance(watermark)
            assert not list(state.advance(watermark - 1))  # one that is lower says nothing
        look(state, accepted, watermark, results)
    assert state.retained == 0
    assert state.flush() == []
    return results


def in_time(sides: list[list[tuple[str, float]]], choices: list[bool], ordered: bool) -> list[Any]:
    """Interleave two inputs as `choices` says, their times in order or not; no item is below its own watermark."""
    rest = [sorted(side, key=lambda entry: entry[1]) if ordered else list(side) for side in sides]
    lateness = 0.0 if ordered else 20.0
    own = [-math.inf, -math.inf]
    script: list[Any] = []
    turns = iter(choices)
    while any(rest):
        port = int(next(turns, False))
        if not rest[port]:
            port = 1 - port
        key, time = rest[port].pop(0)
        script.append((port, key, time))
        own[port] = max(own[port], time - lateness)
        script.append(min(own[one] if rest[one] else math.inf for one in (0, 1)))
    return script
