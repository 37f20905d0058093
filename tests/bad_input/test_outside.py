"""What stands around a file and goes wrong: names, links, rights, disks, pipes, size; by the command line."""

from __future__ import annotations

import ctypes
import gzip
import json
import lzma
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner

import streamflow as sf
from streamflow.cli.commands import cli

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from streamflow.cli import main; main()", "run"]
MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text("1\n2\n3\n")
    return tmp_path


def start(folder: Path, *arguments: str, shell: str = "", **options: Any) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own; `shell` stands behind it."""
    command = [*COMMAND, *arguments]
    if shell:
        command = ["sh", "-c", f'"$0" "$@" {shell}', *command]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def names(folder: Path) -> dict[str, bytes | None]:
    """Return all names there are, and what is in those that are files."""
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


Make = Callable[[], object]
LONG_NAME = "a" * 300 + ".jsonl"
#: How it comes to be, --from, --to, --on-error, the exit code, and what is said.
PLACES: dict[str, tuple[Make, str, str, str, int, str]] = {
    "a missing file": (lambda: None, "im.jsonl", "out.jsonl", "skip", 1, "did you mean 'in.jsonl'"),
    "a missing folder": (lambda: None, "no/in.jsonl", "out.jsonl", "skip", 1, "there is no directory"),
    "a pattern that meets nothing": (lambda: None, "x*.jsonl", "out.jsonl", "skip", 1, "no file matches"),
    "a directory to read": (lambda: os.mkdir("d.jsonl"), "d.jsonl", "out.jsonl", "skip", 1, "this is a directory"),
    "a directory to write": (lambda: os.mkdir("d.jsonl"), "in.jsonl", "d.jsonl", "skip", 1, "name a file in it"),
    "a directory for letters": (lambda: os.mkdir("d.jsonl"), "in.jsonl", "out.jsonl", "d.jsonl", 1, "name a file in"),
    "no folder to write to": (lambda: None, "in.jsonl", "no/out.jsonl", "skip", 1, "make it first"),
    "a file for a folder": (lambda: None, "in.jsonl/x.jsonl", "out.jsonl", "skip", 1, "Not a directory"),
    "a file for a folder to write": (lambda: None, "in.jsonl", "in.jsonl/x.jsonl", "skip", 1, "in.jsonl/x.jsonl'"),
    "a link to nowhere": (
        lambda: os.symlink("gone.jsonl", "l.jsonl"), "l.jsonl", "out.jsonl", "skip", 1, "symbolic link to 'gone.jsonl'",
    ),
    "a link to itself": (lambda: os.symlink("l.jsonl", "l.jsonl"), "l.jsonl", "o.jsonl", "skip", 1, "Too many levels"),
    "a link to itself to write": (
        lambda: os.symlink("l.jsonl", "l.jsonl"), "in.jsonl", "l.jsonl", "skip", 1, "Too many levels",
    ),
    "a name too long": (lambda: None, LONG_NAME, "out.jsonl", "skip", 1, "File name too long"),
    "a name too long to write": (lambda: None, "in.jsonl", LONG_NAME, "skip", 1, "File name too long"),
    "an unknown suffix": (lambda: None, "in.xyz", "out.jsonl", "skip", 2, "which names no source"),
    "an unknown suffix to write": (lambda: None, "in.jsonl", "out.jsnl", "skip", 2, "did you mean '.jsonl'"),
    "the same file": (lambda: None, "in.jsonl", "in.jsonl", "skip", 2, "read and written by the same run"),
    "the same file, said otherwise": (lambda: None, "in.jsonl", "./x/../in.jsonl", "skip", 2, "read and written"),
    "the same file by a symbolic link": (
        lambda: os.symlink("in.jsonl", "l.jsonl"), "in.jsonl", "l.jsonl", "skip", 2, "read and written",
    ),
    "the same file, the link read": (
        lambda: os.symlink("in.jsonl", "l.jsonl"), "l.jsonl", "in.jsonl", "skip", 2, "read and written",
    ),
    "the same file by a hard link": (
        lambda: os.link("in.jsonl", "l.jsonl"), "in.jsonl", "l.jsonl", "skip", 2, "read and written",
    ),
    "the same file by a linked folder": (
        lambda: os.symlink(".", "here"), "in.jsonl", "here/in.jsonl", "skip", 2, "read and written",
    ),
    "the same file by a pattern": (lambda: None, "*.jsonl", "in.jsonl", "skip", 2, "read and written"),
    "a pattern and a link": (
        lambda: os.symlink("in.jsonl", "l.out.jsonl"), "in*.jsonl", "l.out.jsonl", "skip", 2, "read and written",
    ),
    "letters into the input": (lambda: None, "in.jsonl", "out.jsonl", "in.jsonl", 2, "read and written"),
    "letters into the input by a link": (
        lambda: os.link("in.jsonl", "l.jsonl"), "in.jsonl", "out.jsonl", "l.jsonl", 2, "read and written",
    ),
    "letters into the output": (lambda: None, "in.jsonl", "out.jsonl", "out.jsonl", 2, "two sinks write"),
    "letters into the output by a link": (
        lambda: os.symlink("out.jsonl", "l.jsonl"), "in.jsonl", "out.jsonl", "l.jsonl", 2, "two sinks write",
    ),
    "a full device": (lambda: os.symlink("/dev/full", "f.jsonl"), "in.jsonl", "f.jsonl", "skip", 75, "No space left"),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_what_cannot_be_read_or_written_is_told_and_nothing_is_left(place: str, folder: Path) -> None:
    make, source, sink, policy, code, says = PLACES[place]
    make()
    before = names(folder)
    result = CliRunner().invoke(cli, ["run", "--from", source, "--to", sink, "--on-error", policy])
    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert names(folder) == before


def test_an_empty_device_is_an_empty_input(folder: Path) -> None:
    os.symlink("/dev/null", "null.jsonl")
    assert CliRunner().invoke(cli, ["run", "--from", "null.jsonl", "--to", "out.jsonl"]).exit_code == 0
    assert names(folder)["out.jsonl"] == b""


def test_a_link_at_the_final_name_stays_one(folder: Path) -> None:
    (folder / "kept").mkdir()
    os.symlink("kept/out.jsonl", "l.jsonl")
    assert CliRunner().invoke(cli, ["run", "--from", "in.jsonl", "--to", "l.jsonl"]).exit_code == 0
    assert Path("l.jsonl").is_symlink()
    assert names(folder / "kept") == {"out.jsonl": b"1\n2\n3\n"}


def powerless() -> None:
    """Take from root, in a process that is about to begin, what lets it pass by every permission."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.mark.parametrize(
    ("mode", "path", "arguments"),
    [
        (0o000, "in.jsonl", ("in.jsonl", "open/out.jsonl")),
        (0o444, "open/old.jsonl", ("in.jsonl", "open/old.jsonl")),
        (0o555, "closed", ("in.jsonl", "closed/out.jsonl")),
        (0o000, "closed", ("closed/in.jsonl", "open/out.jsonl")),
    ],
    ids=["a file not to be read", "a file not to be written", "a folder not to be written", "a folder not to be seen"],
)
def test_without_the_right_nothing_is_done(mode: int, path: str, arguments: tuple[str, str], folder: Path) -> None:
    for name in ("open", "closed"):
        (folder / name).mkdir()
    (folder / "open").chmod(0o777)
    (folder / "open/old.jsonl").write_text("old\n")
    (folder / path).chmod(mode)
    options: dict[str, Any] = {"preexec_fn": powerless} if os.getuid() == 0 else {}
    (folder / "secret").touch(0o000)
    if subprocess.run(["cat", folder / "secret"], **options, capture_output=True, check=False).returncode == 0:
        pytest.skip("who runs this may do everything, and cannot give that up")
    process = start(folder, "--from", arguments[0], "--to", arguments[1], **options)
    _, errors = process.communicate(timeout=60)
    (folder / path).chmod(0o755)
    assert process.returncode == 1, errors
    assert b"ermission" in errors
    assert names(folder / "open") == {"old.jsonl": b"old\n"}
    assert names(folder / "closed") == {}


@pytest.mark.parametrize("sink", ["out.jsonl", "out.jsonl.gz", "out.csv", "out.txt"])
def test_a_disk_that_is_full_half_way_leaves_nothing(sink: str, folder: Path) -> None:
    suffix = sink.removesuffix(".gz").removeprefix("out")
    lines = [f"{n * 7919 % 104729},{n}" for n in range(200_000)]
    (folder / f"in{suffix}").write_text("\n".join(["a,b", *lines] if suffix == ".csv" else map(json.dumps, lines)))

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    process = start(folder, "--from", f"in{suffix}", "--to", sink, preexec_fn=small)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"File too large: '{folder / sink}'".encode() in errors
    assert {name for name in names(folder) if name.startswith((".", "out"))} == set()


@pytest.mark.parametrize(("shell", "code", "says"), [("> /dev/full", 75, b"No space left"), ("| head -n 2", 0, b"")])
def test_an_output_that_takes_no_more(shell: str, code: int, says: bytes, folder: Path) -> None:
    (folder / "many.jsonl").write_text("".join(f"{n}\n" for n in range(300_000)))
    shell = f"{shell}; exit ${{PIPESTATUS:-$?}}" if shell.startswith(">") else shell
    process = start(folder, "--from", "many.jsonl", "--to", "-", shell=shell)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert says in errors
    assert b"Traceback" not in errors
    if not says:
        assert (output, errors) == (b"0\n1\n", b"")


