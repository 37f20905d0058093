"""Compressed files against Python's own readers and writers, whole, damaged and interrupted."""

from __future__ import annotations

import errno
import gzip
import lzma
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.files.compression import CompressedOutput, method_of, without_suffix
from streamflow.files.decompression import CompressedInput
from streamflow.files.local import LOCAL
from streamflow.testing import Fault, SimulatedDisk, run

zstandard = pytest.importorskip("zstandard", reason="the extra zstd is not installed")

METHODS: dict[str, Any] = {
    "gzip": (".gz", gzip.compress, gzip.decompress),
    "xz": (".xz", lzma.compress, lzma.decompress),
    "zstd": (
        ".zst",
        lambda data: zstandard.ZstdCompressor().compress(data),
        lambda data: zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read(),
    ),
}


def content_of(path: Path, method: Any, buffer: int = 1000) -> bytes:
    file = CompressedInput(LOCAL.open_to_read(str(path)), method, str(path))
    found, block = b"", bytearray(buffer)
    while count := file.read_into(block):
        found += block[:count]
    file.close()
    return found


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(parts=st.lists(st.binary(max_size=3000), min_size=1, max_size=5), buffer=st.sampled_from([1, 7, 1000, 1 << 20]))
def test_what_others_have_written_is_read_member_by_member(
    method: str, parts: list[bytes], buffer: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("in") / "data"
    path.write_bytes(b"".join(METHODS[method][1](part) for part in parts))
    assert content_of(path, method, buffer) == b"".join(parts)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prompt", [False, True])
@settings(max_examples=20)
@given(parts=st.lists(st.tuples(st.binary(min_size=1, max_size=3000), st.booleans()), max_size=6))
def test_what_is_written_is_read_by_others(
    method: Any, prompt: bool, parts: list[tuple[bytes, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("out") / "data"
    file = CompressedOutput(LOCAL.create(str(path)), method, prompt=prompt)
    written = b""
    for part, sync in parts:
        file.write(memoryview(part))
        written += part
        if sync:
            file.sync()
        if sync or prompt:
            assert METHODS[method][2](path.read_bytes()) == written  # what is out by now can be read by itself
            assert file.length == path.stat().st_size
    file.sync()
    file.close()
    assert not parts or METHODS[method][2](path.read_bytes()) == written


@pytest.mark.parametrize("method", METHODS)
def test_a_write_that_fails_and_is_tried_again_comes_out_once(method: Any, tmp_path: Path) -> None:
    inner = LOCAL.create(str(tmp_path / "data"))
    failing = [True]

    class Full(type(inner)):  # type: ignore[misc]
        def write(self, data: memoryview) -> None:
            if failing and failing.pop():
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(data)

    inner.__class__ = Full
    file = CompressedOutput(inner, method, prompt=True)
    with pytest.raises(OSError, match="No space left"):
        file.write(memoryview(b"one"))
    file.write(memoryview(b"one"))
    file.write(memoryview(b"two"))
    failing.append(True)
    file.sync()
    file.close()
    assert METHODS[method][2]((tmp_path / "data").read_bytes()) == b"onetwo"


@pytest.mark.parametrize("method", METHODS)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["write", "sync"]), st.integers(0, 2)), max_size=12), again=st.booleans()
)
def test_a_sync_that_finds_no_room_loses_nothing_whether_it_is_tried_again_or_not(
    method: Any, steps: list[tuple[str, int]], again: bool
) -> None:
    """A write that has failed is tried again, as whoever keeps what it was given does."""
    disk, expected = SimulatedDisk(folders=["/d"]), b""
    output = CompressedOutput(disk.create("/d/a"), method, prompt=False)
    for what, fails in [*steps, ("sync", 0)]:
        disk.faults = [Fault(first=disk.operations + 1, times=fails, error=errno.ENOSPC, only=("write",))]
        data = random.Random(len(expected)).randbytes(20_000)
        while True:
            try:
                output.write(memoryview(data)) if what == "write" else output.sync()
            except OSError:
                if what == "sync" and not again:
                    break
            else:
                expected += data if what == "write" else b""
                break
    assert METHODS[method][2](disk.files()["/d/a"]) == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("harm", ["cut", "flipped", "not compressed at all"])
