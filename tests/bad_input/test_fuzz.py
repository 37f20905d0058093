"""Any bytes at all: no crash, no good line lost, and the same result however the file is cut into chunks."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf

GOOD = st.integers(0, 10**6).map(lambda n: b'{"good":%d}' % n)
JSON_LIKE = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"', b":", b",", b"1", b"-", b"e", b"null", b"\\u", b"\xff", b"\x00", b" "]
    )
).map(b"".join)
GARBAGE = st.one_of(st.binary(max_size=40), JSON_LIKE, st.sampled_from([b"", b"\r", b"\xef\xbb\xbf"]))
ENDS = st.sampled_from([b"\n", b"\r\n"])
LINES = st.lists(st.tuples(st.one_of(GOOD, GARBAGE), ENDS), max_size=30)
CHUNKS = st.sampled_from([1, 2, 3, 7, 64, 1 << 16])

LESS = settings(max_examples=150)
MORE = settings(max_examples=20_000)


def read(source: Any) -> tuple[list[Any], int]:
    """Return the good items, and how many records were bad."""
    kept: list[Any] = []
    report = sf.flow(source).to(kept).run_sync()
    return kept, report.failed


def no_good_line_is_lost(path: Path, lines: list[tuple[bytes, bytes]], chunk: int) -> None:
    path.write_bytes(b"".join(line + end for line, end in lines))
    kept, failed = read(sf.sources.JsonLines(path, on_error="skip", chunk=chunk))
    assert (kept, failed) == read(sf.sources.JsonLines(path, on_error="skip"))
    good = [json.loads(line) for line, _ in lines if line.startswith(b'{"good":') and line.endswith(b"}")]
    assert [item for item in kept if isinstance(item, dict) and "good" in item] == good


def any_rows_come_out_the_same(path: Path, content: bytes, chunk: int) -> None:
    path.write_bytes(content)
    for header in (False, ["a", "b"]):
        options: Any = {"header": header, "on_error": "skip"}
        whole = read(sf.sources.Csv(path, **options))
        assert read(sf.sources.Csv(path, chunk=chunk, **options)) == whole


CODECS = {"gz": gzip.compress, "xz": lzma.compress, "zst": zstandard.ZstdCompressor(write_checksum=True).compress}
CONTENT = b"".join(b'{"n":%d}\n' % n for n in range(3_000))


def damage_is_a_bad_record(path: Path, suffix: str, at: int, bytes_there: bytes, cut: bool) -> None:
    whole = CODECS[suffix](CONTENT)
    at %= len(whole)
    harmed = whole[:at] + bytes_there + (b"" if cut else whole[at + len(bytes_there) :])
    path.write_bytes(harmed)
    if not harmed.strip(b"\0"):
        return  # nothing, or what fills a block: no content, and nothing wrong with it
    kept, failed = read(sf.sources.JsonLines(path, on_error="skip"))
    assert failed >= 1 or [item["n"] for item in kept] == list(range(3_000))


ROWS = st.one_of(st.binary(max_size=80), st.text(alphabet='a,"\r\n;é\0', max_size=60).map(str.encode))
DAMAGE = {"at": st.integers(0, 10**6), "bytes_there": st.binary(max_size=20), "cut": st.booleans()}


@LESS
@given(LINES, CHUNKS)
def test_no_good_line_is_lost(tmp_path_factory: pytest.TempPathFactory, lines: list[Any], chunk: int) -> None:
    no_good_line_is_lost(tmp_path_factory.getbasetemp() / "fuzz.jsonl", lines, chunk)


@LESS
@given(ROWS, CHUNKS)
def test_any_rows_come_out_the_same(tmp_path_factory: pytest.TempPathFactory, content: bytes, chunk: int) -> None:
    any_rows_come_out_the_same(tmp_path_factory.getbasetemp() / "fuzz.csv", content, chunk)


@pytest.mark.parametrize("suffix", CODECS)
@LESS
@given(**DAMAGE)
def test_damage_is_a_bad_record(
    suffix: str, tmp_path_factory: pytest.TempPathFactory, at: int, bytes_there: bytes, cut: bool
) -> None:
    damage_is_a_bad_record(tmp_path_factory.getbasetemp() / f"fuzz.jsonl.{suffix}", suffix, at, bytes_there, cut)


@pytest.mark.nightly
@MORE
@given(LINES, CHUNKS)
def test_no_good_line_is_lost_at_length(tmp_path_factory: pytest.TempPathFactory, lines: list[Any], chunk: int) -> None:
    no_good_line_is_lost(tmp_path_factory.getbasetemp() / "fuzz.jsonl", lines, chunk)


@pytest.mark.nightly
@MORE
@given(ROWS, CHUNKS)
def test_any_rows_come_out_the_same_at_length(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, chunk: int
) -> None:
    any_rows_come_out_the_same(tmp_path_factory.getbasetemp() / "fuzz.csv", content, chunk)
