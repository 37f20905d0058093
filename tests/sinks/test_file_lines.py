import asyncio
import errno
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.files.local import LocalFiles
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import InlineWriter
from streamflow.model.policies import Retry
from streamflow.sinks import lines
from streamflow.sinks.json_lines import JsonLines
from streamflow.sinks.text_lines import TextLines


class FaultyFiles(LocalFiles):
    """Fail the writes whose ordinals are given, as a full disk does: after a part went out."""

    def __init__(self, *failing):
        self.failing = set(failing)
        self.writes = 0
        self.synced = []

    def create(self, path, like=None):
        return self._faulty(super().create(path, like))

    def open_to_append(self, path):
        return self._faulty(super().open_to_append(path))

    def rename(self, old, new):
        self.synced.append(("rename", os.path.basename(new)))
        super().rename(old, new)

    def _faulty(self, output):
        write, sync = output.write, output.sync

        def fail_at_times(data):
            self.writes += 1
            if self.writes in self.failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(data)

        def note():
            self.synced.append("sync")
            sync()

        output.write, output.sync = fail_at_times, note
        return output


def put_all(writer, items):
    for item in items:
        writer.put(item)


def test_records_are_whole_and_under_the_final_name_only_in_the_end(tmp_path):
    path = tmp_path / "out.jsonl"
    sink = JsonLines(path, files=FaultyFiles())

    async def main():
        writer = await sink.open(bounded=True)
        assert isinstance(writer, InlineWriter)
        assert sink.inline
        put_all(writer, [sink.encode({"n": n}) for n in range(1000)])
        assert writer.pending == sum(len(sink.encode({"n": n})) for n in range(1000))
        await writer.settle()
        assert writer.pending == 0
        await writer.flush()
        assert not path.exists()
        await writer.finish()
        await writer.close()

    before = threading.active_count(), os.listdir("/proc/self/fd")
    asyncio.run(main())
    assert (threading.active_count(), os.listdir("/proc/self/fd")) == before
    assert os.listdir(tmp_path) == ["out.jsonl"]
    assert path.read_text().splitlines() == [f'{{"n":{n}}}' for n in range(1000)]
    assert sink.files.synced == ["sync", ("rename", "out.jsonl")]


@given(st.lists(st.one_of(st.binary(max_size=20).map(lambda b: b + b"\n"), st.sampled_from(["settle", "flush"]))))
def test_any_rhythm_of_settling_keeps_the_order(tmp_path_factory, steps):
    path = tmp_path_factory.getbasetemp() / "rhythm.txt"

    async def main():
        writer = await TextLines(path).open(bounded=True)
        for step in steps:
            if isinstance(step, bytes):
                writer.put(step)
            else:
                await getattr(writer, step)()
        await writer.finish()
        await writer.close()

    asyncio.run(main())
    assert path.read_bytes() == b"".join(step for step in steps if isinstance(step, bytes))


def test_huge_records_and_small_ones_after_them(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "HIGH_WATER", 100)
    path = tmp_path / "a.txt"
    records = [b"x" * size + b"\n" for size in (10, 1000, 5, 300, 0, 2000, 1)]

    async def main():
        writer = await TextLines(path).open(bounded=True)
        for record in records:
            writer.put(record)
            await writer.settle()
        await writer.finish()
        await writer.close()

    asyncio.run(main())
    assert path.read_bytes() == b"".join(records)


@pytest.mark.parametrize("after", ["abort", "nothing"])
def test_an_unfinished_output_never_bears_the_final_name(tmp_path, after):
    path = tmp_path / "out.txt"
    path.write_text("old\n")

    async def main():
        writer = await TextLines(path).open(bounded=True)
        writer.put(b"new\n")
        await writer.flush()
        writer.put(b"more\n")
        if after == "abort":
            await writer.abort()
        await writer.close()

    asyncio.run(main())
    assert path.read_text() == "old\n"
    # A run that is suspended keeps its temporary file: it goes on with it.
    left = [name for name in os.listdir(tmp_path) if name != "out.txt"]
    assert len(left) == (after == "nothing")


