"""Bytes of a table changed at random: no crash, no record that nobody wrote the likes of, no other error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: In a process of its own: what would go wrong is the end of the process.
CODE = """
import random, sys
from pathlib import Path
import streamflow as sf

folder, suffix, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
source = sf.sources.Parquet if suffix == "parquet" else sf.sources.Arrow
good, bad, dice = folder / f"good.{suffix}", folder / f"bad.{suffix}", random.Random(seed)
rows = [{"n": n, "s": "é" * (n % 3), "l": [n] * (n % 4), "st": {"a": None if n % 5 else n}} for n in range(300)]
groups = {"row_group_rows": 70} if suffix == "parquet" else {"batch_rows": 70}
sf.flow(rows).to((sf.sinks.Parquet if suffix == "parquet" else sf.sinks.Arrow)(good, **groups)).run_sync()
data, damaged = good.read_bytes(), 0
for _ in range(150):
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 3, 20])):
        changed[dice.randrange(len(changed))] = dice.choice([0, 255, dice.randrange(256)])
    bad.write_bytes(changed[: dice.randrange(len(changed))] if dice.random() < 0.2 else changed)
    letters = []
    found = list(sf.flow(source(bad, on_error=sf.dead_letter(letters))).map(lambda row: row))
    assert all(isinstance(row, dict) for row in found)
    damaged += bool(letters)
print(damaged)
"""


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
@pytest.mark.parametrize("seed", [1, 2])
def test_damage_of_any_kind_is_bad_records(suffix: str, seed: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path), suffix, str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 30
