"""The folder hands on its names lazily, and needs no pytest."""

from __future__ import annotations

import subprocess
import sys

import pytest

import streamflow.testing as testing


def test_every_name_is_there_and_public() -> None:
    for name in testing.__all__:
        assert getattr(testing, name).__doc__, name
        assert name in dir(testing)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        testing.nonsense  # noqa: B018


def test_importing_loads_nothing_and_never_pytest() -> None:
    code = (
        "import sys, streamflow.testing as t\n"
        "assert 'asyncio' not in sys.modules or 'streamflow.testing.virtual_clock' not in sys.modules\n"
        "[getattr(t, name) for name in t.__all__]\n"
        "assert 'pytest' not in sys.modules and '_pytest' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
