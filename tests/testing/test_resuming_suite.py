"""The sink suite passes a sink that goes on exactly once, and catches each kind of broken one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from streamflow.model.interfaces import Sink, Writer
from streamflow.testing import SinkSuite


@dataclass
class Store:
    """Be what outlives a run: rows that are seen, and rows that are staged by epoch."""

    seen: list[Any] = field(default_factory=list)
    staged: dict[int, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Staging(Sink[Any]):
    """Stage rows by epoch, and show them at the commit."""

    store: Store
    defect: str = "none"
    delivery = "exactly once"  # type: ignore[assignment]

    async def open(self, bounded: bool) -> Writer[Any]:
        return StagingWriter(self.store, self.defect)


class StagingWriter(Writer[Any]):
    def __init__(self, store: Store, defect: str) -> None:
        self._store, self._defect = store, defect
        self._rows: list[Any] = []

    async def write(self, batch: Sequence[Any]) -> None:
        self.written = 0
        if self._defect == "shown at once":
            self._store.seen += batch
        else:
            self._rows += batch
        self.written = len(batch)

    async def prepare(self, epoch: int) -> Any:
        if self._defect == "lives in memory":
            return epoch
        self._store.staged.setdefault(epoch, []).extend(self._rows)
        self._rows = []
        return object() if self._defect == "not plain" else epoch

    async def commit(self, epoch: int) -> None:
        for one in sorted(self._store.staged):
            if one <= epoch:
                self._store.seen += self._store.staged.pop(one)

    async def resume(self, prepared: int) -> None:
        if self._defect == "keeps what came later":
            return
        if self._defect == "forgets the commit":
            self._store.staged.clear()
        self._store.staged = {one: rows for one, rows in self._store.staged.items() if one <= prepared}

    async def suspend(self) -> None:
        if self._defect == "suspend aborts":
            self._store.staged.clear()

    async def abort(self) -> None:
        self._store.staged.clear()

    async def finish(self) -> None:
        await self.commit(1 << 62)
        self._store.seen += self._rows
        self._rows = []


class StagingSuite(SinkSuite):
    defect = "none"

    def make_sink(self) -> Sink[Any]:
        self.store = Store()
        return Staging(store=self.store, defect=self.defect)

    def written(self) -> list[Any]:
        return self.store.seen

    def crash_point(self) -> Callable[[], None]:
        before = copy.deepcopy(self.store)

        def restore() -> None:
            self.store.seen, self.store.staged = before.seen, before.staged

        return restore


class TestStaging(StagingSuite):
    pass


@pytest.mark.parametrize(
    ("defect", "caught_by"),
    [
        ("shown at once", "test_a_run_that_crashed_goes_on_from_its_checkpoint"),
        ("lives in memory", "test_a_run_that_crashed_goes_on_from_its_checkpoint"),
        ("not plain", "test_an_unbroken_run_with_checkpoints_writes_every_item"),
        ("keeps what came later", "test_a_run_that_crashed_goes_on_from_its_checkpoint"),
        ("forgets the commit", "test_a_run_that_goes_on_may_crash_again"),
        ("suspend aborts", "test_a_run_that_suspended_goes_on_from_its_checkpoint"),
    ],
)
def test_a_sink_that_does_not_go_on_is_caught(
    defect: str, caught_by: str, failing: Callable[[Any], dict[str, str]]
) -> None:
    suite = StagingSuite()
    suite.defect = defect
    assert caught_by in failing(suite)
