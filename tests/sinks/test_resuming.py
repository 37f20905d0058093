"""Files, parts and tables that a run has left, and that another goes on with."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from streamflow.files.local import LocalFiles
from streamflow.files.target import FileChangedByOthers
from streamflow.model.errors import FlowError
from streamflow.sinks import Arrow, Bytes, CallableSink, Csv, JsonLines, Null, Parquet, Rolling, SqliteTable, Stdout
from streamflow.testing import no_leaks, run


async def begun(sink: Any, items: list[Any], more: list[Any], *, bounded: bool = True) -> Any:
    """Write, prepare, write more, and suspend; return what was prepared."""
    writer = await sink.open(bounded)
    encode = sink.encode or (lambda item: item)
    await writer.write([encode(item) for item in items])
    prepared = await writer.prepare(1)
    await writer.write([encode(item) for item in more])
    await writer.flush()
    await writer.suspend()
    await writer.close()
    return prepared


async def gone_on(sink: Any, prepared: Any, items: list[Any], *, bounded: bool = True) -> None:
    writer = await sink.open(bounded)
    encode = sink.encode or (lambda item: item)
    try:
        await writer.resume(prepared)
        await writer.commit(1)
        await writer.write([encode(item) for item in items])
        await writer.finish()
    except BaseException:
        await writer.suspend()
        raise
    finally:
        await writer.close()


def test_no_temporary_is_left_by_any_number_of_runs(tmp_path: Path) -> None:
    async def main() -> None:
        sink = JsonLines(tmp_path / "out.jsonl")
        async with no_leaks(tmp_path):
            prepared = await begun(sink, [1], [2])
            for number in range(3):
                assert len(os.listdir(tmp_path)) == 1
                writer = await sink.open(True)
                await writer.resume(prepared)
                await writer.write([b"%d\n" % number])
                prepared = await writer.prepare(number)
                await writer.suspend()
                await writer.close()
            await gone_on(sink, prepared, [9])
        assert os.listdir(tmp_path) == ["out.jsonl"]
        assert (tmp_path / "out.jsonl").read_text().split() == ["1", "0", "1", "2", "9"]

    run(main())


def test_what_nothing_was_prepared_of_does_not_stay(tmp_path: Path) -> None:
    async def main() -> None:
        for sink in (JsonLines(tmp_path / "a.jsonl"), Rolling(str(tmp_path / "{n}.jsonl"), items=5)):
            writer = await sink.open(True)
            await writer.write([1] if isinstance(sink, Rolling) else [b"1\n"])
            await writer.suspend()
            await writer.close()
        assert os.listdir(tmp_path) == []

    run(main())


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1])


@pytest.mark.parametrize(("harm", "message"), [(Path.unlink, "was removed"), (spoil, "was shortened to 1 of 4 bytes")])
def test_a_temporary_file_that_is_not_what_it_was_is_refused(
    harm: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    async def main() -> None:
        sink = JsonLines(tmp_path / "out.jsonl")
        (tmp_path / "out.jsonl").write_text("1\n2\n")  # as long as what was prepared, and another
        prepared = await begun(sink, [3, 4], [])
        harm(tmp_path / prepared["temporary"])
        with pytest.raises(FileNotFoundError, match=rf"{message}.*resume='never'"):
            await gone_on(sink, prepared, [5])
        assert (tmp_path / "out.jsonl").read_text() == "1\n2\n"
        assert len(os.listdir(tmp_path)) == (1 if harm is Path.unlink else 2)

    run(main())


def test_a_file_that_had_its_name_takes_nothing_more(tmp_path: Path) -> None:
    async def main() -> None:
        sink = JsonLines(tmp_path / "out.jsonl")
        writer = await sink.open(True)
        await writer.write([b"1\n"])
        prepared = await writer.prepare(1)
        await writer.finish()
        await writer.close()
        await gone_on(sink, prepared, [])
        with pytest.raises(FileNotFoundError, match="not there to go on with"):
            await gone_on(sink, prepared, [2])
        assert (tmp_path / "out.jsonl").read_text() == "1\n"

    run(main())


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_a_flow_without_an_end_takes_back_what_it_appended(name: str, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / name
        opened: Any = gzip.open if name.endswith("gz") else open
        with opened(path, "wb") as file:
            file.write(b'"old"\n')
        sink = JsonLines(path)
        prepared = await begun(sink, [1], [2, 3], bounded=False)
        await gone_on(sink, prepared, [4], bounded=False)
        with opened(path, "rb") as file:
            assert list(map(json.loads, file)) == ["old", 1, 4]

    run(main())


def test_a_torn_line_from_before_the_flow_is_closed_once(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "out.jsonl"
        path.write_text('"torn')
        sink = JsonLines(path)
        prepared = await begun(sink, [], [1], bounded=False)
        assert path.read_text() == '"torn\n1\n'
        await gone_on(sink, prepared, [2], bounded=False)
        assert path.read_text() == '"torn\n2\n'

    run(main())


def test_a_file_in_place_that_is_another_one_is_not_cut(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "out.jsonl"
        sink = JsonLines(path)
        prepared = await begun(sink, [1], [2], bounded=False)
        path.rename(tmp_path / "out.jsonl.1")
        path.write_text("much longer than it was\n")
        with pytest.raises(FileNotFoundError, match=r"another file.*rotated"):
            await gone_on(sink, prepared, [3], bounded=False)
        assert path.read_text() == "much longer than it was\n"
        with pytest.raises(FlowError, match="appended to by the earlier run, and would be made anew"):
            await gone_on(sink, prepared, [3], bounded=True)

    run(main())


def test_nobody_elses_lines_are_cut(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "out.jsonl"
        writer = await JsonLines(path).open(False)
        await writer.prepare(0)
        with path.open("a") as file:
            file.write("foreign\n")
        with pytest.raises(FileChangedByOthers, match=r"somebody else writes.*a file of its own.*out\.jsonl"):
            await writer.prepare(1)
        await writer.suspend()
        await writer.close()
        assert path.read_text() == "foreign\n"

    run(main())


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"columns": ["a", "b"]}, {"header": False}])
def test_a_header_is_written_once_and_the_columns_hold(options: dict[str, Any], tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "out.csv"
        sink = Csv(path, **options)
        none = await begun(sink, [], [{"b": 5, "a": 6}])
        writer = await sink.open(True)
        await writer.resume(none)
        await writer.write([{"a": 1, "b": 2}])
        some = await writer.prepare(2)
        await writer.suspend()
        await writer.close()
        await gone_on(sink, some, [{"b": 4, "a": 3}])
        data = path.read_bytes()
        text = (gzip.decompress(data) if "compression" in options else data).decode()
        assert text.split() == ["a,b", "1,2", "3,4"][0 if options.get("header", True) else 1 :]
        with pytest.raises(FlowError, match=r"columns=.*has \['a', 'b'\]"):
            await gone_on(Csv(path, columns=["b", "a"]), some, [])

    run(main())


def test_what_each_sink_says_of_itself(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    exactly = [JsonLines(tmp_path / "a"), Csv(tmp_path / "a.csv"), Bytes(tmp_path / "b"), Null()]
    exactly += [Rolling(str(tmp_path / "{n}.jsonl"), items=1), SqliteTable(path=tmp_path / "a", table="t")]
    at_least = [JsonLines(tmp_path / "pipe.jsonl"), JsonLines("/dev/null"), Stdout(), CallableSink(print)]
    assert {sink.delivery for sink in exactly} == {"exactly once"}
    assert {sink.delivery for sink in at_least} == {"at least once"}
    assert not any(sink.unresumable for sink in (*exactly, *at_least))
    for sink in (Parquet(tmp_path / "a.parquet"), Arrow(tmp_path / "a.arrow"), Arrow("-")):
        assert "leave checkpoint= out" in sink.unresumable


class Directories(LocalFiles):
    """Note which names were brought to the disk."""

    def __init__(self) -> None:
        self.synced: list[str] = []

    def sync_directory(self, path: str) -> None:
        self.synced.append(path)
        super().sync_directory(path)


def test_the_name_of_a_new_file_is_on_the_disk_before_a_checkpoint_relies_on_it(tmp_path: Path) -> None:
    async def main() -> None:
        files = Directories()
        writer = await JsonLines(tmp_path / "out.jsonl", files=files).open(True)
        assert files.synced == []
        for epoch in range(3):
            await writer.prepare(epoch)
            assert files.synced == [str(tmp_path)]
        await writer.abort()
        await writer.close()

    run(main())


# Parts.


def content(folder: Path) -> dict[str, bytes]:
    """Return the parts; leftovers would be among them."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "options",
    [
        {"parts": "{n}.jsonl", "items": 3},
        {"parts": "{n}.jsonl", "bytes": 7},
        {"parts": "x/{key}/{n:03}.jsonl", "key": lambda n: n % 5, "items": 2, "open_parts": 3},
        {"parts": "{key}-{n}.csv", "key": lambda row: row["n"] % 4, "items": 2, "open_parts": 2},
    ],
)
def test_parts_are_those_of_an_unbroken_run_wherever_it_was_broken_off(options: dict[str, Any], tmp_path: Path) -> None:
    """Names and bytes; a crash is a copy of the folder made while the run goes on."""
    options = dict(options)
    pattern = options.pop("parts")
    items: list[Any] = [{"n": n} for n in range(24)] if pattern.endswith("csv") else list(range(24))

    async def whole(folder: Path, sizes: list[int]) -> tuple[dict[str, bytes], list[tuple[int, Any, Path]]]:
        sink = Rolling(str(folder / pattern), **options)
        writer = await sink.open(True)
        crashes, at, saved = [], 0, (0, await writer.prepare(0))
        for epoch, size in enumerate(sizes, 1):
            await writer.write(items[at : at + size])
            at += size
            crashes.append((*saved, Path(shutil.copytree(folder, f"{folder}-{len(crashes)}"))))
            saved = at, await writer.prepare(epoch)
            crashes.append((*saved, Path(shutil.copytree(folder, f"{folder}-{len(crashes)}"))))
            await writer.commit(epoch)
            crashes.append((*saved, Path(shutil.copytree(folder, f"{folder}-{len(crashes)}"))))
        await writer.finish()
        await writer.close()
        return content(folder), crashes

    async def main() -> None:
        folder = tmp_path / "whole"
        folder.mkdir()
        expected, crashes = await whole(folder, [5, 1, 8, 10])
        (tmp_path / "other").mkdir()
        assert (await whole(tmp_path / "other", [24]))[0] == expected
        for at, prepared, copy in crashes:
            shutil.rmtree(folder)
            copy.rename(folder)
            await gone_on(Rolling(str(folder / pattern), **options), prepared, items[at:])
            assert content(folder) == expected

    run(main())


