"""The tables that flows are joined with: read before the first item, and again while the run goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from inspect import isawaitable
from typing import Any

from streamflow.engine.failures import explain_failure
from streamflow.engine.run_clock import RunClock
from streamflow.engine.stage import Stage
from streamflow.engine.stages.fused import FusedStage
from streamflow.engine.stepper import Stepper
from streamflow.files.threads import FileThread
from streamflow.model.events import Event, TableNotRead
from streamflow.operators.callables import is_async
from streamflow.operators.joining.table import Lookup, Table

_log = logging.getLogger("streamflow.run")

#: Seconds after which a run that stands paused is looked at again.
LOOK_AGAIN = 1.0


class Tables:
    """Hold the lookups of one run by their tables; one that several operators share is read once for all of them."""

    def __init__(self, stages: Iterable[Stage], clock: RunClock, tell: Callable[[Event], None]) -> None:
        self._clock, self._tell = clock, tell
        self._users: dict[Table, list[tuple[str, str, Lookup]]] = {}
        for stage in stages:
            if isinstance(stage, FusedStage) and isinstance(stage.stepper, Stepper):
                program = stage.stepper.program
                for operator, state in zip(program.operators, program.states, strict=True):
                    if isinstance(state, Lookup):
                        self._users.setdefault(state.table, []).append((stage.name, operator.label, state))

    async def read(self) -> None:
        """Read each table for the first time; the error of one that cannot be read is the run's."""
        for table, users in self._users.items():
            try:
                await self._renew(table)
            except Exception as error:
                explain_failure(error, *users[0][:2], None, None)
                raise

    @property
    def change(self) -> bool:
        """Tell whether a table is to be read again."""
        return any(table.every is not None for table in self._users)

    async def keep_up(self) -> None:
        """Read those tables again whose time has come, for ever."""
        async with asyncio.TaskGroup() as group:
            for table in self._users:
                if table.every is not None:
                    group.create_task(self._repeat(table, table.every))

    async def _repeat(self, table: Table, every: float) -> None:
        failing = False
        while True:
            await self._until(self._clock.now() + every)
            try:
                await self._renew(table)
            except Exception as error:
                if not failing:
                    _log.warning("%s could not be read again, and stays as it was: %r", table.label, error)
                failing = True
                self._tell(TableNotRead(table=table.label, error=error))
            else:
                failing = False

    async def _until(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        while not self._clock.passed(deadline):
            left = self._clock.due(deadline) - loop.time()
            await asyncio.sleep(left if left < float("inf") else LOOK_AGAIN)

    async def _renew(self, table: Table) -> None:
        rows = await _loaded(table.load)
        for _, _, lookup in self._users[table]:
            lookup.replace(rows)


async def _loaded(load: Callable[[], Any]) -> Mapping[Any, Any]:
    """Return what `load` gives: awaited, or called on a thread of its own."""
    if is_async(load):
        rows = await load()
    else:
        thread = FileThread("table")
        try:
            rows = await thread.run(load)
        finally:
            await thread.close()
        if isawaitable(rows):
            rows = await rows
    return rows  # type: ignore[no-any-return]  # `replace` looks at it
