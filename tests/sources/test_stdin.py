import asyncio
import os
import threading

import pytest
import uvloop

from streamflow.model.errors import FlowError
from streamflow.sources.stdin import Stdin


@pytest.fixture
def pipe():
    ends = list(os.pipe())

    def close_writer():
        os.close(ends.pop())

    ends_reader = ends[0]
    yield ends_reader, ends[1], close_writer
    for end in ends:
        os.close(end)


async def lines_of(reader):
    found = []
    while (block := await reader.read(100)) is not None:
        found += block.raw()
    return found


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_comes_is_passed_on_at_once_and_the_descriptor_stays_as_it_was(pipe, loop_factory):
    reading_end, writing_end, close_writer = pipe

    async def main():
        reader = await Stdin("text", descriptor=reading_end).open()
        threads = threading.active_count()
        for text in (b"one\n", b"two\nthr"):
            waiting = asyncio.ensure_future(reader.read(100))
            await asyncio.sleep(0)
            os.write(writing_end, text)
            assert list((await waiting).raw()) == [text.partition(b"\n")[0] + b"\n"]
        waiting = asyncio.ensure_future(reader.read(100))
        await asyncio.sleep(0)
        waiting.cancel()  # loses nothing
        await asyncio.wait([waiting])
        assert threading.active_count() == threads
        os.write(writing_end, b"ee\nfour")
        close_writer()
        assert await lines_of(reader) == [b"three\n", b"four"]
        await reader.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert os.get_blocking(reading_end)


def test_a_run_that_ends_first_leaves_no_thread_in_a_read(pipe):
    async def main():
        reader = await Stdin(descriptor=pipe[0]).open()
        waiting = asyncio.ensure_future(reader.read(100))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await reader.close()

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() == before


def test_draining_a_pipe_delivers_the_lines_that_have_come(pipe):
    reading_end, writing_end, _ = pipe

    async def main():
        reader = await Stdin("text", descriptor=reading_end, chunk=4).open()
        os.write(writing_end, b"one\ntwo\nunfinished")
        found = [*(await reader.read(1)).raw()]
        assert reader.drain()
        found += await lines_of(reader)
        await reader.close()
        return found

    assert asyncio.run(main()) == [b"one\n", b"two\n"]


@pytest.mark.parametrize("data", [b"", b"one\ntwo"])
def test_a_file_or_nothing_at_all(tmp_path, data):
    path = tmp_path / "in"
    path.write_bytes(data)

    async def main(descriptor):
        reader = await Stdin("text", descriptor=descriptor).open()
        found = await lines_of(reader)
        await reader.close()
        return found

    for name, expected in ((path, data.splitlines(keepends=True)), ("/dev/null", [])):
        descriptor = os.open(name, os.O_RDONLY)
        try:
            assert asyncio.run(main(descriptor)) == expected
            os.fstat(descriptor)  # it is still open
        finally:
            os.close(descriptor)


def test_a_format_that_is_none_is_refused():
    with pytest.raises(FlowError, match="format"):
        Stdin("csv")
    assert Stdin().decode(b'{"a":1}\n') == {"a": 1}
    assert Stdin("text").decode(b"a\n") == "a"
