"""The works of the table, a file per family; peers are imported where they are called, never before."""

from bench.flows import (
    checkpoints,
    compressed,
    csv_rows,
    follow,
    host_timer,
    idle_latency,
    import_time,
    ints,
    json_lines,
    killed,
    memory,
    memory_limit,
    placed_arrays,
    placed_cpu,
    process_start,
    start,
    tables,
    uneven,
    waits,
    windows,
)
from bench.works import Work

WORKS: dict[str, Work] = {
    work.name: work
    for work in (
        ints.FUSED,
        ints.CHANNELS,
        waits.ORDERED,
        waits.UNORDERED,
        waits.TAIL,
        json_lines.DICTS,
        json_lines.STRUCTS,
        csv_rows.WORK,
        compressed.WORK,
        tables.WORK,
        idle_latency.WORK,
        follow.WORK,
        host_timer.WORK,
        memory.WORK,
        placed_cpu.MILLISECOND,
        placed_cpu.TWENTY_MICROSECONDS,
        placed_arrays.ONE,
        placed_arrays.EIGHT,
        uneven.WORK,
        killed.WORK,
        process_start.WORK,
        memory_limit.WORK,
        windows.WORK,
        checkpoints.LINES,
        checkpoints.WAITS,
        checkpoints.RECOVERY,
        import_time.WORK,
        start.WORK,
    )
}