def test_damage_is_told_with_the_place(method: Any, harm: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.jsonl{METHODS[method][0]}"
    whole = METHODS[method][1](b"".join(b'{"n": %d}\n' % n for n in range(5_000)))
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:middle],
            "flipped": whole[:middle] + bytes([whole[middle] ^ 255]) * 8 + whole[middle + 8 :],
            "not compressed at all": b'{"n": 1}\n',
        }[harm]
    )
    out: list[Any] = []
    with pytest.raises((sf.RecordError, ValueError)) as caught:
        sf.flow(path).to(out).run_sync()
    if harm != "flipped":  # where that may be seen only by what it has done to a record
        assert f"{method} data that is damaged or cut off" in str(caught.value)
        assert str(path) in str(caught.value)
        assert out == [{"n": n} for n in range(len(out))]  # what came before is good


@pytest.mark.parametrize("method", ["gzip", "zstd"])
def test_content_is_given_though_its_checksum_is_wrong(method: Any, tmp_path: Path) -> None:
    content = b"".join(b'{"n": %d}\n' % n for n in range(20_000))
    if method == "gzip":
        whole = gzip.compress(content)
        whole = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
    else:
        whole = zstandard.ZstdCompressor(write_checksum=True).compress(content)
        whole = whole[:-1] + bytes([whole[-1] ^ 1])
    path = tmp_path / f"in.jsonl{METHODS[method][0]}"
    path.write_bytes(whole)
    out: list[Any] = []
    bad: list[Any] = []
    sf.flow(sf.sources.JsonLines(path, on_error=sf.dead_letter(bad))).to(out).run_sync()
    assert out == [{"n": n} for n in range(20_000)]
    assert [f"after {len(content):,} bytes of content" in letter.message for letter in bad] == [True]


@pytest.mark.parametrize("there", METHODS)
@pytest.mark.parametrize("back", METHODS)
def test_a_flow_goes_by_the_suffixes(there: str, back: str, tmp_path: Path) -> None:
    source, sink = tmp_path / f"in.jsonl{METHODS[there][0]}", tmp_path / f"out.jsonl{METHODS[back][0]}"
    source.write_bytes(METHODS[there][1](b"".join(b'{"n": %d}\n' % n for n in range(3_000))))
    report = sf.flow(source).filter(lambda row: row["n"] % 2).to(sink).run_sync()
    assert report.items_in == 3_000
    lines = METHODS[back][2](sink.read_bytes()).splitlines()
    assert lines == [b'{"n":%d}' % n for n in range(1, 3_000, 2)]
    assert [path.name for path in tmp_path.iterdir()].sort() == [source.name, sink.name].sort()


@pytest.mark.parametrize("method", METHODS)
def test_positions_are_those_of_the_content_and_can_be_sought(method: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.jsonl{METHODS[method][0]}"
    lines = [b'{"n": %d}\n' % n for n in range(2_000)]
    path.write_bytes(METHODS[method][1](b"".join([*lines[:1_500], b"broken\n", *lines[1_500:]])))
    letters: list[sf.DeadLetter] = []
    sf.flow(sf.sources.JsonLines(path, on_error=sf.dead_letter(letters))).to(None).run_sync()
    [letter] = letters
    assert letter.position == sf.Position(str(path), line=1_501, offset=sum(map(len, lines[:1_500])))

    async def from_the_middle() -> list[Any]:
        reader = await sf.sources.JsonLines(path).open()
        await reader.seek(sf.Position(str(path), line=1_001, offset=sum(map(len, lines[:1_000]))))
        block = await reader.read(100)
        found = list(block.raw())
        await reader.close()
        return found

    assert run(from_the_middle)[:2] == lines[1_000:1_002]


def test_what_is_appended_forever_can_be_read_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl.gz"

    async def main() -> None:
        for start in (0, 3):
            inbox: sf.Inbox[int] = sf.inbox(10)
            async with sf.flow(inbox).to(path).start() as handle:
                for n in range(start, start + 3):
                    await inbox.send(n)
                await handle.drain()

    run(main)
    assert gzip.decompress(path.read_bytes()) == b"0\n1\n2\n3\n4\n5\n"


def test_a_method_that_there_is_not_is_told_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(sf.FlowError, match="expected 'auto', 'gzip', 'zstd', 'xz' or None"):
        sf.sources.JsonLines("a.jsonl", compression="brotli")
    assert method_of("a.jsonl.GZ", "auto") == "gzip"
    assert method_of("a.jsonl.gz", None) is None
    assert without_suffix("a.csv.zst") == "a.csv"
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    for end in (sf.sources.JsonLines, sf.sinks.TextLines):
        with pytest.raises(sf.FlowError, match=r"streamflow-engine\[zstd\]"):
            end("a.jsonl.zst")
