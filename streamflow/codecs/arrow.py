"""Arrow's package: imported when the first file of tables is opened, and missed when one is described."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from streamflow.model.errors import FlowError


def require_arrow(what: str) -> None:
    """Raise FlowError that names the extra, unless the package is there; it is not imported for that."""
    try:
        found = find_spec("pyarrow") is not None
    except ValueError:
        found = False
    if not found:
        raise FlowError(f"{what} needs a package: pip install 'streamflow-engine[tables]'")


def arrow() -> Any:
    """Return pyarrow."""
    require_arrow("Arrow")
    return import_module("pyarrow")


def ipc() -> Any:
    """Return what reads and writes Arrow's own files."""
    return import_module("pyarrow.ipc")


def parquet() -> Any:
    """Return what reads and writes Parquet."""
    require_arrow("Parquet")
    return import_module("pyarrow.parquet")
