"""The cutter against the obvious model: `data.split(b"\\n")`."""

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamflow.model.errors import FlowError
from streamflow.sources.json_lines import JsonLines
from streamflow.sources.lines import LineCutter


def model(data: bytes, longest: int) -> list[tuple[bytes | None, int, int]]:
    """Return (line or None if too long, line number, offset) of all lines."""
    offset, found = 0, []
    pieces = data.split(b"\n")
    for number, piece in enumerate(pieces, 1):
        last = number == len(pieces)
        if last and not piece:
            break
        found.append((None if len(piece) > longest else piece + b"\n" * (not last), number, offset))
        offset += len(piece) + 1
    return found


def cut_all(blocks, chunk: int, longest: int):
    cutter = LineCutter("x", chunk, longest)
    found = []
    buffer = bytearray(max(map(len, blocks), default=0))

    def take(block):
        places = [block.position(index) for index in range(len(block) + 1)]
        raw = block.raw()
        for index, line in enumerate(raw):
            assert block.consumed(raw) == index + 1
            found.append((line, places[index].line, places[index].offset))
        assert block.consumed(raw) == len(block)
        if block.broken is not None:
            assert len(block.broken.record) <= 200
            found.append((None, places[-1].line, places[-1].offset))

    for piece in blocks:
        buffer[: len(piece)] = piece  # recycled, as the reader does it
        cutter.feed(buffer, len(piece))
        while (block := cutter.cut()) is not None:
            assert (cutter.line, cutter.offset) >= (block.position(0).line, block.position(0).offset)
            take(block)
        buffer[:] = b"\xee" * len(buffer)
    if (block := cutter.finish()) is not None:
        take(block)
    assert cutter.cut() is None
    return found


@st.composite
def splits(draw):
    chunk = draw(st.integers(1, 12))
    longest = draw(st.integers(1, 16))
    near = st.sampled_from(sorted({0, 1, chunk - 1, chunk, chunk + 1, longest - 1, longest, longest + 1, 40}))
    lines = draw(st.lists(st.tuples(near, st.sampled_from([b"\n", b"\r\n"])), max_size=12))
    data = b"".join(bytes([97 + size % 26]) * size + end for size, end in lines)
    if draw(st.booleans()):
        data = data[:-1]  # no final newline
    borders = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    blocks = [data[a:b] for a, b in zip([0, *borders], [*borders, len(data)], strict=True)]
    return chunk, longest, data, [block for block in blocks if block]


@given(splits())
@example((4, 8, b"", []))
@example((4, 8, b"a", [b"a"]))
@example((1, 1, b"\n\n", [b"\n\n"]))
def test_any_blocks_give_the_lines_of_the_whole(case):
    chunk, longest, data, blocks = case
    assert cut_all(blocks, chunk, longest) == model(data, longest)


@given(splits())
def test_a_byte_order_mark_is_passed_over_wherever_the_first_blocks_end(case):
    chunk, longest, data, _ = case
    marked = b"\xef\xbb\xbf" + data
    blocks = [marked[:1], marked[1:2], marked[2:5], marked[5:]]
    blocks = [block for block in blocks if block]
    lines = [line for line, _, _ in cut_all(blocks, chunk, longest + 64)]
    assert lines == [line for line, _, _ in model(data, longest + 64)]


def write(path, data: bytes):
    path.write_bytes(data)
    return path


async def read_all(source):
    reader = await source.open()
    blocks = []
    try:
        while (block := await reader.read(100)) is not None:
            blocks.append(block)
    finally:
        await reader.close()
    return blocks


@given(st.lists(st.integers(0, 3000), max_size=60), st.integers(1, 4096), st.booleans())
def test_a_file_gives_its_lines(tmp_path_factory, sizes, chunk, unfinished):
    data = b"".join(b"x" * size + b"\n" for size in sizes)
    data = data[:-1] if unfinished else data
    path = write(tmp_path_factory.getbasetemp() / "lines.jsonl", data)
    blocks = asyncio.run(read_all(JsonLines(path, chunk=chunk)))
    assert b"".join(line for block in blocks for line in block.raw()) == data
    assert sum(map(len, blocks)) == len(model(data, 1 << 20))


