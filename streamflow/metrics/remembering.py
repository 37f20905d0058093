"""How much a stage remembers, in words. Pure."""

from __future__ import annotations

from streamflow.metrics.units import written
from streamflow.model.statistics import StageStatistics


def remembered(stage: StageStatistics) -> str:
    """Return the number of keys and about how many bytes they take, and of these in memory; nothing if there are none.

    >>> remembered(StageStatistics(name="scan", kind="keyed", keys=2000, state_bytes=1 << 20, disk_bytes=1 << 19))
    '2,000 keys, 1 MiB (512 KiB in memory)'
    """
    if not stage.keys:
        return ""
    size = written(stage.state_bytes, "bytes")
    if stage.disk_bytes:
        size += f" ({written(stage.state_bytes - stage.disk_bytes, 'bytes')} in memory)"
    return f"{stage.keys:,} {'key' if stage.keys == 1 else 'keys'}, {size}"
