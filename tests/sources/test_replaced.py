"""A file that is not the one of the checkpoint is refused by name, never read from the middle of something else."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest

from streamflow.model.errors import RecordError
from streamflow.model.positions import Position
from streamflow.sources import Arrow, Bytes, Csv, Iterable, JsonLines, Parquet, TextLines, Ticks
from streamflow.testing import run
from streamflow.testing.conformance.sources import unpack


def lines(numbers: Any) -> bytes:
    return b"".join(b"%d\n" % number for number in numbers)


def rows(numbers: Any) -> bytes:
    return b"n,m\n" + b"".join(b"%d,1\n" % number for number in numbers)


def parquet(numbers: Any) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": list(numbers)}), out, row_group_size=100)
    return out.getvalue().to_pybytes()


def arrow(numbers: Any, make: Any = ipc.new_file) -> bytes:
    out = pa.BufferOutputStream()
    table = pa.table({"n": list(numbers)})
    with make(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
    return out.getvalue().to_pybytes()


KINDS: dict[str, tuple[Any, Callable[[Any], bytes]]] = {
    "a.jsonl": (JsonLines, lines),
    "a.txt.gz": (TextLines, lambda numbers: gzip.compress(lines(numbers), mtime=0)),
    "a.csv": (Csv, rows),
    "a.bin": (Bytes, lines),
    "a.parquet": (Parquet, parquet),
    "a.arrow": (Arrow, arrow),
    "a.arrows": (Arrow, lambda numbers: arrow(numbers, ipc.new_stream)),
}


async def half(source: Any) -> tuple[list[Any], Position]:
    reader = await source.open()
    try:
        found: list[Any] = []
        while len(found) < (10 if isinstance(source, Bytes) else 150):
            batch = await reader.read(10)
            assert batch is not None
            found += unpack(source, batch)
        return found, reader.position()
    finally:
        await reader.close()


async def rest(source: Any, position: Position) -> list[Any]:
    reader = await source.open()
    try:
        await reader.seek(position)
        found: list[Any] = []
        while (batch := await reader.read(10)) is not None:
            found += unpack(source, batch)
        return found
    finally:
        await reader.close()


def options(name: str) -> dict[str, Any]:
    return {"chunk": 64} if not name.endswith(("parquet", "arrow", "arrows")) else {}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_the_same_content_is_gone_on_with(name: str, tmp_path: Path) -> None:
    make, content = KINDS[name]
    path = tmp_path / name
    path.write_bytes(content(range(500)))
    source = make(path, **options(name))
    before, position = run(half(source))
    path.rename(tmp_path / "old")
    path.write_bytes(content(range(500)))  # a copy
    assert before + run(rest(source, position)) == run(
        rest(source, Position(position.source, offset=0, index=0, line=1))
    )


@pytest.mark.parametrize("name", KINDS)
def test_another_file_under_the_name_is_refused(name: str, tmp_path: Path) -> None:
    make, content = KINDS[name]
    path = tmp_path / name
    path.write_bytes(content(range(500)))
    source = make(path, **options(name))
    _, position = run(half(source))
    path.write_bytes(content(range(7000, 9000)))
    with pytest.raises(RecordError, match=rf"{name}.*replaced or shortened"):
        run(rest(source, position))


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt.gz", "a.csv", "a.bin"])
def test_a_file_that_was_shortened_is_refused(name: str, tmp_path: Path) -> None:
    make, content = KINDS[name]
    path = tmp_path / name
    path.write_bytes(content(range(500)))
    source = make(path, **options(name))
    _, position = run(half(source))
    path.write_bytes(content(range(90)))
    with pytest.raises(RecordError, match=rf"{name}.*replaced or shortened"):
        run(rest(source, position))


def test_a_place_within_a_line_is_refused(tmp_path: Path) -> None:
    """It had the same beginning, and other lines after it."""
    path = tmp_path / "a.txt"
    head = b"x" * 300 + b"\n"
    path.write_bytes(head + b"aa\nbb\ncc\n")
    source = TextLines(path)
    position = Position(str(path), line=3, offset=len(head) + 3)
    assert run(rest(source, position)) == ["bb", "cc"]
    path.write_bytes(head + b"aaaa\nbbbb\n")
    with pytest.raises(RecordError, match="no line begins there"):
        run(rest(source, position))


def test_a_file_that_has_grown_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(range(3)))
    source = JsonLines(path)

    async def end() -> Position:
        reader = await source.open()
        while await reader.read(10) is not None:
            pass
        await reader.close()
        return reader.position()

    position = run(end())
    assert run(rest(source, position)) == []
    with path.open("ab") as file:
        file.write(lines(range(3, 6)))
    assert run(rest(source, position)) == [3, 4, 5]


def test_a_file_that_is_gone_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(range(500)))
    source = JsonLines(path, chunk=64)
    _, position = run(half(source))
    os.unlink(path)
    with pytest.raises(FileNotFoundError, match=r"a\.jsonl"):
        run(rest(source, position))


@pytest.mark.parametrize("items", [[1, 2], lambda: iter([1, 2])])
def test_what_has_become_shorter_is_refused(items: Any) -> None:
    with pytest.raises(RecordError, match="ends at item 2, before"):
        run(rest(Iterable(items), Position("list", index=3)))


def test_ticks_count_on_at_once() -> None:
    async def main() -> tuple[Any, float]:
        reader = await Ticks(10.0).open()
        await reader.seek(Position("Ticks", index=7))
        began = asyncio.get_running_loop().time()
        return await reader.read(5), asyncio.get_running_loop().time() - began

    assert run(main()) == ((7,), 0.0)
