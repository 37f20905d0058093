"""Any bytes, cut into any blocks: no crash, no lost line, and the same whatever the cuts."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.files.decompression import CompressedInput, UnreadableContent
from streamflow.files.file_system import InputFile
from streamflow.model.errors import RecordError
from streamflow.sources.lines import Blocks
from tests.bad_input.inputs import COMPRESS, INPUTS, SUFFIX
from tests.bad_input.model import Expected, decompressed, expected

SEEDS = [content[:2000] for _, _, content in INPUTS]
#: Pieces that mean something to one decoder or another, and bytes that mean nothing.
PIECES = st.one_of(
    st.sampled_from(
        [b"\n", b"\r\n", b"\r", b'"', b'""', b",", b"\t", b"1", b"[", b"]", b'{"a":', b"}", b"null", b"\0"]
    ),
    st.sampled_from([b"\xef\xbb\xbf", b"\xff", b"\xc3", b"\xc3\xa9", b"\\", b"\\u", b"d800", b"NaN", b"e999", b" "]),
    st.binary(max_size=5),
)
CONTENT = st.one_of(st.lists(PIECES, max_size=60).map(b"".join), st.binary(max_size=300), st.sampled_from(SEEDS))
CUTS = st.lists(st.integers(0, 400), max_size=20)

OFTEN = settings(max_examples=150)
NIGHTLY = settings(max_examples=20_000)


class Given(Blocks):
    """Give blocks that were cut beforehand."""

    def __init__(self, content: bytes, cuts: Sequence[int]) -> None:
        places = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
        self._blocks = [content[a:b] for a, b in pairwise(places)]

    async def next(self) -> tuple[bytes, int]:
        block = self._blocks.pop(0) if self._blocks else b""
        return block, len(block)


SOURCES: dict[str, Any] = {".jsonl": sf.sources.JsonLines, ".txt": sf.sources.TextLines, ".csv": sf.sources.Csv}


def decoded(suffix: str, content: bytes, cuts: Sequence[int], **options: Any) -> list[tuple[Any, ...]]:
    """Return each record with its place: what it is, or that it is bad."""
    source = SOURCES[suffix](f"in{suffix}", **options)
    return asyncio.run(_read(source, Given(content, cuts)))


async def _read(source: Any, blocks: Blocks) -> list[tuple[Any, ...]]:
    reader = source.reader(blocks)
    found: list[tuple[Any, ...]] = []
    while True:
        try:
            block = await reader.read(100)
        except RecordError as error:
            return [*found, ("fatal", str(error))]
        if block is None:
            return found
        records = list(block.raw())
        assert len(block) == len(records)
        for index, raw in enumerate(records):
            place = block.position(index)
            try:
                if isinstance(raw, bytes) and source.label == "in.jsonl" and not raw.strip():
                    continue
                found.append((place.line, place.offset, repr(source.decode(raw))))
            except ValueError:
                found.append((place.line, place.offset, "bad"))
        if block.broken is not None:
            place = block.position(len(records))
            found.append((place.line, place.offset, "bad"))


def wanted(found: list[tuple[Any, ...]]) -> tuple[list[str], list[tuple[int, int]]]:
    return [one[2] for one in found if one[2] != "bad"], [one[:2] for one in found if one[2] == "bad"]


def by_model(model: Expected) -> tuple[list[str], list[tuple[int, int]]]:
    return [repr(item) for item in model.good], [(bad.line, bad.offset) for bad in model.bad]


def lines_do_as_the_model(suffix: str, content: bytes, cuts: list[int], chunk: int) -> None:
    found = decoded(suffix, content, cuts, chunk=chunk)
    assert found == decoded(suffix, content, [])
    good, bad = wanted(found)
    assert (good, bad) == by_model(expected(suffix, content))


def rows_do_as_the_model(rows: list[Any], line_end: str, cuts: list[int], chunk: int) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerow(["a", "b"])
    for row in rows:
        if isinstance(row, str):
            text.write(row + line_end)
        else:
            writer.writerow(row)
    content = text.getvalue().encode(errors="surrogateescape")
    found = decoded(".csv", content, cuts, chunk=chunk)
    assert wanted(found) == by_model(expected(".csv", content))


def any_bytes_are_rows(content: bytes, cuts: list[int], chunk: int) -> None:
    found = decoded(".csv", content, cuts, chunk=chunk, max_line_bytes=100)
    if found and found[-1][0] == "fatal":
        assert "the header" in found.pop()[1]
    places = [one[:2] for one in found]
    assert places == sorted(set(places))


def damage_is_told(method: Any, parts: list[bytes], harm: list[tuple[int, int, bytes]], sizes: list[int]) -> None:
    data = b"".join(map(COMPRESS[method], parts))
    for at, gone, new in harm:
        at %= len(data) + 1
        data = data[:at] + new + data[at + gone :]
    content, whole = decompressed(method, data)
    found, told = _content(method, data, sizes)
    assert told == (not whole)
    if whole or data == b"".join(map(COMPRESS[method], parts))[: len(data)]:
        assert found == content  # cut off or whole: all that there is
    else:
        assert content.startswith(found)  # what cannot be trusted is not given, or it is as others read it
    assert (found, told) == _content(method, data, [1 << 20])


class Held(InputFile):
    """Be a file in memory that gives as much as it likes."""

    def __init__(self, data: bytes, most: int) -> None:
        self._file = io.BytesIO(data)
        self._most = most

    def read_into(self, buffer: bytearray) -> int:
        block = self._file.read(min(len(buffer), self._most))
        buffer[: len(block)] = block
        return len(block)

    def seek(self, offset: int) -> None:
        self._file.seek(offset)

    def close(self) -> None:
        self._file.close()


def _content(method: Any, data: bytes, sizes: list[int]) -> tuple[bytes, bool]:
    file = CompressedInput(Held(data, sizes[0]), method, "in")
    found, turn = b"", 0
    while True:
        buffer = bytearray(sizes[turn % len(sizes)])
        turn += 1
        try:
            count = file.read_into(buffer)
        except UnreadableContent:
            with pytest.raises(UnreadableContent):
                file.read_into(buffer)  # and again
            return found, True
        if not count:
            return found, False
        found += buffer[:count]


LINES = {
    "suffix": st.sampled_from([".jsonl", ".txt"]),
    "content": CONTENT,
    "cuts": CUTS,
    "chunk": st.integers(1, 100),
}
ROW = st.one_of(
    st.lists(st.text(st.sampled_from('ab,"\n\r \0é\udcff'), max_size=5), min_size=1, max_size=3),
    st.sampled_from(["", "x", "1,2", "1,2,3", "\udcff,\udcfe", ","]),
)
ROWS = {
    "rows": st.lists(ROW, max_size=12),
    "line_end": st.sampled_from(["\n", "\r\n"]),
    "cuts": CUTS,
    "chunk": st.integers(1, 100),
}
BYTES = {"content": CONTENT, "cuts": CUTS, "chunk": st.integers(1, 100)}
DAMAGED = {
    "method": st.sampled_from(sorted(SUFFIX)),
    "parts": st.lists(st.one_of(st.binary(max_size=200), st.just(b"abc\n" * 5_000)), min_size=1, max_size=3),
    "harm": st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400), st.binary(max_size=3)), max_size=2),
    "sizes": st.lists(st.integers(1, 5_000), min_size=1, max_size=4),
}

test_lines = OFTEN(given(**LINES)(lines_do_as_the_model))
test_rows = OFTEN(given(**ROWS)(rows_do_as_the_model))
test_any_bytes_as_rows = OFTEN(given(**BYTES)(any_bytes_are_rows))
test_damage = OFTEN(given(**DAMAGED)(damage_is_told))


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("strategies", "holds"),
    [
        (LINES, lines_do_as_the_model),
        (ROWS, rows_do_as_the_model),
        (BYTES, any_bytes_are_rows),
        (DAMAGED, damage_is_told),
    ],
)
def test_for_long(strategies: dict[str, Any], holds: Any) -> None:
    NIGHTLY(given(**strategies)(holds))()
