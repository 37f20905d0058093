"""Checkpoints are kept whole or not at all, by one run at a time, and at no cost where nothing changed."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.model.errors import CheckpointDamaged, FlowError
from streamflow.state import checkpoint_file
from streamflow.state.checkpoint_file import CheckpointFile


def checkpoint(epoch: int, *pieces: bytes, stand: str = "running") -> SavedCheckpoint:
    return SavedCheckpoint(
        epoch=epoch,
        stand=stand,  # type: ignore[arg-type]
        taken_at=1e9 + epoch,
        items=epoch * 10,
        keeps={"a\udcff": "scan"},
        parts={"a\udcff": list(pieces), "empty": [], "source": [b"%d" % epoch]},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.ckpt"


@pytest.fixture
def file(path: Path) -> Iterator[CheckpointFile]:
    file = CheckpointFile(path)
    file.open()
    yield file
    file.close()


def reopened(path: Path) -> SavedCheckpoint | None:
    file = CheckpointFile(path)
    file.open()
    try:
        return file.latest()
    finally:
        file.close()


def epochs(file: CheckpointFile) -> list[int]:
    return [kept.manifest.epoch for kept in file.checkpoints()]


def test_what_was_saved_is_there_in_one_file(file: CheckpointFile, path: Path) -> None:
    assert file.latest() is None
    saved = checkpoint(1, b"x", b"", b"x", bytes(100_000))
    file.save(saved)
    assert file.latest() == saved
    file.close()
    file.close()
    assert os.listdir(path.parent) == ["run.ckpt"]
    assert reopened(path) == saved


def test_the_last_three_stay_and_their_pieces_only(file: CheckpointFile, path: Path) -> None:
    for epoch in range(1, 8):
        file.save(checkpoint(epoch, b"same", b"piece %d" % epoch))
    assert epochs(file) == [7, 6, 5]
    file.close()
    assert sorted(row[0] for row in rows_of(path, "SELECT data FROM pieces")) == sorted(
        [b"same", *(text % epoch for epoch in (5, 6, 7) for text in (b"piece %d", b"%d"))]
    )


def rows_of(path: Path, query: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(path)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_pieces_that_did_not_change_are_not_written_again(file: CheckpointFile, path: Path) -> None:
    pieces = [os.urandom(10_000) for _ in range(100)]
    file.save(checkpoint(1, *pieces))
    beside = path.with_name("run.ckpt-wal")
    before = beside.stat().st_size
    pieces[50] = b"changed"
    file.save(checkpoint(2, *pieces))
    assert beside.stat().st_size - before < 100_000  # of a megabyte
    file.close()
    file.open()
    assert file.latest() == checkpoint(2, *pieces)
    before = beside.stat().st_size if beside.exists() else 0
    file.save(checkpoint(3, *pieces))
    assert beside.stat().st_size - before < 100_000  # also by a run that has resumed


def test_once_a_run_is_done_nobody_goes_back(file: CheckpointFile) -> None:
    file.save(checkpoint(1, b"x"))
    file.save(checkpoint(2, b"y", stand="finishing"))
    assert epochs(file) == [2, 1]
    file.save(checkpoint(3, stand="done"))
    assert epochs(file) == [3]
    assert file.latest() == checkpoint(3, stand="done")


def test_cleared_it_is_as_new(file: CheckpointFile, path: Path) -> None:
    file.save(checkpoint(5, b"x"))
    file.clear()
    assert file.latest() is None
    file.close()
    assert reopened(path) is None
    file.open()
    file.clear()
    file.save(checkpoint(1, b"y"))
    assert file.latest() == checkpoint(1, b"y")


@settings(max_examples=20)
@given(st.lists(st.one_of(st.binary(max_size=3), st.sampled_from(["clear", "reopen", "prune", "done"])), max_size=8))
def test_any_order_of_calls_against_a_list(steps: list[bytes | str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = CheckpointFile(os.path.join(folder, "x.ckpt"), keep=2)
        file.open()
        model: list[SavedCheckpoint] = []
        for epoch, step in enumerate(steps):
            if step == "clear":
                file.clear()
                model = []
            elif step == "reopen":
                file.close()
                file.open()
            elif step == "prune":
                file.prune(1)
                model = model[-1:]
            elif step == "done":
                file.save(checkpoint(epoch, stand="done"))
                model = [checkpoint(epoch, stand="done")]
            else:
                assert isinstance(step, bytes)
                file.save(checkpoint(epoch, step, b"same"))
                model = [*model, checkpoint(epoch, step, b"same")][-2:]
            assert file.latest() == (model[-1] if model else None)
            assert epochs(file) == [one.epoch for one in reversed(model)]
            assert file.faults() == []
        file.close()


# Who has it.


def test_a_second_run_of_this_process_is_refused(file: CheckpointFile, path: Path) -> None:
    link, hard = path.with_name("link"), path.with_name("hard")
    link.symlink_to(path)
    hard.hardlink_to(path)
    for name in (path, link, hard):
        other = CheckpointFile(name)
        for _ in range(2):
            with pytest.raises(FlowError, match=rf"this process \({os.getpid()}\) has this checkpoint file: wait for"):
                other.open()
            other.close()
    file.save(checkpoint(1))  # and the first one's lock is whole:
    assert f"process {os.getpid()} has this checkpoint file" in in_another_process(path)


def in_another_process(path: Path) -> str:
    code = f"from streamflow.state import checkpoint_file as c; c.PATIENCE = 0; c.CheckpointFile({str(path)!r}).open()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr


def test_a_killed_run_leaves_its_last_checkpoint_and_no_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_file, "PATIENCE", 0.0)
    code = (
        "import sys; from streamflow.state.checkpoint_file import CheckpointFile as C\n"
        "from streamflow.model.checkpoint import SavedCheckpoint as S\n"
        f"file = C({str(path)!r}); file.open()\n"
        "for epoch in range(1, 6): file.save(S(epoch=epoch, parts={'a': [b'%d' % epoch]}))\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        with pytest.raises(FlowError, match=rf"process {child.pid} has this checkpoint file"):
            CheckpointFile(path).open()
        child.send_signal(signal.SIGKILL)
        child.wait()
    found = reopened(path)
    assert found is not None
    assert found.epoch == 5


def test_the_first_checkpoint_is_in_the_file_itself_at_once(file: CheckpointFile, path: Path) -> None:
    file.save(checkpoint(1, b"x"))
    copy = path.with_name("copy.ckpt")
    copy.write_bytes(path.read_bytes())  # without the file beside it
    assert reopened(copy) == checkpoint(1, b"x")


def test_a_fork_that_ends_does_not_end_the_lock(file: CheckpointFile, path: Path) -> None:
    file.save(checkpoint(1))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert "has this checkpoint file" in in_another_process(path)


# What is no place for it.


@pytest.mark.parametrize("content", [b"hello\n", b"{}\n", b"\0" * 9000, os.urandom(5000), b"S", b"SQLite format 3\0"])
def test_what_is_no_file_of_ours_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises((FlowError, CheckpointDamaged), match=r"no checkpoint file|damaged at its beginning"):
        CheckpointFile(path).open()
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["run.ckpt"]


def test_another_programs_database_is_left_alone(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE checkpoints(x)")
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(FlowError, match="another program's SQLite database, and is left as it is"):
        CheckpointFile(path).open()
    assert path.read_bytes() == before


def test_an_empty_file_is_no_checkpoint(path: Path) -> None:
    path.touch()
    assert reopened(path) is None


def test_a_place_where_it_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no directory .*nowhere.* make it first"):
        CheckpointFile(tmp_path / "nowhere" / "x.ckpt").open()
    with pytest.raises(IsADirectoryError, match="this is a directory: name a checkpoint file in it"):
        CheckpointFile(tmp_path).open()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FlowError, match="no regular file"):
        CheckpointFile(tmp_path / "pipe").open()
    with pytest.raises(FlowError, match="keep=0 would keep no checkpoint"):
        CheckpointFile(tmp_path / "x.ckpt", keep=0)


def test_a_refused_open_can_be_tried_again(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "later" / "x.ckpt")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            file.open()
    (tmp_path / "later").mkdir()
    file.open()
    file.save(checkpoint(1))
    file.close()


def run_unprivileged(code: str) -> str:
    """Run `code` as nobody, if we are root: root may write everywhere."""
    before = "import os\nfrom streamflow.state.checkpoint_file import CheckpointFile as C\n"
    before += "os.geteuid() or os.seteuid(65534)\n"
    return subprocess.run([sys.executable, "-c", before + code], capture_output=True, text=True, check=False).stderr


def test_a_folder_that_is_read_only_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.ckpt")
        assert reopened(path) is None
        os.chmod(path, 0o666)
        os.chmod(folder, 0o555)
        told = run_unprivileged(f"C({str(path)!r}).open()")
        assert "PermissionError: [Errno 13]" in told
        assert f"SQLite writes a file beside it, and {folder!r} lets us make none" in told
        told = run_unprivileged(f"C({folder + '/new.ckpt'!r}).open()")
        assert f"{folder!r} lets us make none" in told
        os.chmod(folder, 0o777)
        os.chmod(path, 0o444)
        told = run_unprivileged(f"C({str(path)!r}).open()")
        assert "PermissionError: [Errno 13] Permission denied: a run keeps its checkpoints there" in told


def test_what_another_opening_has_changed_is_not_relied_on(file: CheckpointFile, path: Path) -> None:
    file.save(checkpoint(1, b"piece"))
    file.close()
    other = CheckpointFile(path)
    other.open()
    other.clear()
    other.close()
    file.open()
    file.save(checkpoint(2, b"piece"))
    assert file.latest() == checkpoint(2, b"piece")


def test_clearing_on_a_full_disk_forgets_nothing(file: CheckpointFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.save(checkpoint(1, b"x"))

    def full(path: str, **options: object) -> sqlite3.Connection:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", full)
        with pytest.raises(OSError, match="there is no space"):
            file.clear()
    assert file.latest() == checkpoint(1, b"x")
    file.save(checkpoint(2, b"y"))
    assert epochs(file) == [2, 1]


def test_a_file_that_is_taken_away_under_a_run_is_told(file: CheckpointFile, path: Path) -> None:
    file.save(checkpoint(1))
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(FileNotFoundError, match="was removed or replaced under the run: put it back"):
        file.save(checkpoint(2))
    path.with_name("elsewhere").rename(path)
    file.save(checkpoint(3))
    assert epochs(file) == [3, 1]


# A disk that is full.


def test_a_full_disk_leaves_the_earlier_ones_and_a_later_save_works(file: CheckpointFile, path: Path) -> None:
    file.save(checkpoint(1, b"x"))
    db = file._db
    assert db is not None
    db.execute("PRAGMA max_page_count=20")
    for epoch in (2, 3):
        with pytest.raises(OSError, match="there is no space for a checkpoint: make room") as raised:
            file.save(checkpoint(epoch, os.urandom(200_000)))
        assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(path))
        assert file.latest() == checkpoint(1, b"x")
    file.save(checkpoint(4, b"small"))
    db.execute("PRAGMA max_page_count=100000")
    large = checkpoint(5, os.urandom(200_000))
    file.save(large)
    assert epochs(file) == [5, 4, 1]
    file.close()
    assert reopened(path) == large


def test_a_limit_of_the_system_that_breaks_a_write_off(path: Path) -> None:
    code = (
        "import os, resource, signal\n"
        "from streamflow.state.checkpoint_file import CheckpointFile as C\n"
        "from streamflow.model.checkpoint import SavedCheckpoint as S\n"
        f"file = C({str(path)!r}); file.open()\n"
        "one, big = S(epoch=1, parts={'a': [b'x']}), S(epoch=2, parts={'a': [os.urandom(600_000)]})\n"
        "file.save(one)\n"
        "def limit(n): resource.setrlimit(resource.RLIMIT_FSIZE, (n, resource.RLIM_INFINITY))\n"
        "for size in (100_000, 300_000, 500_000, 610_000):\n"
        "    limit(size)\n"
        "    try: file.save(big); print('saved', size)\n"
        "    except OSError as error: print(error.errno is not None and error.filename)\n"
        "    else: file.save(one)\n"
        "    assert file.latest() == one\n"
        "    limit(resource.RLIM_INFINITY)\n"
        "    file.save(one)\n"
        "file.save(big); assert file.latest() == big; assert file.faults() == []\n"
        "file.clear(); file.save(one); limit(300_000)\n"
        "try: file.close()\n"
        "finally: limit(resource.RLIM_INFINITY)\n"
        "file.open(); assert file.latest() == one\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [str(path)] * 2


def test_a_piece_that_is_too_large_for_sqlite_is_told(file: CheckpointFile, path: Path) -> None:
    db = file._db
    assert db is not None
    file.save(checkpoint(1))
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
    with pytest.raises(OSError, match="exceeds a gigabyte") as raised:
        file.save(checkpoint(2, bytes(200_000)))
    assert raised.value.errno == errno.EFBIG
    assert file.latest() == checkpoint(1)


def test_five_hundred_pieces_are_quick(file: CheckpointFile) -> None:
    import time

    large = checkpoint(1, *(os.urandom(50_000) for _ in range(500)))
    began = time.perf_counter()
    file.save(large)
    assert time.perf_counter() - began < 10  # 0.2 s on a quiet machine
    began = time.perf_counter()
    assert file.latest() == large
    assert time.perf_counter() - began < 5  # 0.1 s


def test_space_that_is_given_back_is_told(file: CheckpointFile, path: Path) -> None:
    for epoch in range(1, 4):
        file.save(checkpoint(epoch, os.urandom(300_000)))
    last = file.latest()
    freed = file.prune(1)
    assert 500_000 < freed < 700_000
    assert path.stat().st_size < 400_000
    assert file.latest() == last
    assert file.prune(1) == 0


def test_a_file_that_is_not_open_says_so(path: Path) -> None:
    with pytest.raises(FlowError, match="is not open"):
        CheckpointFile(path).latest()