def test_a_file_of_several_blocks_is_read_with_right_positions(tmp_path):
    lines = [b"%d" % number * (number % 97) + b"\n" for number in range(60_000)]
    path = write(tmp_path / "big.jsonl", b"".join(lines))
    assert path.stat().st_size > 5 << 20
    number = offset = 0
    for block in asyncio.run(read_all(JsonLines(path))):
        place = block.position(0)
        assert (place.line, place.offset) == (number + 1, offset)
        for line in block.raw():
            assert line == lines[number]
            number += 1
            offset += len(line)
    assert number == len(lines)


def test_reading_goes_on_from_a_position_of_an_earlier_reader(tmp_path):
    lines = [b"%d\n" % number for number in range(300_000)]
    source = JsonLines(write(tmp_path / "a.jsonl", b"".join(lines)))

    async def main():
        first = await source.open()
        seen = []
        for _ in range(3):
            seen += (await first.read(1)).raw()
        place = first.position()
        await first.close()
        second = await source.open()
        await second.read(1)
        await second.seek(place)
        assert second.position() == place
        while (block := await second.read(1)) is not None:
            assert block.position(0).line == len(seen) + 1
            seen += block.raw()
        await second.close()
        return seen

    assert asyncio.run(main()) == lines


def test_cancelling_a_read_loses_nothing(tmp_path):
    lines = [b"%d\n" % number for number in range(400_000)]
    source = JsonLines(write(tmp_path / "a.jsonl", b"".join(lines)))

    async def main():
        reader = await source.open()
        seen, ended, turns = [], False, 0
        while not ended:
            reading = asyncio.ensure_future(reader.read(1))
            for _ in range(turns % 4):
                await asyncio.sleep(0)
            turns += 1
            reading.cancel()
            try:
                block = await reading
            except asyncio.CancelledError:
                block = await reader.read(1)
            ended = block is None
            seen += [] if ended else block.raw()
        await reader.close()
        return seen

    assert asyncio.run(main()) == lines


@pytest.mark.parametrize(("data", "count"), [(b"", 0), (b"\xef\xbb\xbf", 0), (b"\n", 1), (b"{}", 1), (b"{}\r\n", 1)])
def test_small_files(tmp_path, data, count):
    blocks = asyncio.run(read_all(JsonLines(write(tmp_path / "a.jsonl", data))))
    assert sum(map(len, blocks)) == count


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path):
    write(tmp_path / "events.jsonl", b"")
    with pytest.raises(FileNotFoundError, match=r"did you mean 'events\.jsonl'"):
        asyncio.run(read_all(JsonLines(tmp_path / "event.jsonl")))
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        asyncio.run(read_all(JsonLines(tmp_path / "no" / "event.jsonl")))
    with pytest.raises(IsADirectoryError, match="directory"):
        asyncio.run(read_all(JsonLines(tmp_path)))


@pytest.mark.parametrize("options", [{"chunk": 0}, {"max_line_bytes": 0}, {"on_error": "ignore"}, {"max_failures": 3}])
def test_options_without_sense_are_refused_when_described(options):
    with pytest.raises(FlowError):
        JsonLines("a.jsonl", **options)
    with pytest.raises(FlowError):
        JsonLines("")


def test_the_memory_does_not_follow_a_line_of_200_mb(tmp_path):
    psutil = pytest.importorskip("psutil")
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as file:
        file.write(b'{"first":1}\n')
        file.truncate(200 << 20)  # sparse
        file.seek(0, 2)
        file.write(b'\n{"last":1}\n')

    async def main():
        memory = psutil.Process().memory_info
        reader = await JsonLines(path).open()
        before, most, seen = memory().rss, 0, []
        while (block := await reader.read(1)) is not None:
            most = max(most, memory().rss)
            seen += block.raw()
            if block.broken is not None:
                assert f"{(200 << 20) - 12:,} bytes" in str(block.broken)
                seen.append(block.position(len(block)))
        await reader.close()
        return most - before, seen

    grown, seen = asyncio.run(main())
    assert seen[0] == b'{"first":1}\n'
    assert (seen[1].line, seen[1].offset) == (2, 12)
    assert seen[2] == b'{"last":1}\n'
    assert grown < 12 << 20
