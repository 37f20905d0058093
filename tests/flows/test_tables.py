"""Tables from file to file: what is written is read again, what is wrong is told, nothing is left behind."""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.files.local import LocalFiles
from streamflow.testing import cancel_everywhere, check_leaks, run
from tests.sizes import examples

COMMAND = [sys.executable, "-c", "from streamflow.cli import main; main()"]
SUFFIXES = ["parquet", "arrow", "arrows", "feather", "arrows.gz"]
#: int64 at its limits, NaN left out (it is not equal to itself; see tests/codecs), unicode, nested values, None.
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"n": st.integers(-(2**63), 2**63 - 1)},
        optional={
            "text": st.none() | st.text(st.characters(codec="utf-8"), max_size=4),
            "nested": st.none() | st.fixed_dictionaries({"x": st.lists(st.none() | st.booleans(), max_size=3)}),
            "raw": st.none() | st.binary(max_size=3),
        },
    ),
    max_size=40,
)
SCHEMA = pa.schema(
    {"n": pa.int64(), "text": pa.string(), "nested": pa.struct({"x": pa.list_(pa.bool_())}), "raw": pa.binary()}
)


def rows(count: int) -> list[dict[str, Any]]:
    return [{"n": n, "text": f"é{n}"} for n in range(count)]


def source(path: Path, **options: Any) -> Any:
    return (sf.sources.Parquet if path.suffix == ".parquet" else sf.sources.Arrow)(path, **options)


def sink(path: Path, **options: Any) -> Any:
    return (sf.sinks.Parquet if path.suffix == ".parquet" else sf.sinks.Arrow)(path, **options)


