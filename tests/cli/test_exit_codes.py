"""What a command's exit code says."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import streamflow as sf
from streamflow.cli import main
from streamflow.cli.exit_codes import BUG, CONFIGURATION, DATA, FAILED, RETRY, USAGE, exit_code
from streamflow.configuration.problem import ConfigurationError
from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.model.errors import CheckpointDamaged, NotSerialisable
from streamflow.state.checkpoint_file import CheckpointFile

MAIN = [sys.executable, "-c", "from streamflow.cli import main; main()"]
COMMAND = [*MAIN, "run"]
HERE = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError([]), CONFIGURATION),
        (sf.FlowError("no end"), USAGE),
        (sf.RecordError("a line that is too long"), DATA),
        (sf.TooManyFailures("11"), DATA),
        (sf.NoForm("a set"), DATA),
        (OSError(errno.ENOSPC, "full"), RETRY),
        (OSError(errno.EIO, "broken"), FAILED),
        (FileNotFoundError(errno.ENOENT, "gone"), FAILED),
        (ConnectionResetError(), RETRY),
        (BrokenPipeError(), FAILED),
        (sf.ItemTimeout("slow"), RETRY),
        (sf.FlowDeadlock("circle"), FAILED),
        (CheckpointDamaged("each"), DATA),
        (NotSerialisable("a lock"), FAILED),
        (ValueError("never raised, so that nobody knows whose it is"), FAILED),
    ],
)
def test_each_kind_of_error_has_its_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_an_error_within_our_own_code_is_our_bug() -> None:
    with pytest.raises(AttributeError) as caught:
        sf.Flow(None).explain()  # type: ignore[arg-type]  # nobody can come here but through a mistake of ours
    assert exit_code(caught.value) == FAILED  # this test is a user's frame
    here = caught.value.__traceback__
    assert exit_code(caught.value.with_traceback(here.tb_next if here else None)) == BUG


def test_an_error_of_an_item_is_never_called_our_bug() -> None:
    with pytest.raises(KeyError) as caught:
        sf.flow([1]).map({}.__getitem__).to([]).run_sync(fuse=False)
    here = caught.value.__traceback__
    assert exit_code(caught.value.with_traceback(here.tb_next if here else None)) == FAILED


MINE = """
def fail(item): raise ValueError(item)
def made_set(item): return {1}
def confused(item): return 1 + "a"
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--from", "bad.jsonl", "--to", "out.jsonl"], 65),
        (["--from", "bad.csv", "--to", "out.jsonl"], 65),
        (["--from", "words.txt", "--map", "int", "--to", "out.jsonl"], 65),
        (["--from", "words.txt", "--map", "mine:fail", "--to", "out.jsonl"], 1),
        (["--from", "mixed.jsonl", "--to", "out.parquet"], 65),
        (["--from", "empty.jsonl", "--to", "out.parquet"], 65),
        (["--from", "mixed.jsonl", "--map", "mine:made_set", "--to", "out.jsonl"], 65),
        (["--from", "mixed.jsonl", "--to", "out.txt"], 65),
        (["--from", "mixed.jsonl", "--map", "mine:confused", "--to", "out.parquet"], 1),
        (["--from", "missing.txt"], 1),
        (["--from", "words.what"], 2),
        (["--what"], 2),
        (["mine:nothing"], 2),
        (["flow.toml"], 78),
    ],
)
def test_the_codes_of_the_command(tmp_path: Path, arguments: list[str], code: int) -> None:
    if "out.parquet" in arguments:
        pytest.importorskip("pyarrow", reason="the extra tables is not installed")
    (tmp_path / "bad.jsonl").write_text('{"a": 1}\n{"a"\n')
    (tmp_path / "bad.csv").write_text("a,b\n1\n")
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    (tmp_path / "mixed.jsonl").write_text('{"a": 1}\n{"a": "x"}\n')
    (tmp_path / "empty.jsonl").write_text('{"a": {}}\n')
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "flow.toml").write_text('source = "bad.jsonl"\n')
    done = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("checkpoints ls nope.ckpt", 1),
        ("checkpoints ls empty.ckpt", 0),
        ("checkpoints verify spoilt.ckpt", 65),
        ("checkpoints prune spoilt.ckpt", 65),
        ("dlq ls nope.jsonl", 1),
        ("show nope.toml", 78),
        ("graph nope.py", 2),
        ("bench nope.py", 2),
        ("test nope.toml", 2),
        ("--version", 0),
        ("show --what", 2),
    ],
)
def test_what_the_shell_sees_of_every_other_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, code: int
) -> None:
    _spoil(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["streamflow", *arguments.split()])
    with pytest.raises(SystemExit) as ended:  # as `[project.scripts]` has it; click's own runner takes another way
        main()
    assert (ended.value.code or 0) == code


def test_what_a_process_exits_with_that_could_not_look(tmp_path: Path) -> None:
    _spoil(tmp_path)
    for arguments, code in (("checkpoints ls nope.ckpt", 1), ("checkpoints verify spoilt.ckpt", 65)):
        command = [*MAIN, *arguments.split()]
        done = subprocess.run(command, cwd=tmp_path, env=HERE, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr.startswith("error: ")) == (code, True), done


def _spoil(folder: Path) -> None:
    """Leave a checkpoint file that was cut off, and an empty one."""
    store = CheckpointFile(folder / "spoilt.ckpt")
    store.open()
    store.save(SavedCheckpoint(epoch=1, taken_at=1e9, items=1000, parts={"count": [b"state" * 5000]}))
    store.close()
    file = folder / "spoilt.ckpt"
    file.write_bytes(file.read_bytes()[:5000])
    (folder / "empty.ckpt").touch()