def test_a_fifo_is_read_to_its_end_and_its_bad_lines_are_told(folder: Path) -> None:
    os.mkfifo("in.fifo.jsonl")
    process = start(folder, "--from", "in.fifo.jsonl", "--to", "out.jsonl", "--on-error", "bad.jsonl")
    with open("in.fifo.jsonl", "wb") as pipe:
        pipe.write(b'1\nbad\n2\n"cut')
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert names(folder)["out.jsonl"] == b"1\n2\n"
    places = [json.loads(line)["position"]["line"] for line in (folder / "bad.jsonl").read_text().splitlines()]
    assert places == [2, 4]


def test_a_fifo_whose_reader_leaves_is_told(folder: Path) -> None:
    os.mkfifo("out.fifo.jsonl")
    (folder / "many.jsonl").write_text("".join(f"{n}\n" for n in range(300_000)))
    process = start(folder, "--from", "many.jsonl", "--to", "out.fifo.jsonl")
    with open("out.fifo.jsonl", "rb") as pipe:
        assert pipe.readline() == b"0\n"
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"Broken pipe: 'out.fifo.jsonl'" in errors


LINES = [{"n": n, "fill": "x" * 100} for n in range(60_000)]


@pytest.mark.parametrize("policy", ["fail", "skip"])
@pytest.mark.parametrize("change", ["grown", "cut", "emptied", "replaced", "removed"])
def test_an_input_that_changes_while_it_is_read(change: str, policy: Any, folder: Path) -> None:
    path, out = folder / "big.jsonl", folder / "out.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    size = path.stat().st_size
    changed = iter([True])

    def look(item: Any) -> Any:
        if next(changed, False):
            CHANGES[change](path)
        return item

    flow = sf.flow(sf.sources.JsonLines(path, on_error=policy)).map(look).to(out)
    if change in ("cut", "emptied"):
        told = f"the file was cut from {size:,} to "
        if policy == "fail":
            with pytest.raises(sf.RecordError, match=told):
                flow.run_sync()
            assert not out.exists()
            return
        assert flow.run_sync().failed == 1
        written = [json.loads(line) for line in out.read_text().splitlines()]
        assert written == LINES[: len(written)]
        return
    assert flow.run_sync().failed == 0
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert written == LINES + [{"n": -1}] * (change == "grown")


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write('{"n": -1}\n')


