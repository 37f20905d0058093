"""What a stage's function needs open while it works: a session, a connection, a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import Any

from streamflow.model.errors import FlowError
from streamflow.operators.callables import name_of


def open_resource(factory: Callable[[], Any] | None) -> AbstractAsyncContextManager[Any]:
    """Return what enters what `factory` gives, a sync or async context manager, for as long as the stage lives."""
    if factory is None:
        return nullcontext()
    manager = factory()
    if hasattr(manager, "__aenter__"):
        entered: AbstractAsyncContextManager[Any] = manager
        return entered
    if hasattr(manager, "__enter__"):
        return _Awaited(manager)
    if inspect.iscoroutine(manager):
        manager.close()
    raise FlowError(
        f"resource={name_of(factory)}: it gave {type(manager).__name__}, which is no context manager; "
        f"wrap it with contextlib.closing, or write it with @contextmanager or @asynccontextmanager"
    )


class _Awaited(AbstractAsyncContextManager[Any]):
    """Enter a sync context manager where an async one is awaited.

    It is no generator with `@asynccontextmanager`, which sets an attribute of the error that passes: some refuse.
    """

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        return self._manager.__enter__()

    async def __aexit__(self, *failure: Any) -> bool | None:
        return self._manager.__exit__(*failure)