@settings(max_examples=examples(25, nightly=300))
@given(records=RECORDS, suffix=st.sampled_from(SUFFIXES), size=st.integers(1, 50), cut=st.integers(1, 50))
def test_what_is_written_is_read_again_whatever_the_groups(
    records: list[Any], suffix: str, size: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tables") / f"x.{suffix}"
    groups = {"row_group_rows": size} if suffix == "parquet" else {"batch_rows": size}
    sf.flow(records).to(sink(path, schema=SCHEMA, **groups)).run_sync()
    whole = [dict.fromkeys(SCHEMA.names) | record for record in records]
    assert list(sf.flow(source(path, batch_rows=cut))) == whole
    batches = list(sf.flow(source(path, items="batches", columns=["raw", "n"], batch_rows=cut)))
    assert [row for batch in batches for row in batch.to_pylist()] == [
        {k: one[k] for k in ("raw", "n")} for one in whole
    ]
    assert all(0 < batch.num_rows <= min(cut, size) for batch in batches)
    again = path.with_name(f"again.{suffix}")
    sf.flow(source(path, items="batches")).to(again).run_sync()
    assert list(sf.flow(again)) == whole


@given(counts=st.lists(st.integers(0, 30), max_size=8), size=st.integers(1, 20))
def test_row_groups_have_exactly_their_rows_but_the_last(
    counts: list[int], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("groups") / "x.parquet"
    batches = [pa.RecordBatch.from_pydict({"n": pa.array(range(count), pa.int64())}) for count in counts]
    sf.flow(batches).to(sf.sinks.Parquet(path, row_group_rows=size)).run_sync()
    meta = pq.ParquetFile(path).metadata
    found = [meta.row_group(group).num_rows for group in range(meta.num_row_groups)]
    total = sum(counts)
    assert found == [size] * (total // size) + [total % size] * (total % size > 0)
    assert [row["n"] for row in sf.flow(path)] == [n for count in counts for n in range(count)]


def test_row_groups_end_at_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    batch = pa.RecordBatch.from_pydict({"n": pa.array(range(100_000), pa.int64())})
    sf.flow([batch]).to(sf.sinks.Parquet(path, row_group_bytes=80_000)).run_sync()
    meta = pq.ParquetFile(path).metadata
    assert [meta.row_group(group).num_rows for group in range(meta.num_row_groups)] == [10_000] * 10


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_suffixes_say_what_is_read_and_written(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("a,b\n1,x\n2,y\n")
    path = tmp_path / f"x.{suffix}"
    sf.flow(tmp_path / "in.csv").filter(lambda row: row["a"] == "2").to(path).run_sync()
    sf.flow(path).to(tmp_path / "out.jsonl").run_sync()
    assert (tmp_path / "out.jsonl").read_text() == '{"a":"2","b":"y"}\n'


def test_the_command_line_takes_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1\n2\n")
    for source, target in (("a.csv", "b.parquet"), ("b.parquet", "c.arrows"), ("c.arrows", "d.jsonl")):
        command = [*COMMAND, "run", "--from", source, "--to", target]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "d.jsonl").read_text() == '{"n":"1"}\n{"n":"2"}\n'


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_nothing_is_written_and_that_is_a_table_too(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    sf.flow([]).to(path).run_sync()
    assert list(sf.flow(path)) == []
    sf.flow([]).to(sink(path, schema=SCHEMA)).run_sync()
    assert list(sf.flow(path)) == []
    assert (pq.read_schema(path) if suffix == "parquet" else ipc.open_file(path).schema).equals(SCHEMA)


# -- what is wrong with a file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES[:4])
@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_a_file_that_is_none_of_these_is_one_bad_record_with_path_and_reason(
    suffix: str, damage: str, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{suffix}"
    sf.flow(rows(2000)).to(path).run_sync()
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "other": b"no table at all\n" * 99, "empty": b""}[damage])
    with pytest.raises(sf.RecordError, match=rf"x\.{suffix}: ") as caught:
        list(sf.flow(path))
    assert any("group 0" in note for note in caught.value.__notes__)
    letters: list[sf.DeadLetter] = []
    assert list(sf.flow(source(path, on_error=sf.dead_letter(letters))).map(lambda row: row)) == []
    assert len(letters) == 1


def test_a_damaged_row_group_is_one_bad_record_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.Table.from_pylist(rows(300)), path, row_group_size=100, compression="zstd")
    column = pq.ParquetFile(path).metadata.row_group(1).column(1)
    whole = bytearray(path.read_bytes())
    start = column.data_page_offset
    whole[start : start + 40] = b"\xff" * 40
    path.write_bytes(whole)
    letters: list[sf.DeadLetter] = []
    found = list(sf.flow(source(path, on_error=sf.dead_letter(letters))).map(lambda row: row["n"]))
    assert found == [*range(100), *range(200, 300)]
    assert letters[0].position == sf.Position(str(path), index=0, group=1)
    assert "group 1 cannot be read from row 0 on" in letters[0].message
    with pytest.raises(sf.RecordError, match="group 1"):
        list(sf.flow(path))


def test_a_value_that_python_has_no_form_for_is_a_bad_record_among_good_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    names = pa.Array.from_buffers(pa.string(), 3, [None, *pa.array([b"a", b"\xff", b"c"]).buffers()[1:]])
    pq.write_table(pa.table({"n": [1, 2, 3], "name": names}), path)
    letters: list[sf.DeadLetter] = []
    found = list(sf.flow(source(path, on_error=sf.dead_letter(letters))).map(lambda row: row))
    assert found == [{"n": 1, "name": "a"}, {"n": 3, "name": "c"}]
    assert letters[0].item == {"n": 2, "name": None}
    assert letters[0].position == sf.Position(str(path), group=0, index=1)
    assert "column 'name'" in letters[0].message


def test_a_later_file_of_another_schema_is_told_with_file_column_and_types(tmp_path: Path) -> None:
    for name, table in (
        ("a", pa.table({"n": [1], "s": ["x"]})),
        ("b", pa.table({"n": [1.5], "s": ["x"]})),
        ("c", pa.table({"n": [2], "s": ["y"]})),
        ("d", pa.table({"n": [2]})),
        ("e", pa.table({"n": [2], "s": ["y"], "more": [1]})),
    ):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    with pytest.raises(sf.RecordError, match=r"b\.parquet: column 'n' is double, where .*a\.parquet has int64"):
        list(sf.flow(tmp_path / "*.parquet"))
    letters: list[sf.DeadLetter] = []
    flow = sf.flow(sf.sources.Parquet(tmp_path / "*.parquet", on_error=sf.dead_letter(letters))).map(lambda row: row)
    for _ in range(2):
        letters.clear()
        assert list(flow) == [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}]
        assert [letter.message.partition(": ")[2].partition(", ")[0] for letter in letters] == [
            "column 'n' is double",
            "column 's' is missing",
            "column 'more'",
        ]
    assert list(sf.flow(sf.sources.Parquet([tmp_path / "a.parquet", tmp_path / "e.parquet"], columns=["s"]))) == [
        {"s": "x"},
        {"s": "y"},
    ]


def test_columns_that_there_are_not_are_a_mistake_that_no_policy_covers(tmp_path: Path) -> None:
    for suffix in ("parquet", "arrow", "arrows"):
        path = tmp_path / f"x.{suffix}"
        sf.flow(rows(3)).to(path).run_sync()
        with pytest.raises(sf.FlowError, match=r"no column 'texd' \(did you mean 'text'\?\)"):
            list(sf.flow(source(path, columns=["texd"], on_error="skip")))


def test_two_columns_of_one_name_are_no_dict(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), path)
    with pytest.raises(sf.RecordError, match="several columns are called 'a'; read it with items='batches'"):
        list(sf.flow(path))
    assert next(iter(sf.flow(source(path, items="batches")))).num_columns == 2