def _replace(path: Path) -> None:
    (path.parent / "other").write_text('{"n": "other"}\n' * 100_000)
    os.replace(path.parent / "other", path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "grown": _append,
    "cut": lambda path: os.truncate(path, 4 * MIB + 17),
    "emptied": lambda path: os.truncate(path, 0),
    "replaced": _replace,
    "removed": os.remove,
}


def peak(folder: Path, *arguments: str) -> tuple[int, int, bytes]:
    """Return the most memory that the command had, its exit code, and what it said."""
    process = start(folder, *arguments)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.communicate()
    return usage.ru_maxrss * 1024, process.returncode, errors


@pytest.mark.parametrize("size", [1 << 27, pytest.param(5 << 30, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".txt"])
def test_a_huge_line_without_a_newline_takes_no_memory(size: int, suffix: str, folder: Path) -> None:
    begin = b"a,b\n1,2\n" if suffix == ".csv" else b"1\n2\n"
    # The same with little behind it: what a block of input takes is no news.
    for name, length in (("small", 3 * MIB), ("large", size)):
        (folder / f"{name}{suffix}").write_bytes(begin)
        os.truncate(folder / f"{name}{suffix}", length)
    figures = {}
    for name in ("small", "large"):
        arguments = ("--from", f"{name}{suffix}", "--to", f"{name}.out.jsonl", "--on-error", "skip")
        figures[name], code, errors = peak(folder, *arguments)
        assert code == 0, errors
        assert b"1 failed" in errors
    assert figures["large"] - figures["small"] <= 8 * MIB
    assert names(folder)["large.out.jsonl"] == names(folder)["small.out.jsonl"] != b""


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("suffix", BOMBS)
def test_a_bomb_of_10_gigabytes_is_stopped_at_a_cap_in_little_memory(suffix: str, folder: Path) -> None:
    member = BOMBS[suffix](b"\0" * (100 * MIB))
    (folder / f"small.jsonl{suffix}").write_bytes(BOMBS[suffix](b"1\n" + b"\0" * 8 * MIB))
    (folder / f"bomb.jsonl{suffix}").write_bytes(BOMBS[suffix](b'1\n2\n"') + member * 103)
    small, code, _ = peak(folder, "--from", f"small.jsonl{suffix}", "--to", "small.jsonl", "--on-error", "skip")
    assert code == 0
    most, code, errors = peak(folder, "--from", f"bomb.jsonl{suffix}", "--to", "out.jsonl")
    assert code == 65
    assert not (folder / "out.jsonl").exists()
    most, code, errors = peak(folder, "--from", f"bomb.jsonl{suffix}", "--to", "out.jsonl", "--on-error", "bad.jsonl")
    assert code == 0, errors
    assert most - small <= 32 * MIB
    assert (folder / "out.jsonl").read_bytes() == b"1\n2\n"
    [letter] = map(json.loads, (folder / "bad.jsonl").read_text().splitlines())
    assert "raise max_ratio=" in letter["message"]
    became = re.search(r"after ([\d,]+) bytes", letter["message"])
    assert became is not None
    assert int(became[1].replace(",", "")) < 600 * MIB
    assert (letter["position"]["line"], letter["position"]["offset"]) == (3, 4)


def test_what_is_no_bomb_can_be_read_by_saying_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamflow.files.decompression.FREE", 10_000)
    (folder / "in.jsonl.gz").write_bytes(gzip.compress(b"1234567\n" * 3 * MIB))
    with pytest.raises(sf.RecordError, match="raise max_ratio="):
        sf.flow(folder / "in.jsonl.gz").to(None).run_sync()
    for limit in (2000, 1e9):
        source = sf.sources.JsonLines(folder / "in.jsonl.gz", max_ratio=limit)
        assert sf.flow(source).to(None).run_sync().items_in == 3 * MIB
    with pytest.raises(sf.FlowError, match="max_ratio"):
        sf.sources.JsonLines("in.jsonl.gz", max_ratio=0)
