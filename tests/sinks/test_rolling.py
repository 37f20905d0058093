"""Parts: whole ones only, every item in exactly one, in order within its key."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.files.local import LocalFiles
from streamflow.sinks import Csv, JsonLines, Rolling
from streamflow.sinks.part_names import PartNames, safe
from streamflow.testing import no_leaks
from streamflow.testing import run as run_virtually
from streamflow.testing.conformance.sinks import SinkSuite


def parts(folder: Path) -> dict[str, list[Any]]:
    """Return the parts below `folder` by name, in the order of their names."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {
        str(path.relative_to(folder)): [json.loads(line) for line in path.read_text().splitlines()] for path in found
    }


class TestRolling(SinkSuite):
    """All in one part: whole or not at all."""

    options: ClassVar[dict[str, Any]] = {"items": 1000}

    @pytest.fixture(autouse=True)
    def directory(self, tmp_path):
        self.directories = [tmp_path]
        self.made = 0

    def make_sink(self):
        self.made += 1
        self.folder = self.directories[0] / str(self.made)
        return Rolling(str(self.folder / "part-{n:03}.jsonl"), **self.options)

    def written(self):
        return [item for items in parts(self.folder).values() for item in items]


class TestRollingByItems(TestRolling):
    options: ClassVar[dict[str, Any]] = {"items": 3}
    atomic = False


class TestRollingByBytes(TestRolling):
    options: ClassVar[dict[str, Any]] = {"bytes": 10}
    atomic = False


class TestRollingByTime(TestRolling):
    options: ClassVar[dict[str, Any]] = {"every": 1000.0}


def test_parts_end_by_items(tmp_path: Path) -> None:
    sf.flow(range(7)).to(Rolling(str(tmp_path / "p-{n}.jsonl"), items=3)).run_sync()
    assert parts(tmp_path) == {"p-0.jsonl": [0, 1, 2], "p-1.jsonl": [3, 4, 5], "p-2.jsonl": [6]}


def test_parts_end_by_bytes(tmp_path: Path) -> None:
    sf.flow(["abcd"] * 5).to(Rolling(str(tmp_path / "p-{n}.jsonl"), bytes=10)).run_sync()
    assert [len(items) for items in parts(tmp_path).values()] == [2, 2, 1]


def test_numbers_go_on_after_parts_that_are_there(tmp_path: Path) -> None:
    for _ in range(2):
        sf.flow(range(3)).to(Rolling(str(tmp_path / "p-{n}.jsonl"), items=2)).run_sync()
    assert list(parts(tmp_path).values()) == [[0, 1], [2], [0, 1], [2]]


def test_each_part_of_rows_has_its_header(tmp_path: Path) -> None:
    sink = Rolling(Csv(tmp_path / "{n}.csv", delimiter=";", columns=["a", "b"]), items=1)
    sf.flow([{"a": 1, "b": 2}, {"b": 4, "a": 3}]).to(sink).run_sync()
    assert [(tmp_path / f"{n}.csv").read_text().split() for n in range(2)] == [["a;b", "1;2"], ["a;b", "3;4"]]


def test_compressed_parts_are_read_as_one_source(tmp_path: Path) -> None:
    sf.flow(range(100)).to(Rolling(str(tmp_path / "p-{n:03}.jsonl.gz"), items=30)).run_sync()
    assert list(sf.flow(tmp_path / "*.jsonl.gz")) == list(range(100))


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(st.tuples(st.sampled_from("abcde"), st.integers(-(2**53), 2**53))),
    size=st.integers(1, 5),
    open_parts=st.integers(1, 6),
)
def test_every_item_is_in_one_part_of_its_key_in_order(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[str, int]], size: int, open_parts: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    sink = Rolling(str(folder / "{key}/{n:04}.jsonl"), key=lambda item: item[0], items=size, open_parts=open_parts)
    sf.flow(items).to(sink).run_sync()
    by_key: dict[str, list[Any]] = defaultdict(list)
    for name, part in parts(folder).items():
        assert 1 <= len(part) <= size
        by_key[name.split("/")[0]] += part
    expected: dict[str, list[Any]] = defaultdict(list)
    for key, value in items:
        expected[key].append([key, value])
    assert by_key == expected


