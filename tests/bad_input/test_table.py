"""Every fixture under every policy: good records are kept, bad ones follow the policy and are told with their line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner

import streamflow as sf
from streamflow.cli.commands import cli
from streamflow.cli.exit_codes import DATA
from tests.bad_input.fixtures import Fixture, fixtures

TABLE = {fixture.name: fixture for fixture in fixtures()}
SOURCES: dict[str, Any] = {"jsonl": sf.sources.JsonLines, "csv": sf.sources.Csv, "txt": sf.sources.TextLines}


def test_the_table_is_as_long_as_was_asked_for() -> None:
    assert len(TABLE) >= 500
    assert sum(bool(fixture.bad_lines) for fixture in TABLE.values()) >= 250


def same(one: Any, other: Any) -> bool:
    """Compare, floats by their nearness."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def matches(found: list[Any], fixture: Fixture) -> bool:
    return len(found) == len(fixture.items) and all(map(same, found, fixture.items))


@pytest.mark.parametrize("name", TABLE)
def test_a_fixture(name: str, tmp_path: Path) -> None:
    fixture = TABLE[name]
    path = tmp_path / f"in.{fixture.suffix}"
    path.write_bytes(fixture.content)
    source = SOURCES[fixture.suffix]

    kept: list[Any] = []
    report = sf.flow(source(path, on_error="skip")).to(kept).run_sync()
    assert matches(kept, fixture), kept
    assert report.failed == len(fixture.bad_lines)

    kept, letters = [], list[Any]()
    sf.flow(source(path, on_error=sf.dead_letter(letters))).to(kept).run_sync()
    assert matches(kept, fixture)
    assert [letter.position.line for letter in letters] == list(fixture.bad_lines)
    assert all(letter.position.source == str(path) and letter.item is not None for letter in letters)

    out = tmp_path / "out.jsonl"
    flow = sf.flow(source(path)).to(out)
    if not fixture.bad_lines:
        flow.run_sync()
        assert out.read_bytes().count(b"\n") == len(fixture.items)
        return
    with pytest.raises((ValueError, sf.RecordError)) as caught:
        flow.run_sync()
    assert any(f"{path}, line {fixture.bad_lines[0]}" in note for note in caught.value.__notes__), (
        caught.value.__notes__
    )
    assert [path.name for path in tmp_path.iterdir()] == [f"in.{fixture.suffix}"]


#: Some of the table through the command line, where the exit code says what was wrong.
SPOKEN = [name for number, name in enumerate(TABLE) if number % 17 == 0]


@pytest.mark.parametrize("name", SPOKEN)
def test_the_exit_code_of_a_fixture(name: str, tmp_path: Path) -> None:
    fixture = TABLE[name]
    path, out, bad = tmp_path / f"in.{fixture.suffix}", tmp_path / "out.jsonl", tmp_path / "bad.jsonl"
    path.write_bytes(fixture.content)
    ends = ["run", "--from", str(path), "--to", str(out)]
    result = CliRunner().invoke(cli, ends)
    assert result.exit_code == (DATA if fixture.bad_lines else 0), result.output
    assert out.exists() == (not fixture.bad_lines)
    result = CliRunner().invoke(cli, [*ends, "--on-error", str(bad)])
    assert result.exit_code == 0, result.output
    assert out.read_bytes().count(b"\n") == len(fixture.items)
    set_aside = [json.loads(line) for line in bad.read_text().splitlines()] if bad.exists() else []
    assert [letter["position"]["line"] for letter in set_aside] == list(fixture.bad_lines)


# -- compressed ---------------------------------------------------------------------------------------------------

LINES = b"".join(b'{"n": %d, "text": "%032x"}\n' % (n, n * 2654435761 % 2**127) for n in range(4_000))
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def harmed(whole: bytes) -> dict[str, bytes]:
    """Return what may have become of a compressed file."""
    cuts = {f"cut at {share} %": whole[: len(whole) * share // 100] for share in (1, 10, 25, 50, 75, 90, 99)}
    return cuts | {
        "cut before the last byte": whole[:-1],
        "cut in the header": whole[:3],
        "garbage behind": whole + b"garbage that is none",
        "another member, cut": whole + whole[: len(whole) // 2],
        "not compressed": LINES,
        "compressed otherwise": bz2.compress(LINES),
        "checksum broken": whole[:-6] + bytes([whole[-6] ^ 255]) + whole[-5:],
        "broken in the middle": whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :],
    }


@pytest.mark.parametrize("harm", harmed(COMPRESS["gz"](LINES)))
@pytest.mark.parametrize("suffix", COMPRESS)
def test_damage_is_one_bad_record_behind_good_ones(suffix: str, harm: str, tmp_path: Path) -> None:
    whole = COMPRESS[suffix](LINES)
    path = tmp_path / f"in.jsonl.{suffix}"
    path.write_bytes(harmed(whole)[harm])
    kept: list[Any] = []
    letters: list[Any] = []
    sf.flow(sf.sources.JsonLines(path, on_error=sf.dead_letter(letters))).to(kept).run_sync()
    expected = [json.loads(line) for line in LINES.split(b"\n")[:-1]]
    if harm == "broken in the middle":  # what comes out until it is seen may be anything
        assert kept[:1_500] == expected[: len(kept[:1_500])]
    elif harm == "another member, cut":
        assert kept == (expected + expected)[: len(kept)]
        assert len(kept) >= len(expected)
    else:
        assert kept == expected[: len(kept)]
    if harm == "cut at 99 %":
        assert len(kept) > 2_000  # of what can be had, all but the last piece
    if harm in ("cut before the last byte", "garbage behind"):
        assert kept == expected
    assert letters[-1].exception.endswith("RecordError")
    assert "damaged or cut off" in letters[-1].message
    result = CliRunner().invoke(cli, ["run", "--from", str(path), "--to", str(tmp_path / "out.jsonl")])
    assert result.exit_code == DATA, result.output
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("extra", ["nothing", "zeros", "another member", "empty member", "of nothing"])
def test_what_looks_odd_and_is_not(suffix: str, extra: str, tmp_path: Path) -> None:
    compress = COMPRESS[suffix]
    path = tmp_path / f"in.jsonl.{suffix}"
    more = {"zeros": bytes(512), "another member": compress(LINES), "empty member": compress(b"")}.get(extra, b"")
    path.write_bytes(b"" if extra == "of nothing" else compress(LINES) + more)
    count = {"of nothing": 0, "another member": 8_000}.get(extra, 4_000)
    assert len(list(sf.flow(path))) == count


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_bomb_is_stopped_and_what_comes_before_is_kept(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.jsonl.{suffix}"
    with path.open("wb") as file:
        file.write(COMPRESS[suffix](b'{"n": 1}\n'))
        zeros = COMPRESS[suffix](bytes(1 << 24))
        for _ in range(12):  # 200 MB of content
            file.write(zeros)
    kept: list[Any] = []
    letters: list[Any] = []
    sf.flow(sf.sources.JsonLines(path, on_error=sf.dead_letter(letters))).to(kept).run_sync()
    assert kept == [{"n": 1}]
    assert "raise max_ratio=" in letters[-1].message
    letters.clear()
    sf.flow(sf.sources.JsonLines(path, on_error=sf.dead_letter(letters), max_ratio=1e9)).to(kept).run_sync()
    assert ["longer than max_line_bytes" in letter.message for letter in letters] == [True]
