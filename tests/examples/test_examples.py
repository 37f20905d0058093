"""Each example runs as it stands, in a process of its own, without a warning, and prints what it is about."""

from __future__ import annotations

import gzip
import json
import math
import runpy
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from streamflow import testing

EXAMPLES = Path(__file__).parents[2] / "examples"

SAYS = {
    "arrays_shared_memory.py": "100 images of 1 MiB each way, 4 kept and still right",
    "commits_per_author.py": "23,799 small commits by 1,834 authors",
    "commits_per_day.py": "49,263 commits on 15,515 days of their authors, and 1,013 that came too late",
    "cpu_bound_processes.py": "the same results in the same order: True",
    "custom_source.py": "sum of the expensive ones: 1,199,700.0",
    "dead_letters_and_retry.py": "195 pages, 50 retries, 5 dead letters",
    "embed_in_web_app.py": "200 requests answered in",
    "fan_out_fan_in.py": "1000 numbers in, 449 big and 551 small out",
    "file_pipeline.py": "100 in, 1 bad, 59 out",
    "memory_limit.py": "256 frames in; peak",
    "sessions_resumed.py": "4,695 sessions, as of an unbroken run: True",
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


def test_commits_per_day_are_those_of_a_plain_loop() -> None:
    """The figures of the example, made by hand: a commit is late if its day had ended `LATENESS` before the newest."""
    zone, lateness = ZoneInfo("Europe/Berlin"), 30 * 86400
    counts: Counter[tuple[float, float, str]] = Counter()
    lines: Counter[tuple[float, float, str]] = Counter()
    late, newest = 0, -math.inf
    with gzip.open(EXAMPLES / "data" / "commits.jsonl.gz") as file:
        for commit in map(json.loads, file):
            authored = datetime.fromisoformat(commit["authored"])
            newest = max(newest, authored.timestamp())
            midnight = authored.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
            start, end = midnight.timestamp(), (midnight + timedelta(days=1)).timestamp()
            if end <= newest - lateness:
                late += 1
            else:
                counts[start, end, commit["author"]] += 1
                lines[start, end, commit["author"]] += commit["insertions"] + commit["deletions"]
    found = testing.run(runpy.run_path(str(EXAMPLES / "commits_per_day.py"))["commits_per_day"]().collect())
    assert late == 1013
    assert len(counts) == len(found)
    for result in found:
        where = result.start, result.end, result.key
        assert result.value == {"commits": counts[where], "lines": lines[where]}
