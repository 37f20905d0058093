"""What the tests of the testing tools share."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def failing() -> Callable[[Any], dict[str, str]]:
    """Give a function that runs every test of a suite and returns the names of those that fail, with why."""
    return _failing


def _failing(suite: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in [name for name in dir(suite) if name.startswith("test_")]:
        try:
            getattr(suite, name)()
        except unittest.SkipTest:
            continue
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found
