"""Flows at random, stopped, failed, full and killed at random: in the end they have written what unbroken ones write.

`STREAMFLOW_SEED=123 python -m pytest tests/simulation/test_random_lives.py` repeats one of them.
"""

from __future__ import annotations

from streamflow.testing import seeds
from streamflow.testing.sealed_world import clocks_in_place
from tests.simulation.random_flows import live_through
from tests.sizes import examples


def test_whatever_happens_to_a_flow_the_last_run_has_written_all_of_it_once() -> None:
    with clocks_in_place():
        for seed in seeds(examples(120, nightly=20_000)):
            live_through(seed)


def test_the_same_seed_is_the_same_story() -> None:
    with clocks_in_place():
        for seed in seeds(examples(8, nightly=500)):
            assert live_through(seed) == live_through(seed)