def test_parts_appear_at_a_commit_and_not_before(tmp_path: Path) -> None:
    async def main() -> None:
        writer = await Rolling(str(tmp_path / "{n}.jsonl"), items=2).open(False)
        await writer.write([1, 2])
        assert "0.jsonl" in os.listdir(tmp_path)  # nobody has asked for checkpoints yet
        await writer.prepare(1)
        await writer.write([3, 4, 5])
        await writer.commit(1)
        assert "1.jsonl" not in os.listdir(tmp_path)
        await writer.prepare(2)
        await writer.write([6])
        assert "1.jsonl" not in os.listdir(tmp_path)
        await writer.commit(2)
        assert "1.jsonl" in os.listdir(tmp_path)
        assert "2.jsonl" not in os.listdir(tmp_path)
        await writer.abort()
        await writer.close()
        assert sorted(os.listdir(tmp_path)) == ["0.jsonl", "1.jsonl"]

    run(main())


def test_a_part_that_somebody_took_away_is_not_missed_and_its_number_stays(tmp_path: Path) -> None:
    async def main() -> None:
        sink = Rolling(str(tmp_path / "{n}.jsonl"), items=2)
        writer = await sink.open(True)
        await writer.prepare(0)
        await writer.write([1, 2, 3])
        prepared = await writer.prepare(1)
        await writer.commit(1)
        (tmp_path / "0.jsonl").unlink()
        await writer.suspend()
        await writer.close()
        (tmp_path / ".7.jsonl.abcd1234-1.part").touch()  # of another run: none of ours to remove
        await gone_on(sink, prepared, [4, 5])
        found = content(tmp_path)
        assert found == {".7.jsonl.abcd1234-1.part": b"", "1.jsonl": b"3\n4\n", "2.jsonl": b"5\n"}

    run(main())


