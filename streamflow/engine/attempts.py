"""One item, tried until it succeeds or its `Retry` gives up; each attempt under its own `timeout`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from streamflow.engine.current import position
from streamflow.engine.turn import Turn
from streamflow.metrics.ledger import Ledger
from streamflow.model.errors import FlowError, ItemTimeout
from streamflow.operators.callables import is_async, name_of
from streamflow.operators.map import ConcurrentApply


class GaveUp(Exception):
    """Carry an item's last error and the number of attempts from here to the stage; never seen by a user."""

    def __init__(self, error: BaseException, attempts: int) -> None:
        super().__init__(error, attempts)
        self.error = error
        self.attempts = attempts


class Attempts:
    """Make of an operator's function and options the one thing that a worker awaits for an item."""

    def __init__(self, operator: ConcurrentApply, resource: Any, ledger: Ledger, turn: Turn) -> None:
        self.operator = operator
        self.ledger = ledger
        self.turn = turn
        self.asynchronous = is_async(operator.call)
        self.function = _with_arguments(operator, resource)

    def call(self) -> Callable[[Any], Awaitable[Any]]:
        """Return the user's function itself where nothing more was asked for: the usual case costs nothing."""
        if self.operator.retry is None and self.operator.timeout is None and self.asynchronous:
            return self.function
        return self._try

    async def _try(self, item: Any) -> Any:
        retry, attempt = self.operator.retry, 1
        while True:
            try:
                return await self._once(item)
            except Exception as error:
                if retry is None or isinstance(error, FlowError) or not retry.again(attempt, error):
                    raise GaveUp(error, attempt) from error
                delay = retry.delay(attempt)
            self.ledger.retried += 1
            await asyncio.sleep(delay)
            attempt += 1

    async def _once(self, item: Any) -> Any:
        if not self.asynchronous:
            return self._plain(item)
        if self.operator.timeout is None:
            return await self.function(item)
        watch = asyncio.timeout(self.operator.timeout)
        try:
            async with watch:
                return await self.function(item)
        except TimeoutError as error:
            if not watch.expired():
                raise
            raise ItemTimeout(
                f"{self.operator.label}: one attempt took longer than timeout={self.operator.timeout:g} s"
            ) from error

    def _plain(self, item: Any) -> Any:
        result = self.function(item)
        if isawaitable(result):
            if hasattr(result, "close"):
                result.close()
            raise FlowError(
                f"{self.operator.label}: the plain function {name_of(self.operator.call)} returned an awaitable, which "
                f"nobody would await. Make it `async def` (a lambda cannot be), or give the async function itself"
            )
        return result


def _with_arguments(operator: ConcurrentApply, resource: Any) -> Callable[..., Any]:
    function = operator.call
    if operator.resource is not None and operator.with_position:
        return lambda item: function(item, resource, position())
    if operator.resource is not None:
        return lambda item: function(item, resource)
    if operator.with_position:
        return lambda item: function(item, position())
    return function
