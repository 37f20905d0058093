"""Every source under the suite that third parties run over theirs."""

import asyncio
import gzip
import lzma

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest

from streamflow.sources import (
    Arrow,
    AsyncIterable,
    Bytes,
    Csv,
    Inbox,
    Iterable,
    JsonLines,
    Parquet,
    Stdin,
    TextLines,
    Ticks,
)
from streamflow.testing.conformance.sources import SourceSuite

NUMBERS = list(range(20))


async def numbers():
    for number in NUMBERS:
        if number % 3 == 0:
            await asyncio.sleep(0)
        yield number


async def numbers_and_silence():
    for number in NUMBERS:
        yield number
    await asyncio.Event().wait()


class TestList(SourceSuite):
    def make_source(self):
        return Iterable(NUMBERS)

    def expected(self):
        return NUMBERS


class TestFunction(TestList):
    def make_source(self):
        return Iterable(lambda: iter(NUMBERS))


class TestGenerator(TestList):
    reopens = False

    def make_source(self):
        return Iterable(number for number in NUMBERS)


class TestThread(TestList):
    def make_source(self):
        return Iterable(lambda: iter(NUMBERS), on_thread=True)


class TestAsync(TestList):
    def make_source(self):
        return AsyncIterable(numbers)

    def make_waiting_source(self):
        return AsyncIterable(numbers_and_silence), NUMBERS


class TestAsyncGenerator(TestAsync):
    reopens = False

    def make_source(self):
        return AsyncIterable(numbers())


class TestTicks(TestList):
    def make_source(self):
        return Ticks(0.5)


class TestCountedTicks(TestList):
    def make_source(self):
        return Ticks(0.5, count=20)


class TestInbox(TestList):
    reopens = False

    def make_source(self):
        inbox = Inbox(100)
        for number in NUMBERS:
            inbox.send_nowait(number)
        return inbox

    def make_waiting_source(self):
        return self.make_source(), NUMBERS

    def test_it_is_described_by_a_frozen_dataclass(self):
        pytest.skip("an inbox is the handle, too")


class TestJsonLines(TestList):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        self.file = tmp_path / "numbers.jsonl"
        self.file.write_text("".join(f"{number}\n" for number in NUMBERS))

    def make_source(self):
        return JsonLines(self.file, chunk=7)


class TestManyJsonLines(TestJsonLines):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        for k in range(4):
            text = "".join(f"{number}\n" for number in NUMBERS[5 * k : 5 * k + 5])
            (tmp_path / f"{k}.jsonl").write_text(text[: -(k % 2)] if k % 2 else text)  # some without a line end
        self.file = tmp_path / "*.jsonl"


class TestCompressedJsonLines(TestJsonLines):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        self.file = tmp_path / "numbers.jsonl.gz"
        members = [b"".join(b"%d\n" % number for number in NUMBERS[k : k + 10]) for k in (0, 10)]
        self.file.write_bytes(b"".join(map(gzip.compress, members)))


class TestTextLines(TestJsonLines):
    def make_source(self):
        return TextLines(self.file, chunk=7)

    def expected(self):
        return [str(number) for number in NUMBERS]


class TestCsv(TestJsonLines):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        self.file = tmp_path / "numbers.csv"
        self.file.write_text("n,text\n" + "".join(f'{number},"a\n{number}"\n' for number in NUMBERS))

    def make_source(self):
        return Csv(self.file, chunk=7)

    def expected(self):
        return [{"n": str(number), "text": f"a\n{number}"} for number in NUMBERS]


class TestCompressedCsv(TestCsv):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        self.file = tmp_path / "numbers.csv.xz"
        text = "n,text\n" + "".join(f'{number},"a\n{number}"\n' for number in NUMBERS)
        self.file.write_bytes(lzma.compress(text.encode()))


class TestBytes(TestJsonLines):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        self.file = tmp_path / "numbers.bin"
        self.file.write_bytes(bytes(NUMBERS))

    def make_source(self):
        return Bytes(self.file, chunk=3)

    def expected(self):
        return [bytes(NUMBERS[start : start + 3]) for start in range(0, 20, 3)]


class TestCompressedBytes(TestBytes):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        self.file = tmp_path / "numbers.bin.gz"
        self.file.write_bytes(gzip.compress(bytes(NUMBERS)))


class TestStdin(TestJsonLines):
    reopens = False

    @pytest.fixture(autouse=True)
    def input(self, path):
        with self.file.open("rb", buffering=0) as self.opened:
            yield

    def make_source(self):
        self.opened.seek(0)
        return Stdin(descriptor=self.opened.fileno(), chunk=7)


ROWS = [{"n": number, "text": f"é{number}"} for number in NUMBERS]


class TestParquet(TestJsonLines):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        self.file = tmp_path / "rows.parquet"
        pq.write_table(pa.Table.from_pylist(ROWS), self.file, row_group_size=7)

    def make_source(self):
        return Parquet(self.file, batch_rows=3)

    def expected(self):
        return ROWS


class TestParquetBatches(TestParquet):
    def make_source(self):
        return Parquet(self.file, batch_rows=3, items="batches", columns=["text"])

    def expected(self):
        table = pa.Table.from_pylist(ROWS).select(["text"])
        bounds = [(0, 3), (3, 3), (6, 1), (7, 3), (10, 3), (13, 1), (14, 3), (17, 3)]
        return [table.slice(start, rows).combine_chunks().to_batches()[0] for start, rows in bounds]


class TestManyParquets(TestParquet):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        for k in range(4):
            pq.write_table(pa.Table.from_pylist(ROWS[5 * k : 5 * k + 5]), tmp_path / f"{k}.parquet", row_group_size=3)
        self.file = tmp_path / "*.parquet"


class TestArrow(TestParquet):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        self.file = tmp_path / "rows.arrow"
        table = pa.Table.from_pylist(ROWS)
        with ipc.new_file(self.file, table.schema) as writer:
            writer.write_table(table, max_chunksize=7)

    def make_source(self):
        return Arrow(self.file, batch_rows=3)


class TestArrowStream(TestArrow):
    @pytest.fixture(autouse=True)
    def path(self, tmp_path):
        self.file = tmp_path / "rows.arrows"
        table = pa.Table.from_pylist(ROWS)
        with ipc.new_stream(self.file, table.schema) as writer:
            writer.write_table(table, max_chunksize=7)
