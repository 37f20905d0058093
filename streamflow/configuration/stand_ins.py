"""What stands for functions that were not imported: to be planned with, and never called."""

from __future__ import annotations

from typing import Any

from streamflow.flows.flow import Flow


def anything(*_: Any) -> Any:
    """Stand for a plain function that was not imported."""


async def anything_async(*_: Any) -> Any:
    """Stand for an async function that was not imported."""


def unchanged(described: Flow[Any]) -> Flow[Any]:
    """Stand for a piece of flow that was not imported."""
    return described


def stood_for(begins: Any) -> bool:
    """Tell whether the first argument of an operator is such a function."""
    return bool(begins) and begins[0] is anything
