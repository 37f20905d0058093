"""The functions that describe a place, by the names that a flow in a file and the command line call them by."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from streamflow.model.interfaces import Executor

#: Where each is; its name is that of the function.
EXECUTORS: Final = {
    "threads": "streamflow.executors.threads",
    "processes": "streamflow.executors.processes",
    "joblib": "streamflow.executors.joblib",
}


def load(name: str) -> Callable[..., Executor]:
    """Return the function called `name`, importing it now."""
    found: Callable[..., Executor] = getattr(import_module(EXECUTORS[name]), name)
    return found
