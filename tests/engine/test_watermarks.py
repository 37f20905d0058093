"""Watermarks over several inputs, against a model that works everything out anew."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamflow.engine.watermarks import Watermarks
from streamflow.model.markers import Idle, Marker, Watermark

PORTS = 3
EVENTS = st.lists(
    st.tuples(st.integers(0, PORTS - 1), st.one_of(st.integers(0, 9).map(float), st.sampled_from(["idle", "end"])))
)


def tell(watermarks: Watermarks, port: int, what: Any) -> Marker | None:
    if what == "idle":
        return watermarks.idle(port)
    return watermarks.end(port) if what == "end" else watermarks.advance(port, what)


@given(EVENTS)
def test_what_is_handed_on_is_the_least_of_the_inputs_that_take_part(events: list[tuple[int, Any]]) -> None:
    watermarks = Watermarks(PORTS)
    said: dict[int, Any] = dict.fromkeys(range(PORTS), -math.inf)
    best = dict.fromkeys(range(PORTS), -math.inf)
    told: list[Marker] = [Watermark(-math.inf)]
    highest = -math.inf
    for port, what in events:
        if said[port] == "end":
            continue
        if isinstance(what, float):
            best[port] = max(best[port], what)
            what = best[port]
        said[port] = what
        marker = tell(watermarks, port, what)
        taking_part = [time for time in said.values() if isinstance(time, float)]
        highest = max(highest, min(taking_part, default=-math.inf))
        if all(one == "end" for one in said.values()):
            assert marker is None
            continue
        expected = Watermark(highest) if taking_part else Idle()
        assert marker == (None if expected == told[-1] else expected)
        told += [marker] if marker is not None else []
    times = [marker.time for marker in told if isinstance(marker, Watermark)]
    assert times == sorted(times)  # event time never goes back


def test_an_idle_input_holds_nobody_back_and_is_active_again_with_its_next_watermark() -> None:
    watermarks = Watermarks(2)
    assert watermarks.advance(0, 5.0) is None  # the other has said nothing yet
    assert watermarks.idle(1) == Watermark(5.0)
    assert watermarks.idle(0) == Idle()
    assert watermarks.advance(1, 3.0) == Watermark(5.0)  # active, though nothing is new
    assert watermarks.advance(1, 8.0) == Watermark(8.0)
    assert watermarks.advance(0, 7.0) is None
    assert watermarks.end(1) is None
    assert watermarks.advance(0, 9.0) == Watermark(9.0)
