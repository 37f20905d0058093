"""Whole flows over real files: broken off at every item, run again, and their output is that of an unbroken run."""

from __future__ import annotations

import asyncio
import gzip
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import streamflow as sf
from streamflow.sinks import Csv, JsonLines, Rolling, SqliteTable
from streamflow.testing import CrashExplorer, SimulatedCheckpoints, SimulatedDisk, run

ITEMS = 12


def contents(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: gzip.decompress(data) if name.endswith(".gz") else data for name, data in found.items()}


def rows(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / "a.db")) as database:
        return database.execute("SELECT * FROM t").fetchall()


@pytest.mark.parametrize(
    ("make", "look"),
    [
        (lambda folder: JsonLines(folder / "out.jsonl"), contents),
        (lambda folder: JsonLines(folder / "out.jsonl.gz"), contents),
        (lambda folder: Csv(folder / "out.csv"), contents),
        (lambda folder: Rolling(str(folder / "{n}.jsonl"), items=3), contents),
        (lambda folder: Rolling(str(folder / "{key}/{n}.jsonl"), key=lambda row: row["n"] % 2, items=2), contents),
        (lambda folder: SqliteTable(path=folder / "a.db", table="t"), rows),
    ],
    ids=["jsonl", "gzip", "csv", "rolling", "rolling by key", "sqlite"],
)
def test_a_flow_that_failed_goes_on(make: Callable[[Path], Any], look: Callable[[Path], Any], tmp_path: Path) -> None:
    def made(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    async def attempt(folder: Path, broken_at: int | None) -> None:
        async def items() -> Any:
            for n in range(ITEMS):
                await asyncio.sleep(1.0)
                if n == broken_at:
                    raise RuntimeError("broken")
                yield {"n": n}

        flow = sf.flow(items).to(make(folder))
        await flow.run(checkpoint=tmp_path / f"{folder.name}.ckpt", every=2.5)

    async def main() -> None:
        await attempt(folder := made("whole"), None)
        expected = look(folder)
        for broken_at in (0, 4, 11):
            folder = made(str(broken_at))
            with pytest.raises(RuntimeError, match="broken"):
                await attempt(folder, broken_at)
            await attempt(folder, None)
            assert look(folder) == expected

    run(main())


@pytest.mark.parametrize(
    "make",
    [
        lambda disk: JsonLines("/d/out.jsonl", files=disk),
        lambda disk: Csv("/d/out.csv", files=disk),
        lambda disk: Rolling(JsonLines("/d/{n}.jsonl", files=disk), items=3),
    ],
    ids=["jsonl", "csv", "rolling"],
)
def test_it_may_lose_power_at_every_operation_of_its_disk(make: Callable[[SimulatedDisk], Any]) -> None:
    async def life(disk: SimulatedDisk) -> None:
        async def items() -> Any:
            for n in range(10):
                await asyncio.sleep(1.0)
                yield {"n": n}

        await sf.flow(items).to(make(disk)).run(checkpoint=SimulatedCheckpoints(disk), every=2.5)

    def output(disk: SimulatedDisk) -> dict[str, bytes]:
        return {name: data for name, data in disk.outputs().items() if name.startswith("/d/") and "/." not in name}

    found = CrashExplorer(life=life, disk=lambda: SimulatedDisk(folders=["/d"]), output=output, again=0).explore()
    assert found.tried >= 3 * found.operations > 60
