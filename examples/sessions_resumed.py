"""Make sessions of an access log, be killed halfway with `kill -9`, go on, and have lost and doubled nothing.

A session is what a visitor does without a pause of half an hour. The log is not quite in order, as is that of several
servers. This script starts itself as a process of its own, kills it, and starts it again.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

import streamflow as sf
from streamflow.model.events import CheckpointCommitted, Event, RunGoesOn

VISITORS = 640


class Hit(msgspec.Struct):
    """One line of the log."""

    time: str
    visitor: str
    path: str
    size: int
    country: str = ""


def parse(line: str) -> Hit:
    time, visitor, path, size = line.split(" ")
    return Hit(time, visitor, path, int(size))


async def locate(hit: Hit) -> Hit:
    """Stand for a service that tells where a visitor is: mostly at once, now and then after a round trip."""
    if hit.size % 50 == 0:
        await asyncio.sleep(0.01)
    return msgspec.structs.replace(hit, country=["CH", "DE", "FR", "IT"][sum(hit.visitor.encode()) % 4])


def sessions(log: Path, output: Path) -> sf.Runnable:
    """Describe the flow."""
    return (
        sf.flow(log)
        .map(parse)
        .map(locate, concurrency=20)
        .event_time(lambda hit: hit.time, max_lateness="30s")
        .key_by(lambda hit: hit.visitor)
        .window(sf.session("30m"))
        .aggregate(
            pages=sf.agg.count(),
            bytes=sf.agg.sum(lambda hit: hit.size),
            first=sf.agg.first(lambda hit: hit.path),
            country=sf.agg.last(lambda hit: hit.country),
        )
        .to(output)
    )


async def run_with_checkpoints(log: Path, output: Path) -> None:
    """Run, and say how far it is."""

    def tell(event: Event) -> None:
        if isinstance(event, RunGoesOn):
            print(f"resumed at {event.items:,} items", flush=True)
        elif isinstance(event, CheckpointCommitted):
            print(f"checkpoint {event.epoch} is on the disk, after {run.statistics().items_in} lines", flush=True)

    checkpoint = output.with_suffix(".ckpt")
    async with sessions(log, output).start(checkpoint=checkpoint, every=0.05, on_event=tell) as run:
        pass


def start(log: Path, output: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", __file__, str(log), str(output)], stdout=subprocess.PIPE, text=True
    )


def kill_midway(process: subprocess.Popen[str]) -> None:
    """Kill it at the first checkpoint after half of the log; lines that were read since are read again."""
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("checkpoint ") and int(line.split()[-2]) > 25_000:
                process.kill()
    assert process.returncode < 0, "it came to its end before it could be killed"
    print("killed")


def hits() -> Iterator[tuple[float, str]]:
    """Make up what each visitor does in three days, with the moments at which the servers write it down."""
    source = random.Random(11)
    midnight = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
    for visitor in range(VISITORS):
        time = midnight + source.random() * 10 * 3600
        while time < midnight + 3 * 86400:
            for _ in range(source.randint(1, 20)):
                stamp = datetime.fromtimestamp(int(time), UTC).isoformat()
                path = source.choice(["/", "/search", "/cart", "/help"])
                yield time + source.random() * 20, f"{stamp} v{visitor:03} {path} {source.randrange(100, 20_000)}\n"
                time += source.expovariate(1 / 120)
            time += 1800 + source.random() * 18 * 3600


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "access.log")
        log.write_text("".join(line for _, line in sorted(hits())))
        unbroken, resumed = Path(folder, "unbroken.jsonl"), Path(folder, "sessions.jsonl")
        sessions(log, unbroken).run_sync()
        kill_midway(start(log, resumed))
        assert not resumed.exists(), "a file gets its name when it is whole"
        again = start(log, resumed)
        told = again.communicate()[0].splitlines()[0]
        assert told.startswith("resumed at "), told
        print(told)
        found, wanted = resumed.read_text(), unbroken.read_text()
        print(f"{len(found.splitlines()):,} sessions, as of an unbroken run: {found == wanted}")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        asyncio.run(run_with_checkpoints(Path(sys.argv[1]), Path(sys.argv[2])))
