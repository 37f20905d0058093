"""A real process, really killed, at any instant: what is written in the end is what an unbroken run writes."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from streamflow.state.checkpoint_file import CheckpointFile

FLOW = Path(__file__).with_name("flow.py")
EVERY = "0.1"


def make_input(path: Path, size: int) -> None:
    """Write so many bytes of events, of a kilobyte each, mostly in the order of their time."""
    draw = random.Random(1)
    with path.open("w") as file:
        for n in range(size // 1000):
            time = 1_700_000_000 + n // 20 - draw.randrange(4)
            head = f'{{"id":{n},"ts":{time},"user":"u{n * 7919 % 500}","amount":{n % 97},"note":"'
            file.write(head + "x" * (997 - len(head)) + '"}\n')


def begin(source: Path, target: Path, checkpoint: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(FLOW), str(source), str(target), str(checkpoint), EVERY]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, start_new_session=True)


def killed_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill the process if it still lives then; tell whether it was killed."""
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, said.decode()
    return False


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reached(checkpoint: Path) -> int:
    """Return how many items had been read by the last checkpoint."""
    store = CheckpointFile(str(checkpoint))
    store.open()
    try:
        latest = store.latest()
    finally:
        store.close()
    return latest.items if latest is not None else 0


def kill_often(folder: Path, size: int, kills: int, longest: float) -> None:
    """Kill the flow so often; each time it gets through is compared, and it begins anew."""
    source = folder / "in.jsonl"
    make_input(source, size)
    whole = folder / "whole.jsonl"
    assert not killed_after(begin(source, whole, folder / "whole.ckpt"), 300)
    wanted = digest(whole)
    seed = int(os.environ.get("STREAMFLOW_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"replay: STREAMFLOW_SEED={seed} python -m pytest {__file__}")
    draw = random.Random(seed)
    left, round_, gone_on = kills, 0, 0
    while left > 0 or round_ == 0:
        target, checkpoint = folder / f"out{round_}.jsonl", folder / f"out{round_}.ckpt"
        while True:
            wait = draw.uniform(0.2, longest) if left > 0 else 300
            if not killed_after(begin(source, target, checkpoint), wait):
                break
            left -= 1
            gone_on += reached(checkpoint) > 0
        assert digest(target) == wanted
        assert not list(folder.glob(".out*")), "a temporary file was left"
        target.unlink()
        round_ += 1
    assert gone_on >= kills // 2, "most kills came before the first checkpoint: they prove little"


def test_a_killed_run_goes_on_as_if_unbroken(tmp_path: Path) -> None:
    kill_often(tmp_path, 200_000_000, 25, 1.2)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_run_killed_five_hundred_times(tmp_path: Path) -> None:
    kill_often(tmp_path, 200_000_000, 500, 3.0)