def test_a_part_is_due_by_the_time_it_was_open_in_all(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        sink = Rolling(str(tmp_path / "{n}.jsonl"), every=10.0)
        writer = await sink.open(True)
        await writer.write([1])
        await asyncio.sleep(7.0)
        prepared = await writer.prepare(1)
        await writer.suspend()
        await writer.close()
        await asyncio.sleep(1000.0)
        writer = await sink.open(True)
        began = loop.time()
        await writer.resume(prepared)
        await asyncio.sleep(2.9)
        assert (await writer.prepare(2))["ready"] == []
        await asyncio.sleep(0.2)
        assert len((await writer.prepare(3))["ready"]) == 1
        assert loop.time() - began < 4.0
        await writer.finish()
        await writer.close()
        assert content(tmp_path) == {"0.jsonl": b"1\n"}

    run(main())


# Tables.


def rows(path: Path, table: str = "t") -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT * FROM {table}").fetchall()


def tables(path: Path) -> set[str]:
    return {name for (name,) in rows(path, "(SELECT name FROM sqlite_master WHERE type = 'table')")}


def test_rows_and_checkpoint_are_one_and_nothing_of_it_stays(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "a.db"
        sink = SqliteTable(path=path, table="t")
        prepared = await begun(sink, [{"a": 1}], [{"a": 9}])
        assert "t" not in tables(path)
        await gone_on(sink, prepared, [{"a": 2}])
        assert rows(path) == [(1,), (2,)]
        assert tables(path) == {"t", "_streamflow_runs"}
        await gone_on(sink, prepared, [])
        with pytest.raises(OSError, match="the earlier run had finished"):
            await gone_on(sink, prepared, [{"a": 3}])
        path.unlink()
        with pytest.raises(OSError, match=r"knows nothing of that run.*resume='never'.*a\.db"):
            await gone_on(sink, prepared, [])

    run(main())


def test_rows_of_a_later_checkpoint_are_not_written_again(tmp_path: Path) -> None:
    async def main() -> None:
        sink = SqliteTable(path=tmp_path / "a.db", table="t")
        writer = await sink.open(True)
        older = await writer.prepare(1)
        await writer.write([{"a": 1}])
        await writer.prepare(2)
        await writer.commit(2)
        await writer.suspend()
        await writer.close()
        with pytest.raises(OSError, match="rows of a later checkpoint already, 2 after 1"):
            await gone_on(sink, older, [{"a": 1}])

    run(main())


def test_many_rows_are_put_aside_and_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamflow.sinks.sqlite_database.MOST", 10)
    monkeypatch.setattr("streamflow.sinks.sqlite_table.SHARE", 4)

    async def main() -> None:
        for checkpoints in (False, True):
            path = tmp_path / f"{checkpoints}.db"
            writer = await SqliteTable(path=path, table="t", columns=["n"]).open(True)
            for epoch in range(9):
                for n in range(7):
                    await writer.write([(epoch * 7 + n,)])
                if checkpoints:
                    await writer.prepare(epoch)
                    await writer.commit(epoch)
            await writer.finish()
            await writer.close()
            assert rows(path) == [(n,) for n in range(63)]

    run(main())


def test_a_key_replaces_and_no_key_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "a.db"
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE t (k TEXT PRIMARY KEY, v)")
        for value in (1, 2):
            writer = await SqliteTable(path=path, table="t", key="k").open(True)
            await writer.write([{"k": "x", "v": 0}, {"k": "x", "v": value}])
            await writer.finish()
            await writer.close()
        assert rows(path) == [("x", 2)]
        writer = await SqliteTable(path=path, table="t").open(True)
        await writer.write([{"k": "x", "v": 3}])
        with pytest.raises(ValueError, match=r"a\.db: table 't' refuses rows: UNIQUE.*key="):
            await writer.finish()
        await writer.abort()
        await writer.close()
        assert rows(path) == [("x", 2)]

    run(main())


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"a": 1}, "missing: .'b'."),
        ({"a": 1, "b": 2, "c": 3}, "unknown: .'c'."),
        ((1,), "1 values for 2 columns"),
        ({"a": 1, "b": {}}, "column 'b': SQLite holds texts, numbers and bytes, not dict"),
        ({"a": 1, "b": 2**63}, "beyond the 64 bits"),
        ({"a": 1, "b": "\ud800"}, "surrogates"),
        (7, "expected a dict, a dataclass or a tuple, not int"),
    ],
)
def test_an_item_without_a_row_is_told_and_the_others_stand(item: Any, message: str, tmp_path: Path) -> None:
    async def main() -> None:
        writer = await SqliteTable(path=tmp_path / "a.db", table="t").open(True)
        with pytest.raises((TypeError, ValueError), match=message):
            await writer.write([{"a": 0, "b": None}, item])
        assert writer.written == 1
        await writer.write([("x", b"y")])
        await writer.finish()
        await writer.close()
        assert rows(tmp_path / "a.db") == [(0, None), ("x", b"y")]

    run(main())


