"""What all tests share: the long ones wait for --nightly and may take an hour, and how hypothesis searches."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# No deadline, and no complaint about slow examples: how fast a machine is that runs other things too is not a
# property of the code. The blob lets a failure from elsewhere be repeated here.
settings.register_profile("streamflow", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# The same examples every time: a change is judged by what it does, not by that day's luck.
settings.register_profile("streamflow-ci", settings.get_profile("streamflow"), derandomize=True, database=None)
settings.load_profile("streamflow-ci" if os.environ.get("CI") else "streamflow")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="run the tests marked nightly too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--nightly"):
        for item in items:
            if item.get_closest_marker("nightly"):
                item.add_marker(pytest.mark.timeout(3600))
        return
    skip = pytest.mark.skip(reason="takes long: run with --nightly")
    for item in items:
        if item.get_closest_marker("nightly"):
            item.add_marker(skip)
