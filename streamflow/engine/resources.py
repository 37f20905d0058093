"""What a stage's function needs open while it works: a session, a connection, a model."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from streamflow.model.errors import FlowError
from streamflow.operators.callables import name_of


@asynccontextmanager
async def open_resource(factory: Callable[[], Any] | None) -> AsyncIterator[Any]:
    """Enter what `factory` gives, a sync or async context manager, for as long as the stage lives."""
    if factory is None:
        yield None
        return
    manager = factory()
    if hasattr(manager, "__aenter__"):
        async with manager as resource:
            yield resource
    elif hasattr(manager, "__enter__"):
        with manager as resource:
            yield resource
    else:
        if inspect.iscoroutine(manager):
            manager.close()
        raise FlowError(
            f"resource={name_of(factory)}: it gave {type(manager).__name__}, which is no context manager; "
            f"wrap it with contextlib.closing, or write it with @contextmanager or @asynccontextmanager"
        )
