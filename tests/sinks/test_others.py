import asyncio
import functools
import os
import subprocess
import sys

import pytest

from streamflow.model.errors import FlowError
from streamflow.model.interfaces import InlineWriter
from streamflow.sinks import CallableSink, JsonLines, ListSink, Null, Stdout, TextLines, resolve


async def write(sink, *items):
    writer = await sink.open(bounded=True)
    await writer.write([item if sink.encode is None else sink.encode(item) for item in items])
    await writer.finish()
    await writer.close()
    return writer


def test_a_list_collects():
    target = [0]
    writer = asyncio.run(write(ListSink(target), 1, 2))
    assert target == [0, 1, 2]
    assert writer.put == target.append


def test_nothing_takes_everything():
    writer = asyncio.run(write(Null(), 1, 2))
    assert writer.put(3) is None
    assert writer.pending == 0


def test_a_function_is_put_itself():
    seen = []
    sink = CallableSink(seen.append)
    writer = asyncio.run(write(sink, 1, 2))
    assert isinstance(writer, InlineWriter)
    assert writer.put == seen.append
    assert sink.inline
    assert seen == [1, 2]


class Async:
    def __init__(self):
        self.seen = []

    async def __call__(self, item):
        await asyncio.sleep(0)
        if item == "bad":
            raise KeyError(item)
        self.seen.append(item)


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: f.__call__, functools.partial])
def test_an_async_function_is_awaited_in_order_and_says_how_far_it_came(wrap):
    target = Async()
    sink = CallableSink(wrap(target))
    assert not sink.inline

    async def main():
        writer = await sink.open(bounded=True)
        assert not isinstance(writer, InlineWriter)
        with pytest.raises(KeyError):
            await writer.write([1, 2, "bad", 3])
        assert writer.written == 2
        await writer.close()

    asyncio.run(main())
    assert target.seen == [1, 2]


def test_what_cannot_be_called_is_refused_when_described():
    with pytest.raises(FlowError, match="callable"):
        CallableSink(5)


def test_standard_output_as_python_sees_it(capsys):
    asyncio.run(write(Stdout(), "text", {"a": 1}, 2))
    assert capsys.readouterr().out == 'text\n{"a":1}\n2\n'


def test_standard_output_as_a_descriptor(capfd):
    print("before")
    asyncio.run(write(Stdout("jsonl"), "text", {"a": 1}))
    print("after")
    sys.stdout.flush()
    assert capfd.readouterr().out == 'before\n"text"\n{"a":1}\nafter\n'


def test_a_reader_that_goes_away_is_a_broken_pipe():
    code = """
import asyncio, os, sys
from streamflow.sinks import Stdout
async def main():
    writer = await Stdout().open(bounded=False)
    try:
        while True:
            writer.put(b"x" * 1000 + b"\\n")
            await writer.flush()
    except BrokenPipeError as error:
        print(error.errno, file=sys.stderr)
        await writer.abort()
        await writer.close()
asyncio.run(main())
os._exit(0)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=os.getcwd()
    ) as process:
        assert process.stdout.readline() == "x" * 1000 + "\n"
        process.stdout.close()
        assert process.stderr.read().strip() == "32"
        assert process.wait() == 0


def test_formats():
    with pytest.raises(FlowError, match="format"):
        Stdout("csv")
    assert Stdout("text").encode("a") == b"a\n"


@pytest.mark.parametrize(
    ("text", "sink"),
    [
        ("-", Stdout()),
        ("a.jsonl", JsonLines("a.jsonl")),
        ("a.ndjson", JsonLines("a.ndjson")),
        ("a.txt", TextLines("a.txt")),
    ],
)
def test_a_text_names_a_sink(text, sink):
    assert resolve(text) == sink


def test_an_unknown_text_is_told_what_is_known():
    with pytest.raises(FlowError, match=r"names no sink.*\.jsonl"):
        resolve("a.jsnl")
