"""What is wrong with the ends rather than the records: files that are not there, full disks, readers that leave."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import streamflow as sf

COMMAND = [sys.executable, "-c", "from streamflow.cli import main; main()", "run"]
MIB = 1 << 20

posix = pytest.mark.skipif(sys.platform == "win32", reason="files as POSIX has them")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(1_000)))
    return tmp_path


def run(
    *arguments: str, before: Callable[[], object] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, preexec_fn=before, **options
    )


@posix
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--from", "im.jsonl", "--to", "out.jsonl"], 1, "in.jsonl"),
        (["--from", "nowhere/in.jsonl", "--to", "out.jsonl"], 1, "No such file"),
        (["--from", "folder.jsonl", "--to", "out.jsonl"], 1, "directory"),
        (["--from", "in.jsonl", "--to", "folder.jsonl"], 1, "directory"),
        (["--from", "in.jsonl", "--to", "nowhere/out.jsonl"], 1, "make it first"),
        (["--from", "*.nothing.jsonl", "--to", "out.jsonl"], 1, "no file matches"),
        (["--from", "in.jsonl", "--to", "in.jsonl"], 2, "read and written"),
        (["--from", "in.jsonl", "--to", "./folder.jsonl/../in.jsonl"], 2, "read and written"),
        (["--from", "*.jsonl", "--to", "out.jsonl"], 2, "read and written"),
        (["--from", "in.jsonl", "--to", "full.jsonl"], 75, "No space left"),
        (["--from", "in.jsonl", "--to", "out.jsonl", "--map", "str.upper", "--on-error", "full.jsonl"], 75, "No space"),
        (["--from", "in.docx", "--to", "out.jsonl"], 2, "'.docx'"),
        (["--from", "in.jsonl", "--to", "out"], 2, "no suffix"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_opened_is_told_and_leaves_nothing(
    folder: Path, arguments: list[str], code: int, says: str
) -> None:
    (folder / "folder.jsonl").mkdir()
    (folder / "full.jsonl").symlink_to("/dev/full")
    if "*.jsonl" in arguments:
        (folder / "folder.jsonl").rmdir()
        (folder / "full.jsonl").unlink()
    before = sorted(os.listdir(folder))
    done = run(*arguments)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert sorted(os.listdir(folder)) == before


@posix
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic link", "hard link"])
def test_a_link_to_the_input_is_the_input(folder: Path, link: Any) -> None:
    link(folder / "in.jsonl", folder / "out.jsonl")
    content = (folder / "in.jsonl").read_bytes()
    done = run("--from", "in.jsonl", "--to", "out.jsonl")
    assert (done.returncode, "read and written" in done.stderr) == (2, True), done.stderr
    assert (folder / "in.jsonl").read_bytes() == content


@posix
@pytest.mark.skipif(sys.platform != "win32" and os.getuid() == 0, reason="root may read and write everything")
@pytest.mark.parametrize("forbidden", ["in.jsonl", "."])
def test_no_permission(folder: Path, forbidden: str) -> None:
    (folder / forbidden).chmod(0o500 if forbidden == "." else 0)
    try:
        done = run("--from", "in.jsonl", "--to", "out.jsonl")
        assert (done.returncode, "Permission" in done.stderr) == (1, True), done.stderr
    finally:
        (folder / forbidden).chmod(0o700)


@posix
def test_a_disk_that_fills_up_fails_the_run_and_keeps_the_old_file(folder: Path) -> None:
    (folder / "out.jsonl").write_text('"old"\n')
    done = run(
        "--from",
        "in.jsonl",
        "--to",
        "out.jsonl",
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode in (1, 75), done.stderr
    assert "large" in done.stderr.lower()
    assert (folder / "out.jsonl").read_text() == '"old"\n'
    assert sorted(os.listdir(folder)) == ["in.jsonl", "out.jsonl"]


@posix
def test_a_named_pipe_is_a_file_like_any_other(folder: Path) -> None:
    os.mkfifo("in.fifo.jsonl")
    os.mkfifo("out.fifo.jsonl")
    read: list[bytes] = []
    writer = threading.Thread(target=lambda: (folder / "in.fifo.jsonl").write_bytes((folder / "in.jsonl").read_bytes()))
    reader = threading.Thread(target=lambda: read.append((folder / "out.fifo.jsonl").read_bytes()))
    writer.start()
    reader.start()
    done = run("--from", "in.fifo.jsonl", "--to", "out.fifo.jsonl")
    writer.join(30)
    reader.join(30)
    assert done.returncode == 0, done.stderr
    assert len(read[0].splitlines()) == 1_000


@posix
def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    (folder / "long.jsonl").write_text('{"n": 1}\n' * 300_000)
    line = f"{sys.executable} -c 'from streamflow.cli import main; main()' run --from long.jsonl --to - | head -2"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=120, cwd=folder, check=False
    )
    assert (done.returncode, done.stdout) == (0, '{"n":1}\n{"n":1}\n'), done.stderr


def test_standard_input_that_is_bad_is_told_with_its_line() -> None:
    done = run("--from", "-", "--to", "-", input='{"n": 1}\nbad\n')
    assert done.returncode == 65
    assert "stdin, line 2" in done.stderr


@posix
@pytest.mark.parametrize("size", [1 << 30, pytest.param(5 << 30, marks=pytest.mark.nightly)], ids=["1 GB", "5 GB"])
def test_a_line_without_an_end_is_never_held_in_memory(folder: Path, size: int) -> None:
    with (folder / "huge.jsonl").open("wb") as file:
        file.write(b'{"n": 1}\n')
        file.truncate(size)
        file.seek(0, os.SEEK_END)
        file.write(b'\n{"n": 2}\n')
    program = (
        "import sys, streamflow as sf\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "def run(path):\n"
        "    out, bad = [], []\n"
        "    sf.flow(sf.sources.JsonLines(path, on_error=sf.dead_letter(bad))).to(out).run_sync()\n"
        "    return out, [letter.position.line for letter in bad]\n"
        "run('in.jsonl')\n"
        "before = peak()\n"
        "print(*run('huge.jsonl'), (peak() - before) // 1024)\n"
    )
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc to read the memory from")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    items, _, rest = done.stdout.partition("] [")
    assert items == "[{'n': 1}, {'n': 2}"
    lines, grown = rest.split("] ")
    assert lines == "2"
    assert int(grown) <= 8, f"{grown} MiB"


class Changing:
    """Change the input when its first item is through."""

    def __init__(self, change: Callable[[], object]) -> None:
        self.change = change
        self.done = False

    def __call__(self, item: Any) -> Any:
        if not self.done:
            self.done = True
            self.change()
        return item


def big(path: Path, count: int = 400_000) -> None:
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(count)))


@posix
def test_an_input_that_grows_meanwhile_gives_whole_lines(folder: Path) -> None:
    path = folder / "in.jsonl"

    def grow() -> None:
        with path.open("a") as file:
            file.write('{"n": 1000}\n')

    out: list[Any] = []
    sf.flow(path).map(Changing(grow)).to(out).run_sync()
    assert [item["n"] for item in out] == list(range(len(out)))
    assert len(out) in (1_000, 1_001)


@posix
def test_an_input_that_is_replaced_meanwhile_is_read_as_it_was(folder: Path) -> None:
    path = folder / "big.jsonl"
    big(path)

    def replace() -> None:
        (folder / "other.jsonl").write_text('{"n": "other"}\n')
        os.replace(folder / "other.jsonl", path)

    out: list[Any] = []
    sf.flow(path).map(Changing(replace)).to(out).run_sync()
    assert [item["n"] for item in out] == list(range(400_000))


@posix
def test_an_input_that_is_cut_meanwhile_gives_no_broken_item(folder: Path) -> None:
    path = folder / "big.jsonl"
    big(path)
    out: list[Any] = []
    bad: list[Any] = []
    source = sf.sources.JsonLines(path, on_error=sf.dead_letter(bad))
    sf.flow(source).map(Changing(lambda: os.truncate(path, 3_000_003))).to(out).run_sync()
    assert [item["n"] for item in out] == list(range(len(out)))
    assert len(bad) <= 1  # the line that was cut


def test_a_run_that_fails_says_so_in_its_report(folder: Path) -> None:
    (folder / "bad.jsonl").write_text('{"n": 1}\n{"n": \n')
    done = run("--from", "bad.jsonl", "--to", "out.jsonl", "--report", "report.json")
    assert done.returncode == 65
    assert "line 2" in json.dumps(json.loads((folder / "report.json").read_text())["error"])
