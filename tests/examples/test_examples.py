"""Each example runs as it stands, in a process of its own, without a warning, and prints what it is about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

SAYS = {
    "arrays_shared_memory.py": "100 images of 1 MiB each way, 4 kept and still right",
    "commits_per_author.py": "23,799 small commits by 1,834 authors",
    "cpu_bound_processes.py": "the same results in the same order: True",
    "custom_source.py": "sum of the expensive ones: 1,199,700.0",
    "dead_letters_and_retry.py": "195 pages, 50 retries, 5 dead letters",
    "embed_in_web_app.py": "200 requests answered in",
    "fan_out_fan_in.py": "1000 numbers in, 449 big and 551 small out",
    "file_pipeline.py": "100 in, 1 bad, 59 out",
    "memory_limit.py": "256 frames in; peak",
    "two_stream_join.py": "963 orders paid, 37 never, 0 events too late",
    "uneven_work_threads.py": "400 logins, in order: True",
}


def test_every_example_is_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout
