"""What all tests share: the long ones wait for --nightly, many run side by side, and how hypothesis searches."""

from __future__ import annotations

import os
from pathlib import Path

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


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Share out whole folders among the cores, by pytest-xdist if it is there, unless `-n` says otherwise.

    A file or a test begins at once, in this process, where it can print and be debugged. This is called in each process
    that has its share as well, where `-n` is unset again: it would start others, and these others, without end.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    folders = all(Path(argument).is_dir() for argument in config.args)
    watched = config.option.usepdb or config.option.capture == "no"
    if config.getoption("numprocesses", 0) is None and folders and not watched:
        config.option.numprocesses = _cores()
        config.option.dist = "worksteal"


def _cores() -> int:
    """Return for how many processes there is work: the cores, but not so many that starting them costs more."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(there, 8)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--nightly"):
        os.environ["STREAMFLOW_TESTS_NIGHTLY"] = "1"  # see tests/sizes.py


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--nightly"):
        for item in items:
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(3600))
        return
    skip = pytest.mark.skip(reason="takes long: run with --nightly")
    for item in items:
        if item.get_closest_marker("nightly"):
            item.add_marker(skip)