@pytest.mark.parametrize("key", ["../../etc", "a/b", "..", ".", "", "nul\0", "ü", "a%2Fb", "\ud800", " "])
def test_no_key_leads_out_of_its_folder_and_none_is_another(key: str, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    flow = sf.flow([key, "a/b", "other"]).to(Rolling(str(folder / "{key}/{n}.txt"), key=str))
    if key == "\ud800":
        assert safe(key) == "%ED%A0%80"
        return
    flow.run_sync()
    assert os.listdir(tmp_path) == ["inside"]
    found = [path.parent for path in folder.rglob("*.txt")]
    assert all(path.parent == folder for path in found)
    assert len(found) == len({key, "a/b", "other"})


@given(st.text(), st.text())
def test_keys_that_differ_have_names_that_differ(one: str, other: str) -> None:
    assert (safe(one) == safe(other)) == (one == other)
    assert "/" not in safe(one)
    assert safe(one) not in ("", ".", "..")


def test_a_part_ends_in_time_though_no_item_comes(tmp_path: Path) -> None:
    seen: list[dict[str, list[Any]]] = []

    async def slowly() -> Any:
        yield 1
        await asyncio.sleep(0.5)
        yield 2
        await asyncio.sleep(1.0)
        seen.append(parts(tmp_path))
        await asyncio.sleep(10)
        yield 3

    flow = sf.flow(slowly).to(Rolling(str(tmp_path / "{n}.jsonl"), every=1.0))
    run_virtually(flow.run())
    assert seen == [{"0.jsonl": [1, 2]}]
    assert parts(tmp_path) == {"0.jsonl": [1, 2], "1.jsonl": [3]}


def test_whole_parts_stay_when_a_run_fails_and_unfinished_ones_vanish(tmp_path: Path) -> None:
    def items() -> Any:
        yield from range(5)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        sf.flow(items).to(Rolling(str(tmp_path / "{n}.jsonl"), items=2)).run_sync()
    assert parts(tmp_path) == {"0.jsonl": [0, 1], "1.jsonl": [2, 3]}
    assert sorted(os.listdir(tmp_path)) == ["0.jsonl", "1.jsonl"]


def test_items_that_cannot_be_written_go_where_the_policy_says(tmp_path: Path) -> None:
    bad: list[Any] = []
    sink = Rolling(str(tmp_path / "{n}.jsonl"), items=2, on_error=sf.dead_letter(bad))
    report = sf.flow([1, {2}, 3, 4]).to(sink).run_sync()
    assert ([letter.item for letter in bad], report.failed) == ([{2}], 1)
    assert parts(tmp_path) == {"0.jsonl": [1, 3], "1.jsonl": [4]}


class FullFiles(LocalFiles):
    """Be a file system on which the first renames fail."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def rename(self, old: str, new: str) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), new)
        super().rename(old, new)


def test_a_part_that_cannot_be_ended_is_told_and_its_items_are_not_lost(tmp_path: Path) -> None:
    files = FullFiles(2)
    bad: list[Any] = []
    sink = Rolling(JsonLines(tmp_path / "{n}.jsonl", files=files), items=2, on_error=sf.dead_letter(bad))
    sf.flow(range(5)).to(sink).run_sync()
    assert [(letter.item, letter.exception) for letter in bad] == [(2, "OSError")]
    assert parts(tmp_path) == {"0.jsonl": [0, 1], "1.jsonl": [3, 4]}


def test_a_part_that_never_can_be_ended_fails_the_run(tmp_path: Path) -> None:
    sink = Rolling(JsonLines(tmp_path / "{n}.jsonl", files=FullFiles(99)), items=5)
    with pytest.raises(OSError, match="No space"):
        sf.flow(range(5)).to(sink).run_sync()
    assert os.listdir(tmp_path) == []


def test_nothing_is_left_behind_wherever_it_is_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        async with no_leaks(tmp_path):
            for after in range(12):
                flow = sf.flow(range(3000)).to(
                    Rolling(str(tmp_path / f"{after}-{{key}}-{{n}}.jsonl"), key=lambda n: n % 7, items=50, every=5.0)
                )
                run = asyncio.create_task(flow.run())
                for _ in range(after * 5):
                    await asyncio.sleep(0)
                run.cancel()
                await asyncio.gather(run, return_exceptions=True)
                unfinished = [name for name in os.listdir(tmp_path) if name.startswith(".")]
                assert unfinished == []
                parts(tmp_path)  # each line of each part is whole
                for name in os.listdir(tmp_path):
                    os.unlink(tmp_path / name)

    asyncio.run(main())


def csv_parts(folder: Path, encoding: str = "utf-8") -> dict[str, list[str]]:
    return {name: (folder / name).read_text(encoding=encoding).split() for name in sorted(os.listdir(folder))}


class Flaky:
    """Have no text the first times it is asked for it."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def __str__(self) -> str:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not yet")
        return "text"