def test_a_table_that_does_not_fit_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "a.db"
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE t (a, b)")
        with pytest.raises(FileNotFoundError, match=r"no table 'u' .there is t.*create=True"):
            await SqliteTable(path=path, table="u", create=False).open(True)
        with pytest.raises(ValueError, match="table 't' has no column 'c'; it has a, b"):
            await SqliteTable(path=path, table="t", columns=["a", "c"]).open(True)
        (tmp_path / "text.db").write_text("this is no database, but a text that is long enough to see that" * 20)
        with pytest.raises(OSError, match=r"not a database.*text\.db"):
            await SqliteTable(path=tmp_path / "text.db", table="t").open(True)
        with pytest.raises(OSError, match=r"unable to open.*none"):
            await SqliteTable(path=tmp_path / "none" / "a.db", table="t").open(True)

    async def checked() -> None:
        async with no_leaks(tmp_path):
            await main()

    run(checked())


def test_a_database_that_somebody_else_holds_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamflow.sinks.sqlite_database.PATIENCE", 0.0)

    async def main() -> None:
        path = tmp_path / "a.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            writer = await SqliteTable(path=path, table="t").open(True)
            await writer.prepare(0)
            other.execute("BEGIN IMMEDIATE")
            await writer.write([{"a": 1}])
            with pytest.raises(OSError, match=r"database is locked.*a\.db"):
                await writer.prepare(1)
            other.execute("ROLLBACK")
        prepared = await writer.prepare(2)  # nothing was lost
        await writer.suspend()
        await writer.close()
        prepared["epoch"] = 2
        await gone_on(SqliteTable(path=path, table="t"), prepared, [{"a": 2}])
        assert rows(path) in ([(1,), (2,)], [(2,), (1,)])

    run(main())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": ":memory:", "table": "t"}, "path of a file"),
        ({"path": "a", "table": "sqlite_x"}, "table of your own"),
        ({"path": "a", "table": ""}, "table of your own"),
        ({"path": "a", "table": "t", "columns": ["a", "A"]}, "each once"),
        ({"path": "a", "table": "t", "columns": "ab"}, "each once"),
        ({"path": "a", "table": "t", "columns": ["a"], "key": "b"}, "none of columns"),
    ],
)
def test_a_table_that_cannot_be_is_told_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FlowError, match=message):
        SqliteTable(**options)


