"""How far a source is: told by what it knows already, in bytes of the disk or in items."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import lzma
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import streamflow as sf
from streamflow.model.interfaces import PullReader, Source
from streamflow.model.positions import Position
from streamflow.model.statistics import Progress
from streamflow.sources import AsyncIterable, Iterable, JsonLines, TextLines
from streamflow.sources.stdin import Stdin

LINES = b"".join(b"%d\n" % n for n in range(200_000))


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


async def _told(source: Source[Any]) -> list[Progress]:
    """Read `source` to its end; return what its reader told before each read and after the last."""
    reader = await source.open()
    try:
        told = [reader.progress()]
        while await reader.read(100) is not None:
            told.append(reader.progress())
        return [progress for progress in told if progress is not None]
    finally:
        await reader.close()


def _grows_to_the_end(told: list[Progress]) -> None:
    done = [progress.done for progress in told]
    assert done == sorted(done)
    assert len(set(done)) > 2, "it was told on the way, too"
    assert all(progress.done <= (progress.total or 0) for progress in told)
    assert told[-1].done == told[-1].total


@on_a_loop
async def test_a_file_tells_the_bytes_of_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(LINES)
    told = await _told(TextLines(path))
    assert told[0] == Progress(done=0, total=len(LINES))
    _grows_to_the_end(told)


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
@on_a_loop
async def test_a_compressed_file_tells_the_bytes_on_the_disk(tmp_path: Path, suffix: str, compress: Any) -> None:
    path = tmp_path / f"in.txt{suffix}"
    path.write_bytes(compress(LINES))
    told = await _told(TextLines(path))
    assert {progress.total for progress in told} == {path.stat().st_size}
    _grows_to_the_end(told)


@on_a_loop
async def test_several_files_tell_the_sum(tmp_path: Path) -> None:
    contents = LINES, LINES[:1000], gzip.compress(LINES)
    for name, content in zip(("a.txt", "b.txt", "c.txt.gz"), contents, strict=True):
        (tmp_path / name).write_bytes(content)
    told = await _told(TextLines(str(tmp_path / "*.txt*")))
    assert told[0].total == sum(map(len, contents))
    _grows_to_the_end(told)


@on_a_loop
async def test_a_file_that_grew_is_as_long_as_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(b"one\n")
    reader = await TextLines(path).open()
    with path.open("ab") as file:
        file.write(b"two\n")
    while await reader.read(1) is not None:
        pass
    assert reader.progress() == Progress(done=8, total=8)
    await reader.close()


@on_a_loop
async def test_one_that_goes_on_from_a_checkpoint_is_as_far_as_its_place(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(LINES)
    reader = await TextLines(path).open()
    await reader.seek(Position(str(path), line=11, offset=20))
    assert reader.progress() == Progress(done=20, total=len(LINES))
    await reader.close()


@on_a_loop
async def test_a_pipe_has_no_total(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"1\n2\n")
    os.close(theirs)
    told = await _told(Stdin(descriptor=ours))
    os.close(ours)
    assert told[-1] == Progress(done=4, total=None)


@on_a_loop
async def test_a_file_on_stdin_counts_from_where_it_stood(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"1\n2\n3\n")
    with path.open("rb", buffering=0) as file:
        file.read(2)
        told = await _told(Stdin(descriptor=file.fileno()))
    assert told[-1] == Progress(done=4, total=4)


class Unsure(list[int]):
    """Be a list that does not say how long it is."""

    def __len__(self) -> int:
        raise OSError("who knows")


@pytest.mark.parametrize("on_thread", [False, True])
@pytest.mark.parametrize(
    ("items", "total"),
    [
        ([1, 2, 3], 3),
        ({1: 2, 3: 4}, 2),
        (lambda: [1, 2, 3], 3),
        (lambda: iter([1, 2, 3]), None),
        (Unsure([1, 2]), None),
    ],
    ids=["list", "dict", "function", "iterator", "raising"],
)
@on_a_loop
async def test_an_iterable_with_a_length_tells_it(items: Any, total: int | None, on_thread: bool) -> None:
    told = await _told(Iterable(items, on_thread=on_thread))
    assert told[-1].total == total
    assert told[-1].unit == "items"
    assert told[-1].done == total or total is None


@on_a_loop
async def test_an_async_iterable_cannot_tell() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    assert await _told(AsyncIterable(numbers)) == []


@on_a_loop
async def test_a_run_tells_it_of_its_source_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{json.dumps({'n': n})}\n" for n in range(100)))
    gate = asyncio.Event()

    async def wait(record: Any) -> Any:
        await gate.wait()
        return record

    async with sf.flow(JsonLines(path)).map(wait).to(tmp_path / "out.jsonl").start() as run:
        before = run.statistics().stages[0].progress
        assert before is not None
        assert before.total == path.stat().st_size
        gate.set()
        report = await run.wait()
    assert report.statistics.stages[0].progress == Progress(done=path.stat().st_size, total=path.stat().st_size)
    assert report.as_dict()["statistics"]["stages"][0]["progress"]["unit"] == "bytes"


class Raising(PullReader[int]):
    """Be a reader of somebody else's whose `progress` has a mistake."""

    def pull(self, limit: int) -> None:
        return None

    def position(self) -> Position:
        return Position("raising", index=0)

    def progress(self) -> Progress:
        raise KeyError("oops")


class RaisingSource(Source[int]):
    """Open a `Raising`."""

    async def open(self) -> Raising:
        return Raising()


@on_a_loop
async def test_a_reader_that_fails_to_tell_is_read_all_the_same() -> None:
    report = await sf.flow(RaisingSource()).to(print).run()
    assert report.state == "finished"
    assert report.statistics.stages[0].progress is None


@on_a_loop
async def test_an_edge_says_whom_it_joins(tmp_path: Path) -> None:
    async def wait(n: int) -> int:
        return n

    report = await sf.flow([1, 2]).map(wait).to(tmp_path / "out.jsonl").run()
    names = {stage.name for stage in report.statistics.stages}
    for edge in report.statistics.edges:
        assert {edge.producer, edge.consumer} <= names
        assert edge.name == f"{edge.producer} ⇒ {edge.consumer}"
