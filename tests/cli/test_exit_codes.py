"""What a command's exit code says."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

import streamflow as sf
from streamflow.cli.exit_codes import BUG, CONFIGURATION, DATA, FAILED, RETRY, USAGE, exit_code
from streamflow.configuration.problem import ConfigurationError
from streamflow.model.errors import CheckpointDamaged, NotSerialisable

COMMAND = [sys.executable, "-c", "from streamflow.cli import main; main()", "run"]


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