# A state machine against a list.


class Broken(RuleBasedStateMachine):
    """Write, prepare, commit, crash, suspend and finish a file, in any order; a list says what is in it."""

    suffix = ".jsonl"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.path = self.folder / f"out{self.suffix}"
        self.sink = JsonLines(self.path)
        self.epoch = 0
        self.saved: tuple[int, Any] | None = None
        self.written: list[int] = []
        self.writer: Any = self.wait(self.sink.open(True))
        self.checkpoint()

    def wait(self, what: Any) -> Any:
        return self.runner.run(what)

    @rule(items=st.lists(st.integers(), max_size=5))
    @precondition(lambda self: self.writer is not None)
    def write(self, items: list[int]) -> None:
        self.wait(self.writer.write([b"%d\n" % item for item in items]))
        self.written += items

    @rule(saves=st.booleans(), commits=st.booleans())
    @precondition(lambda self: self.writer is not None)
    def checkpoint(self, saves: bool = True, commits: bool = True) -> None:
        self.epoch += 1
        prepared = self.wait(self.writer.prepare(self.epoch))
        if saves:
            self.saved = len(self.written), prepared
        if saves and commits:
            self.wait(self.writer.commit(self.epoch))

    @rule(torn=st.binary(max_size=5))
    @precondition(lambda self: self.writer is not None)
    def crash(self, torn: bytes) -> None:
        before = {path: path.read_bytes() for path in self.folder.iterdir()}
        self.wait(self.writer.abort())
        self.wait(self.writer.close())
        for path, data in before.items():
            path.write_bytes(data + torn)
        self.writer = None

    @rule()
    @precondition(lambda self: self.writer is not None)
    def suspend(self) -> None:
        self.wait(self.writer.suspend())
        self.wait(self.writer.close())
        self.writer = None

    @rule()
    @precondition(lambda self: self.writer is None)
    def go_on(self) -> None:
        assert self.saved is not None
        self.writer = self.wait(self.sink.open(True))
        self.wait(self.writer.resume(self.saved[1]))
        del self.written[self.saved[0] :]
        assert len(os.listdir(self.folder)) == 1

    def teardown(self) -> None:
        try:
            if self.writer is None:
                self.go_on()
            self.checkpoint()
            self.wait(self.writer.finish())
            self.wait(self.writer.close())
            assert os.listdir(self.folder) == [self.path.name]
            data = self.path.read_bytes()
            text = gzip.decompress(data) if self.suffix.endswith("gz") else data
            assert [int(line) for line in text.split()] == self.written
            self.writer = self.wait(self.sink.open(True))  # what was finished is so
            assert self.saved is not None
            self.wait(self.writer.resume(self.saved[1]))
            self.wait(self.writer.finish())
            self.wait(self.writer.close())
            assert self.path.read_bytes() == data
            assert os.listdir(self.folder) == [self.path.name]
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)


class BrokenGzip(Broken):
    suffix = ".jsonl.gz"


TestBroken = Broken.TestCase
TestBrokenGzip = BrokenGzip.TestCase
TestBroken.settings = TestBrokenGzip.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
