"""The memory of a flow over tables is that of row groups, whatever the length of the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MAKE = """
import sys, os, pyarrow as pa, pyarrow.compute, pyarrow.parquet as pq
rows = 800_000
fields = {"n": pa.int64(), **{name: pa.float64() for name in "abcde"}}
with pq.ParquetWriter(sys.argv[1], pa.schema(fields), compression="zstd") as writer:
    for group in range(8):
        noise = [pa.Array.from_buffers(pa.uint64(), rows, [None, pa.py_buffer(os.urandom(8 * rows))]) for _ in range(5)]
        floats = [pa.compute.divide(one.cast(pa.float64(), safe=False), 2.0**64) for one in noise]
        columns = [pa.array(range(group * rows, (group + 1) * rows)), *floats]
        writer.write_table(pa.Table.from_arrays(columns, schema=pa.schema(fields)))
"""

MEASURE = """
import sys, pyarrow.compute as pc, streamflow as sf
def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) >> 10
def flow(limit):
    source = sf.sources.Parquet(sys.argv[1], items=sys.argv[3])
    if sys.argv[3] == "batches":
        return sf.flow(source).take(limit).map(lambda batch: batch.filter(pc.greater(batch["a"], 0.5)))
    return sf.flow(source).take(limit).filter(lambda row: row["a"] > 0.5)
flow(1).to(sys.argv[2]).run_sync()
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
flow(int(sys.argv[4])).to(sys.argv[2]).run_sync()
print(status("VmHWM") - before)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "in.parquet"
    subprocess.run([sys.executable, "-c", MAKE, str(path)], check=True)
    return path


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak cannot be set back here")
@pytest.mark.parametrize(("items", "limit"), [("batches", 10**9), ("records", 300_000)])
def test_a_flow_takes_no_more_than_two_row_groups_and_64_mib(
    items: str, limit: int, source: Path, tmp_path: Path
) -> None:
    group = 800_000 * 6 * 8 >> 20
    command = [sys.executable, "-c", MEASURE, str(source), str(tmp_path / "out.parquet"), items, str(limit)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert 0 < int(done.stdout) <= 2 * group + 64, f"{done.stdout.strip()} MiB, row groups have {group}"