def test_an_endless_flow_appends_in_place(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old\n")

    async def main(end):
        writer = await TextLines(path).open(bounded=False)
        writer.put(b"new\n")
        await writer.flush()
        assert path.read_text().endswith("new\n")
        writer.put(b"more\n")
        await getattr(writer, end)()
        await writer.close()

    asyncio.run(main("finish"))
    asyncio.run(main("abort"))
    assert path.read_text() == "old\nnew\nmore\nnew\nmore\n"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_failed_write_is_raised_kept_and_tried_again_in_order(tmp_path):
    path = tmp_path / "out.txt"

    async def main():
        writer = await TextLines(path, files=FaultyFiles(1, 2)).open(bounded=True)
        writer.put(b"one\n")
        await writer.settle()
        writer.put(b"two\n")
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                await writer.settle()
        await writer.finish()
        await writer.close()

    asyncio.run(main())
    assert path.read_text() == "one\ntwo\n"


def test_a_batch_that_fails_is_given_back_to_its_caller(tmp_path):
    path = tmp_path / "out.txt"

    async def main():
        writer = await TextLines(path, files=FaultyFiles(2)).open(bounded=True)
        await writer.write([b"one\n", b"two\n"])
        assert writer.written == 2
        with pytest.raises(OSError, match="No space"):
            await writer.write([b"three\n"])
        assert writer.written == 0
        await writer.write([b"four\n"])
        await writer.finish()
        await writer.close()

    asyncio.run(main())
    assert path.read_text() == "one\ntwo\nfour\n"


def test_a_failed_write_that_nobody_asks_about_any_more_warns_of_nothing(tmp_path):
    async def main():
        writer = await TextLines(tmp_path / "out.txt", files=FaultyFiles(1)).open(bounded=True)
        writer.put(b"one\n")
        await writer.settle()
        await writer.abort()
        await writer.close()

    asyncio.run(main())
    assert os.listdir(tmp_path) == []


def test_cancelling_while_a_write_is_at_work_loses_and_doubles_nothing(tmp_path):
    path = tmp_path / "out.txt"

    async def main():
        writer = await TextLines(path).open(bounded=True)
        for number in range(200):
            writer.put(b"%d\n" % number)
            flushing = asyncio.ensure_future(writer.flush())
            for _ in range(number % 4):
                await asyncio.sleep(0)
            flushing.cancel()
            await asyncio.wait([flushing])
        await writer.finish()
        await writer.close()

    asyncio.run(main())
    assert path.read_text().split() == [str(number) for number in range(200)]


def test_prepare_makes_durable_and_tells_the_length(tmp_path):
    files = FaultyFiles()

    async def main():
        writer = await TextLines(tmp_path / "out.txt", files=files).open(bounded=True)
        writer.put(b"one\n")
        assert (await writer.prepare(1))["length"] == 4
        assert files.synced == ["sync"]
        await writer.commit(1)
        writer.put(b"two\n")
        assert (await writer.prepare(2))["length"] == 8
        await writer.abort()
        await writer.close()

    asyncio.run(main())


def test_a_device_is_written_in_place_and_never_replaced():
    async def main():
        writer = await TextLines("/dev/null").open(bounded=True)
        writer.put(b"one\n")
        await writer.finish()
        await writer.close()

    asyncio.run(main())
    assert os.path.exists("/dev/null")
    assert not os.path.isfile("/dev/null")


def test_what_cannot_be_opened_leaves_no_thread(tmp_path):
    before = threading.active_count()
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        asyncio.run(TextLines(tmp_path / "no" / "a.txt").open(bounded=True))
    with pytest.raises(IsADirectoryError):
        asyncio.run(TextLines(tmp_path).open(bounded=False))
    assert threading.active_count() == before


def test_a_cancelled_open_leaves_nothing(tmp_path):
    async def main():
        for turns in range(8):
            opening = asyncio.ensure_future(TextLines(tmp_path / "a.txt").open(bounded=True))
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            try:
                writer = await opening
            except asyncio.CancelledError:
                continue
            await writer.abort()
            await writer.close()

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() == before
    assert os.listdir(tmp_path) == []


def test_options_are_carried_and_checked():
    sink = JsonLines("a.jsonl", on_error="skip", max_failures=3, retry=Retry())
    assert (sink.errors.on_error, sink.errors.max_failures, sink.retry) == ("skip", 3, Retry())
    assert sink.path == sink.label == "a.jsonl"
    with pytest.raises(FlowError):
        JsonLines("a.jsonl", max_failures=3)
    with pytest.raises(FlowError):
        TextLines("a.txt", encoding="utf-16")
    with pytest.raises(FlowError):
        TextLines("")