def test_pipes_and_compressed_files_cannot_be_read_at_any_place(tmp_path: Path) -> None:
    for suffix, make in (("parquet", sf.sources.Parquet), ("arrow", sf.sources.Arrow)):
        path = tmp_path / f"pipe.{suffix}"
        os.mkfifo(path)
        with pytest.raises(sf.FlowError, match="which a pipe has not"):
            list(sf.flow(path))
        with pytest.raises(sf.FlowError, match="compressed inside"):
            make(f"x.{suffix}.gz")
        with pytest.raises(sf.FlowError):
            sf.flow([]).to(f"x.{suffix}.gz")


@pytest.mark.parametrize("missing", ["directory", "missing"])
def test_what_cannot_be_opened_is_told_as_for_other_files(missing: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    if missing == "directory":
        path.mkdir()
    with check_leaks(tmp_path), pytest.raises(OSError, match="directory"):
        sf.flow(path).to(None).run_sync()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    sf.flow(rows(1)).to(path).run_sync()
    path.chmod(0)
    with pytest.raises(PermissionError):
        list(sf.flow(path))


class FaultyReads(LocalFiles):
    """Fail every read after so many, as a disk does that goes away."""

    def __init__(self, after: int) -> None:
        self.after = after

    def open_to_read(self, path: str) -> Any:
        file: Any = super().open_to_read(path)
        read_into = file.read_into

        def fail_at_times(buffer: bytearray) -> int:
            self.after -= 1
            if self.after < 0:
                raise OSError(errno.EIO, "Input/output error")
            return int(read_into(buffer))

        file.read_into = fail_at_times
        return file


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
def test_an_error_of_the_disk_is_no_bad_record(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    sf.flow(rows(3000)).to(
        sink(path, **({"row_group_rows": 100} if suffix == "parquet" else {"batch_rows": 100}))
    ).run_sync()
    for after in range(5):
        with pytest.raises(OSError, match="Input/output error"):
            list(sf.flow(source(path, on_error="skip", files=FaultyReads(after))))
        if suffix == "arrows":
            break  # it is read at once


# -- what is wrong with an item ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_an_item_that_does_not_fit_is_set_aside_and_its_neighbours_are_kept(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    letters: list[sf.DeadLetter] = []
    items = [{"n": 1}, {"n": "one"}, 7, {"n": 2}, pa.RecordBatch.from_pylist([{"n": 3}]), {"n": 4}]
    report = sf.flow(items).to(sink(path, on_error=sf.dead_letter(letters))).run_sync()
    assert list(sf.flow(path)) == [{"n": 1}, {"n": 2}, {"n": 4}]
    assert [letter.item for letter in letters] == [items[1], items[2], items[4]]
    assert "the first item was a dict, this one is a RecordBatch" in letters[2].message
    assert report.statistics.stages[-3].failed + report.statistics.stages[1].failed >= 3


def test_without_a_policy_the_run_fails_with_the_item_and_nothing_is_there(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    items = [{"n": n if n != 1500 else "x"} for n in range(3000)]
    with check_leaks(tmp_path), pytest.raises(TypeError, match="column 'n', int64") as caught:
        sf.flow(items).to(path).run_sync()
    assert any("item 1,500 of its input" in note for note in caught.value.__notes__)
    assert os.listdir(tmp_path) == []


def test_record_batches_of_another_schema_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    letters: list[sf.DeadLetter] = []
    batches = [
        pa.RecordBatch.from_pylist([row]) for row in ({"n": 1}, {"n": 1.5}, {"m": 1}, {"n": 2, "m": 2}, {"n": 3})
    ]
    sf.flow([*batches, {"n": 4}]).to(sink(path, on_error=sf.dead_letter(letters))).run_sync()
    assert list(sf.flow(path)) == [{"n": 1}, {"n": 3}]
    messages = [letter.message for letter in letters]
    assert messages[0] == "column 'n' is double, and int64 in the file"
    assert "no column 'n'" in messages[1]
    assert "['n', 'm']" in messages[2]
    assert "first item was a RecordBatch, this one is a dict" in messages[3]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
def test_a_full_disk_ends_the_run_and_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    with check_leaks(tmp_path), pytest.raises(OSError, match="No space left"):
        target = {
            "parquet": sf.sinks.Parquet("/dev/full", row_group_rows=1000),
            "arrow": sf.sinks.Arrow("/dev/full", batch_rows=1000),
            "arrows": sf.sinks.Arrow("/dev/full", format="stream"),
        }[suffix]
        sf.flow({"n": n, "raw": os.urandom(50)} for n in range(5000)).to(target).run_sync()


class FullAtTimes(LocalFiles):
    """Fail the writes whose ordinals are given."""

    def __init__(self, *failing: int) -> None:
        self.failing = set(failing)
        self.writes = 0

    def create(self, path: str, like: str | None = None) -> Any:
        output: Any = super().create(path, like)
        write = output.write

        def fail_at_times(data: memoryview) -> None:
            self.writes += 1
            if self.writes in self.failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(data)

        output.write = fail_at_times
        return output


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("failing", [(2,), (2, 3), (4,), (3, 5)])
def test_what_could_not_be_written_is_tried_again_and_nothing_is_lost(
    suffix: str, failing: tuple[int, ...], tmp_path: Path
) -> None:
    """An item is retried until there is room again; the group before it, which had failed, is written first."""
    path = tmp_path / f"x.{suffix}"
    groups: dict[str, Any] = {"row_group_rows": 10} if suffix == "parquet" else {"batch_rows": 10}
    retry = sf.Retry(attempts=5, base=0, jitter=False, on=(OSError,))
    target = sink(path, schema=pa.schema({"n": pa.int64()}), files=FullAtTimes(*failing), retry=retry, **groups)
    batches = [pa.RecordBatch.from_pydict({"n": list(range(n, n + 25))}) for n in range(0, 200, 25)]
    sf.flow(batches).to(target).run_sync()
    assert [row["n"] for row in sf.flow(path)] == list(range(200))


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
@pytest.mark.parametrize("setting_aside", [False, True])
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_full_disk_is_no_records_fault(suffix: str, setting_aside: bool, attempts: int, tmp_path: Path) -> None:
    """Whatever the policy: each record after the first failure tried to write the pending group again."""
    files = FullAtTimes(*range(2, 10_000))
    letters: list[Any] = []
    target = sink(
        tmp_path / f"x.{suffix}",
        schema=pa.schema({"n": pa.int64()}),
        files=files,
        on_error=sf.dead_letter(letters) if setting_aside else "skip",
        retry=sf.Retry(attempts=attempts, base=0, jitter=False),
        **({"row_group_rows": 10} if suffix == "parquet" else {"batch_rows": 10}),
    )
    batches = (pa.RecordBatch.from_pydict({"n": list(range(25))}) for _ in range(1000))
    with check_leaks(tmp_path), pytest.raises(OSError, match="No space left"):
        sf.flow(batches).to(target).run_sync()
    assert files.writes <= 2 + attempts


# -- living and ending ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
def test_cut_anywhere_it_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.{suffix}"
    sf.flow(rows(60)).to(path).run_sync()

    async def main() -> None:
        with check_leaks(tmp_path):
            await sf.flow(source(path, batch_rows=7)).to(sink(tmp_path / f"out.{suffix}")).run()

    cancel_everywhere(main)
    assert set(os.listdir(tmp_path)) <= {f"in.{suffix}", f"out.{suffix}"}


@settings(max_examples=30)
@given(turns=st.integers(0, 60), suffix=st.sampled_from(["parquet", "arrow", "arrows"]), many=st.booleans())
def test_a_checkpoint_is_taken_up_at_its_row(
    turns: int, suffix: str, many: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("resume")
    for k in range(2 if many else 1):
        groups = {"row_group_rows": 9} if suffix == "parquet" else {"batch_rows": 9}
        sf.flow(rows(40)).map(lambda row, k=k: {"n": row["n"] + 40 * k}).to(
            sink(folder / f"{k}.{suffix}", **groups)
        ).run_sync()
    total = 80 if many else 40

    def flow() -> Any:
        path = folder / f"*.{suffix}" if many else folder / f"0.{suffix}"
        return sf.flow(source(path, batch_rows=4)).map(lambda row: row["n"])

    async def main() -> None:
        first: list[int] = []
        handle = flow().to(first).start()
        for _ in range(turns):
            await asyncio.sleep(0)
        if handle.report is not None:
            assert first == list(range(total))
            return
        try:
            checkpoint = await handle.checkpoint()
        except sf.FlowError:
            return  # it was over by then
        kept = list(first)
        await handle.cancel()
        rest: list[int] = []
        await flow().to(rest).run(resume=checkpoint)
        assert kept + rest == list(range(total)) or rest == list(range(total - len(rest), total))

    run(main)


def test_a_flow_without_an_end_writes_one_table_when_it_is_drained(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"

    async def main() -> None:
        inbox: sf.Inbox[Any] = sf.inbox(5)
        async with sf.flow(inbox).to(path).start() as handle:
            for row in rows(3):
                await inbox.send(row)
            await handle.drain()

    run(main)
    assert list(sf.flow(path)) == rows(3)
    assert os.listdir(tmp_path) == ["x.parquet"]


async def until(came: asyncio.Event, out: list[Any], count: int) -> None:
    """Wait for so many items; each sets the event just before it is put out."""
    while len(out) < count:
        await came.wait()
        came.clear()
        await asyncio.sleep(0)


def test_a_stream_comes_through_a_pipe_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "pipe.arrows"
    os.mkfifo(path)
    batch = pa.RecordBatch.from_pylist(rows(3))

    async def main() -> None:
        with check_leaks(tmp_path):
            out: list[Any] = []
            came = asyncio.Event()
            handle = sf.flow(path).tap(lambda _: came.set()).to(out).start()
            async with handle:
                file = await asyncio.to_thread(open, path, "wb", buffering=0)
                with file, ipc.new_stream(file, batch.schema) as writer:
                    for count in (3, 6):
                        writer.write_batch(batch)
                        await until(came, out, count)
            assert out == rows(3) * 2

    asyncio.run(main())


@pytest.mark.parametrize("gear", ["drain", "cancel"])
def test_a_pipe_that_gives_nothing_more_holds_nothing_up(gear: str, tmp_path: Path) -> None:
    path = tmp_path / "pipe.arrows"
    os.mkfifo(path)
    data = pa.BufferOutputStream()
    batch = pa.RecordBatch.from_pylist(rows(3))
    with ipc.new_stream(data, batch.schema) as writer:
        writer.write_batch(batch)
        writer.write_batch(batch)
    sent = data.getvalue().to_pybytes()[:-60]  # the second batch is not whole

    async def main() -> None:
        with check_leaks(tmp_path):
            out: list[Any] = []
            came = asyncio.Event()
            handle = sf.flow(path).tap(lambda _: came.set()).to(out).start()
            file = await asyncio.to_thread(open, path, "wb", buffering=0)
            with file:
                file.write(sent)
                await until(came, out, 3)
                await (handle.drain() if gear == "drain" else handle.cancel())
            assert out == rows(3)

    asyncio.run(main())


def test_standard_input_and_output_are_streams(tmp_path: Path) -> None:
    code = (
        "import streamflow as sf; odd = sf.flow(sf.sources.Arrow('-')).filter(lambda row: row['n'] % 2); "
        "odd.to(sf.sinks.Arrow('-')).run_sync()"
    )
    sf.flow(rows(5)).to(tmp_path / "in.arrows").run_sync()
    for stdin in ("pipe", "file"):
        with (tmp_path / "in.arrows").open("rb") as file:
            given = {"input": file.read()} if stdin == "pipe" else {"stdin": file}
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, **given)
        assert ipc.open_stream(done.stdout).read_all().to_pylist() == rows(5)[1::2]


def test_a_parquet_file_goes_into_a_pipe(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import streamflow as sf; sf.flow([{'a': 1}]).to(sf.sinks.Parquet('/dev/stdout')).run_sync()",
        ],
        capture_output=True,
        check=True,
    )
    assert pq.read_table(pa.BufferReader(done.stdout)).to_pylist() == [{"a": 1}]


# -- descriptions -----------------------------------------------------------------------------------------------------


def test_a_missing_package_is_named_when_the_flow_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for path in ("x.parquet", "x.arrow", "x.arrows", "x.feather"):
        for describe in (lambda p=path: sf.flow(p), lambda p=path: sf.flow([]).to(p)):
            with pytest.raises(sf.FlowError, match=r"pip install 'streamflow-engine\[tables\]'"):
                describe()


def test_describing_a_table_imports_nothing() -> None:
    code = (
        "import sys, streamflow as sf; sf.flow('x.parquet').to('y.arrow').explain(); sf.sinks.Parquet('z.parquet');"
        "print([name for name in sys.modules if name.startswith(('pyarrow', 'numpy'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (sf.sources.Parquet, {"columns": []}),
        (sf.sources.Parquet, {"columns": ["a", "a"]}),
        (sf.sources.Parquet, {"items": "rows"}),
        (sf.sources.Parquet, {"batch_rows": 0}),
        (sf.sources.Arrow, {"format": "feather"}),
        (sf.sinks.Parquet, {"compression": "zip"}),
        (sf.sinks.Parquet, {"row_group_rows": 0}),
        (sf.sinks.Parquet, {"row_group_bytes": -1}),
        (sf.sinks.Parquet, {"schema": {"a": "int64"}}),
        (sf.sinks.Parquet, {"schema": pa.schema({"a": pa.struct([])})}),
        (sf.sinks.Arrow, {"compression": "gzip"}),
        (sf.sinks.Arrow, {"batch_rows": 1.5}),
        (sf.sinks.Arrow, {"format": "x"}),
    ],
)
def test_what_cannot_be_is_told_when_it_is_described(make: Any, options: dict[str, Any]) -> None:
    with pytest.raises(sf.FlowError):
        make("x", **options)


def test_times_become_json_and_what_does_not_says_how(tmp_path: Path) -> None:
    path, out = tmp_path / "x.parquet", tmp_path / "out.jsonl"
    when = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    sf.flow([{"day": dt.date(2026, 1, 2), "when": when}]).to(path).run_sync()
    sf.flow(path).to(out).run_sync()
    assert out.read_text() == '{"day":"2026-01-02","when":"2026-01-02T03:04:05+00:00"}\n'
    for value, words in ((Decimal("1.5"), "str"), (b"raw", "hex"), (dt.timedelta(1), "total_seconds")):
        sf.flow([{"v": value}]).to(path).run_sync()
        with pytest.raises(TypeError, match=rf"JSON has no form for .*{words}.* in a \.map"):
            sf.flow(path).to(out).run_sync()


def test_edges_count_record_batches_by_what_they_hold() -> None:
    from streamflow.channels.sizes import size_of_items

    batch = pa.RecordBatch.from_pydict({"n": pa.array(range(1000), pa.int64())})
    assert size_of_items([batch]) == 8000
    assert size_of_items([batch.slice(0, 10), batch.slice(5, 20)]) == 240
    assert size_of_items([batch, {"n": batch}]) >= 8000
    code = "import sys, streamflow.channels.sizes as s; s.size_of_items([b'x']); print('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
