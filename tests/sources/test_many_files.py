"""Several files as one source: their order, their positions, and what is left open when it is cut."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import check_leaks, run
from streamflow.testing.conformance.sources import unpack


def fill(folder: Path, *counts: int) -> list[Path]:
    """Write so many records to a file each, and return the files in the order of their names."""
    paths, n = [], 0
    for k, count in enumerate(counts):
        path = folder / f"part-{k:02}.jsonl"
        path.write_text("".join(f"{n + i}\n" for i in range(count)))
        n += count
        paths.append(path)
    return paths


def test_a_pattern_is_read_in_the_order_of_the_names(tmp_path: Path) -> None:
    fill(tmp_path, 3, 0, 2)
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "part-99.jsonl").write_text("99\n")
    assert list(sf.flow(tmp_path / "*.jsonl")) == [0, 1, 2, 3, 4]
    assert list(sf.flow(str(tmp_path / "**" / "*.jsonl"))) == [99, 0, 1, 2, 3, 4]


def test_a_list_is_read_in_its_own_order_each_file_once(tmp_path: Path) -> None:
    one, two = fill(tmp_path, 2, 2)
    assert list(sf.flow(sf.sources.JsonLines([two, one]))) == [2, 3, 0, 1]
    assert list(sf.flow(sf.sources.JsonLines([str(tmp_path / "*-01.jsonl"), one]))) == [2, 3, 0, 1]


@pytest.mark.parametrize("again", ["part.csv", "./part.csv", "folder/../part.csv"])
def test_a_list_that_names_a_file_twice_is_refused(again: str) -> None:
    with pytest.raises(sf.FlowError, match=rf"Csv\({again!r}\): this file is in the list twice"):
        sf.sources.Csv(["part.csv", "other.csv", again])
    sf.sources.Csv(["*.csv", "part.csv", "*.csv"])


def test_a_name_that_looks_like_a_pattern_is_a_name_where_such_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "a[1].jsonl").write_text("1\n")
    (tmp_path / "a1.jsonl").write_text("2\n")
    assert list(sf.flow(tmp_path / "a[1].jsonl")) == [1]
    (tmp_path / "a[1].jsonl").unlink()
    assert list(sf.flow(tmp_path / "a[1].jsonl")) == [2]


@pytest.mark.parametrize("path", ["*.jsonl", ["there.jsonl", "missing.jsonl"]])
def test_what_is_not_there_is_told(path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(path, list):
        Path("there.jsonl").write_text("1\n")
    out: list[int] = []
    with pytest.raises(FileNotFoundError, match=r"no file matches|missing\.jsonl"):
        sf.flow(sf.sources.JsonLines(path)).to(out).run_sync()
    assert out == ([1] if isinstance(path, list) else [])


def test_bad_records_name_their_file_line_and_offset(tmp_path: Path) -> None:
    fill(tmp_path, 2, 2)
    with (tmp_path / "part-01.jsonl").open("a") as file:
        file.write("broken\n")
    letters: list[sf.DeadLetter] = []
    source = sf.sources.JsonLines(tmp_path / "*.jsonl", on_error=sf.dead_letter(letters))
    assert list(sf.flow(source).map(str)) == ["0", "1", "2", "3"]
    [letter] = letters
    assert letter.position == sf.Position(str(tmp_path / "part-01.jsonl"), line=3, offset=4)


def test_each_csv_file_has_a_header_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("b,a\n3,4\n")
    assert list(sf.flow(tmp_path / "*.csv")) == [{"a": "1", "b": "2"}, {"b": "3", "a": "4"}]


@settings(max_examples=40)
@given(
    counts=st.lists(st.integers(0, 20), min_size=2, max_size=5),
    wait=st.floats(0, 0.03),
    chunk=st.sampled_from([1, 9, 999]),
)
def test_a_checkpoint_is_taken_up_in_the_right_file(
    counts: list[int], wait: float, chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("many")
    fill(folder, *counts)

    def flow() -> sf.Flow[int]:
        return sf.flow(sf.sources.JsonLines(folder / "*.jsonl", chunk=chunk)).map(slowly)

    async def slowly(n: int) -> int:
        await asyncio.sleep(0.001)
        return n

    async def main() -> None:
        first: list[int] = []
        handle = flow().to(first).start()
        await asyncio.sleep(wait)
        if handle.report is not None:
            assert first == list(range(sum(counts)))
            return
        checkpoint = await handle.checkpoint()
        kept = list(first)
        await handle.cancel()
        rest: list[int] = []
        await flow().to(rest).run(resume=checkpoint)
        assert sorted({*kept, *rest}) == list(range(sum(counts)))
        assert rest == list(range(sum(counts) - len(rest), sum(counts)))

    run(main)


@pytest.mark.parametrize("turns", range(0, 40, 3))
@pytest.mark.parametrize("gear", ["cancel", "drain"])
def test_cut_anywhere_it_leaves_no_file_open(turns: int, gear: str, tmp_path: Path) -> None:
    fill(tmp_path, 3, 3, 3)

    async def main() -> None:
        with check_leaks(tmp_path):
            out: list[int] = []
            handle = sf.flow(sf.sources.JsonLines(tmp_path / "*.jsonl", chunk=2)).to(out).start()
            for _ in range(turns):
                await asyncio.sleep(0)
            report = await (handle.cancel() if gear == "cancel" else handle.drain())
            assert out == list(range(len(out)))
            assert report.items_in >= len(out)

    run(main)


@pytest.mark.parametrize(
    ("pattern", "output", "refused"),
    [
        ("*.jsonl", "out.jsonl", True),
        ("*.jsonl", "out.csv", False),
        ("*.jsonl", "deeper/out.jsonl", False),
        ("**/*.jsonl", "deeper/out.jsonl", True),
        ("part-*.jsonl", "out.jsonl", False),
    ],
)
def test_a_pattern_that_means_the_output_is_refused(pattern: str, output: str, refused: bool, tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (tmp_path / "deeper").mkdir()
    flow = sf.flow(tmp_path / pattern).map(lambda n: [n]).to(tmp_path / output)
    if refused:
        with pytest.raises(sf.FlowError, match="read and written"):
            flow.run_sync()
    else:
        assert flow.run_sync().items_in == 2


def test_another_list_of_files_cannot_take_up_a_position(tmp_path: Path) -> None:
    one, two = fill(tmp_path, 2, 2)

    async def main() -> None:
        reader = await sf.sources.JsonLines([one, two]).open()
        with pytest.raises(sf.RecordError, match="not among the 2"):
            await reader.seek(sf.Position("elsewhere.jsonl", line=1, offset=0))
        await reader.close()

    run(main)


def test_a_file_of_a_description_is_named_in_reports(tmp_path: Path) -> None:
    paths = fill(tmp_path, 1, 1, 1)
    assert sf.sources.JsonLines(paths).label == f"{paths[0]} and 2 more"
    assert json.loads(json.dumps(sf.flow(tmp_path / "*.jsonl").to(None).run_sync().as_dict(), default=str))
    with pytest.raises(sf.FlowError, match="expected the path"):
        sf.sources.JsonLines([])


async def read_until(source: Any, last: str) -> tuple[list[str], sf.Position]:
    """Read up to and with the item `last`; return all, and the position behind it."""
    reader = await source.open()
    out: list[str] = []
    while last not in out:
        batch = await reader.read(1)
        assert batch is not None
        out += unpack(source, batch)
    position = reader.position()
    await reader.close()
    return out, position


async def read_from(source: Any, position: sf.Position) -> list[str]:
    reader = await source.open()
    try:
        await reader.seek(position)
        out: list[str] = []
        while (batch := await reader.read(100)) is not None:
            out += unpack(source, batch)
        return out
    finally:
        await reader.close()


@settings(max_examples=80)
@given(
    then=st.sets(st.integers(0, 20), min_size=1),
    now=st.sets(st.integers(0, 20)),
    at=st.integers(0, 20),
)
def test_only_what_was_read_may_stand_before_a_position(
    then: set[int], now: set[int], at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("before")
    here = sorted(then)[at % len(then)]
    for n in then:
        (folder / f"{n:02}.txt").write_text(f"{n}\n")
    source = sf.sources.TextLines(folder / "*.txt")
    read, position = run(read_until(source, str(here)))
    for n in then - {here}:
        (folder / f"{n:02}.txt").unlink()
    now |= {here}
    for n in now:
        (folder / f"{n:02}.txt").write_text(f"{n}\n")
    if {n for n in now if n < here} == {n for n in then if n < here}:
        assert read + run(read_from(source, position)) == [str(n) for n in sorted(now)]
    else:
        with pytest.raises(sf.RecordError, match=r"cannot go on at .*names that sort behind.*resume='never'"):
            run(read_from(source, position))


@pytest.mark.parametrize(
    ("come", "gone", "told"),
    [
        (["1", "3"], [], r"1 file of .* before it, and 3 files do now: \S*1\.txt, \S*3\.txt came since and would"),
        (["1"], ["2"], "some were replaced by others or renamed since"),
        ([], ["2"], "and no file do now: some were removed or renamed since"),
        (["1", "3", "31"], ["2"], "some of them came since and would never be read"),
    ],
)
def test_what_came_or_went_before_a_position_is_named(
    come: list[str], gone: list[str], told: str, tmp_path: Path
) -> None:
    """Die in the middle of 4, and have other files before it: they would never be read."""
    pattern, out, checkpoint = tmp_path / "*.txt", tmp_path / "out", tmp_path / "run.ckpt"
    for name in "24":
        (tmp_path / f"{name}.txt").write_text("".join(f"{name}-{n}\n" for n in range(6)))
    struck = True

    def flow() -> Any:
        return (
            sf.flow(sf.sources.TextLines(pattern, chunk=4))
            .buffer(1)
            .map(slowly, concurrency=1)
            .to(sf.sinks.TextLines(out))
        )

    async def slowly(line: str) -> str:
        await asyncio.sleep(0.05)
        if struck and line == "4-5":
            raise RuntimeError("struck by lightning")
        return line

    async def main() -> None:
        nonlocal struck
        with pytest.raises(RuntimeError):
            await flow().run(checkpoint=checkpoint, every=0.01)
        struck = False
        for name in gone:
            (tmp_path / f"{name}.txt").rename(tmp_path / f"{name}.read")
        for name in come:
            (tmp_path / f"{name}.txt").write_text(f"{name}-1\n")
        with pytest.raises(sf.RecordError, match=told):
            await flow().run(checkpoint=checkpoint)
        for name in gone:
            (tmp_path / f"{name}.read").rename(tmp_path / f"{name}.txt")
        for name in come:
            (tmp_path / f"{name}.txt").unlink()
        (tmp_path / "5.txt").write_text("5-1\n")
        await flow().run(checkpoint=checkpoint)
        assert out.read_text().split() == [*(f"2-{n}" for n in range(6)), *(f"4-{n}" for n in range(6)), "5-1"]

    run(main)