def test_a_value_that_has_no_text_at_first_takes_no_row_with_it(tmp_path: Path) -> None:
    """The rows before it were lost, and their part was published empty."""
    items = [{"a": n if n != 3 else Flaky(1)} for n in range(10)]
    retry = sf.Retry(attempts=3, base=0, jitter=False)
    sf.flow(items).to(Rolling(str(tmp_path / "{n}.csv"), items=4, retry=retry)).run_sync()
    expected = {"0.csv": ["a", "0", "1", "2", "text"], "1.csv": ["a", "4", "5", "6", "7"], "2.csv": ["a", "8", "9"]}
    assert csv_parts(tmp_path) == expected


@pytest.mark.parametrize("at", [0, 1, 2, 3, 6])
def test_a_row_that_cannot_be_encoded_is_skipped_alone(at: int, tmp_path: Path) -> None:
    items = [{"a": str(n) if n != at else "€"} for n in range(7)]
    parts = Csv(tmp_path / "{n}.csv", encoding="latin-1")
    report = sf.flow(items).to(Rolling(parts, items=3, on_error="skip")).run_sync()
    good = [str(n) for n in range(7) if n != at]
    assert csv_parts(tmp_path, "latin-1") == {"0.csv": ["a", *good[:3]], "1.csv": ["a", *good[3:]]}
    assert report.failed == 1


def test_a_part_whose_items_were_all_refused_is_none(tmp_path: Path) -> None:
    """A part was published empty when its time came, though its only item had failed."""

    async def slowly() -> Any:
        yield {"a": Flaky(9)}
        await asyncio.sleep(3.0)
        yield {"a": 1}

    flow = sf.flow(slowly).to(Rolling(str(tmp_path / "{n}.csv"), every=1.0, on_error="skip"))
    run_virtually(flow.run())
    assert csv_parts(tmp_path) == {"0.csv": ["a", "1"]}
    sf.flow([{"a": b"x"}]).to(Rolling(str(tmp_path / "none-{n}.csv"), items=1, on_error="skip")).run_sync()
    with pytest.raises(RuntimeError, match="not yet"):
        run_virtually(sf.flow(slowly).to(Rolling(str(tmp_path / "none-{n}.csv"), every=1.0)).run())
    assert os.listdir(tmp_path) == ["0.csv"]


class BrokenFiles(LocalFiles):
    """Be a file system on which the first renames end in what is no error of the disk."""

    failures = 1

    def rename(self, old: str, new: str) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("broken")
        super().rename(old, new)


@pytest.mark.parametrize("ends", [{"items": 2}, {"every": 1.0}])
def test_a_part_that_broke_is_not_published_after_all(ends: dict[str, Any], tmp_path: Path) -> None:
    async def slowly() -> Any:
        yield 1
        yield 2
        await asyncio.sleep(3.0)

    sink = Rolling(JsonLines(tmp_path / "{n}.jsonl", files=BrokenFiles()), on_error="skip", **ends)
    with pytest.raises(RuntimeError, match="broken"):
        run_virtually(sf.flow(slowly).to(sink).run())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parts": "p-{n}.jsonl"}, "say when a part ends"),
        ({"parts": "p.jsonl", "items": 1}, r"without \{n\}"),
        ({"parts": "{m}.jsonl", "items": 1}, r"\{m\} is none of \{n\}, \{key\}, \{time\}"),
        ({"parts": "{key}/{n}.jsonl", "items": 1}, "key=function says"),
        ({"parts": "{n}.jsonl", "key": str}, r"put \{key\} where"),
        ({"parts": "{n}{.jsonl", "items": 1}, "brace"),
        ({"parts": "{n:q}.jsonl", "items": 1}, "Unknown format code"),
        ({"parts": "{n}.jsonl", "items": 0}, "items"),
        ({"parts": "{n}.jsonl", "every": -1}, "every"),
        ({"parts": JsonLines("{n}.jsonl", on_error="skip"), "items": 1}, "of Rolling itself"),
        ({"parts": "-", "items": 1}, "files of records"),
        ({"parts": "{n}.what", "items": 1}, "no sink"),
    ],
)
def test_what_cannot_be_is_told_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(sf.FlowError, match=message):
        Rolling(**arguments)


def test_a_name_may_say_when_its_part_began() -> None:
    assert PartNames("{time:%Y/%m/%d}/{n}.jsonl", keyed=False).name(3, "", 86_400.0) == "1970/01/02/3.jsonl"
