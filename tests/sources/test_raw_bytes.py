"""Bytes in chunks: nothing between them, nothing lost, each at its offset."""

from __future__ import annotations

import array
import asyncio
import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.sources.raw_bytes import ChunkBlock
from streamflow.testing import check_leaks, run


@settings(max_examples=60)
@given(content=st.binary(max_size=300), chunk=st.integers(1, 120), suffix=st.sampled_from(["", ".gz", ".xz"]))
def test_chunks_are_whole_but_the_last(
    content: bytes, chunk: int, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"x.bin{suffix}"
    sf.flow([content]).to(path).run_sync()
    found = list(sf.flow(sf.sources.Bytes(path, chunk=chunk)))
    assert found == [content[start : start + chunk] for start in range(0, len(content), chunk)]


@given(content=st.binary(min_size=1, max_size=50), chunk=st.integers(1, 60))
def test_a_block_tells_the_offset_of_each_chunk(content: bytes, chunk: int) -> None:
    block = ChunkBlock(content, chunk, "x", 1000)
    raw, offset = block.raw(), 1000
    for index in range(len(block)):
        assert block.position(index) == sf.Position("x", offset=offset)
        assert block.consumed(raw) == index
        offset += len(next(raw))
    assert next(raw, None) is None
    assert block.position(len(block)).offset == offset == 1000 + len(content)


def test_chunks_larger_than_a_read_and_a_file_that_is_no_multiple(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    content = os.urandom((5 << 20) + 7)
    path.write_bytes(content)
    found = list(sf.flow(sf.sources.Bytes(path, chunk=3 << 20)))
    assert [len(one) for one in found] == [3 << 20, (2 << 20) + 7]
    assert b"".join(found) == content


def test_a_failure_names_the_offset(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"aabbXXdd")
    letters: list[sf.DeadLetter] = []
    flow = sf.flow(sf.sources.Bytes(path, chunk=2)).map(bytes.decode).map(refuse, on_error=sf.dead_letter(letters))
    assert list(flow) == ["aa", "bb", "dd"]
    assert letters[0].position == sf.Position(str(path), offset=4)


def refuse(text: str) -> str:
    if text == "XX":
        raise ValueError(text)
    return text


def test_several_files_are_one_after_the_other_and_no_chunk_spans_two(tmp_path: Path) -> None:
    for name, content in (("a.bin", b"12345"), ("b.bin", b""), ("c.bin", b"678")):
        (tmp_path / name).write_bytes(content)
    assert list(sf.flow(sf.sources.Bytes(tmp_path / "*.bin", chunk=2))) == [b"12", b"34", b"5", b"67", b"8"]


def test_a_pipe_gives_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "pipe.bin"
    os.mkfifo(path)

    async def main() -> None:
        with check_leaks(tmp_path):
            reader = await sf.sources.Bytes(path, chunk=100).open()
            writer = os.open(path, os.O_WRONLY)
            os.write(writer, b"abc")
            assert [*(await reader.read(9)).raw()] == [b"abc"]
            reading = asyncio.create_task(reader.read(9))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not reading.done()
            os.close(writer)
            assert await reading is None
            with pytest.raises(sf.RecordError):
                await reader.seek(reader.position())
            await reader.close()

    run(main)


def test_damage_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.bin.gz"
    path.write_bytes(gzip.compress(os.urandom(100_000))[:-20_000])
    with pytest.raises(OSError, match=r"x\.bin\.gz: gzip data that is damaged or cut off, after"):
        list(sf.flow(path))


@pytest.mark.parametrize(
    "item",
    [b"abcdefgh", bytearray(b"abcdefgh"), memoryview(b"abcdefgh"), array.array("B", b"abcdefgh"),
     np.frombuffer(b"abcdefgh", dtype=np.int32), np.frombuffer(b"abcdefgh", dtype=np.uint8).reshape(2, 4)],
    ids=lambda item: type(item).__name__,
)  # fmt: skip
def test_whatever_lies_in_memory_is_written(item: object, tmp_path: Path) -> None:
    sf.flow([item, b"", np.array([], dtype=np.float64), item]).to(tmp_path / "x.bin").run_sync()
    assert (tmp_path / "x.bin").read_bytes() == b"abcdefgh" * 2


def test_an_array_with_gaps_is_written_without_them(tmp_path: Path) -> None:
    sf.flow([np.arange(6, dtype=np.uint8)[::2], memoryview(b"abcdef")[::3]]).to(tmp_path / "x.bin").run_sync()
    assert (tmp_path / "x.bin").read_bytes() == b"\x00\x02\x04ad"


@pytest.mark.parametrize("item", ["text", 7, {"a": 1}, None, np.array([None])], ids=repr)
def test_what_are_no_bytes_is_a_bad_item_and_its_neighbours_are_kept(item: object, tmp_path: Path) -> None:
    letters: list[sf.DeadLetter] = []
    sink = sf.sinks.Bytes(tmp_path / "x.bin", on_error=sf.dead_letter(letters))
    sf.flow([b"1", item, b"2"]).to(sink).run_sync()
    assert (tmp_path / "x.bin").read_bytes() == b"12"
    assert letters[0].item is item
    with pytest.raises(TypeError, match=r"in a \.map"):
        sf.flow([item]).to(tmp_path / "y.bin").run_sync()
    assert not (tmp_path / "y.bin").exists()


def test_what_is_appended_to_has_nothing_put_between(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"no line end")

    async def main() -> None:
        inbox: sf.Inbox[bytes] = sf.inbox(5)
        async with sf.flow(inbox).to(path).start() as handle:
            await inbox.send(b"|more")
            await handle.drain()

    run(main)
    assert path.read_bytes() == b"no line end|more"


@pytest.mark.parametrize("chunk", [0, -1, 1.5, True, "1MiB"])
def test_a_chunk_is_a_number_of_bytes(chunk: object) -> None:
    with pytest.raises(sf.FlowError, match="chunk"):
        sf.sources.Bytes("x.bin", chunk=chunk)
