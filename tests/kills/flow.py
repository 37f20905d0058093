"""What is killed: a process that runs a flow with checkpoints, from a file to a file.

python flow.py INPUT OUTPUT CHECKPOINT EVERY
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import streamflow as sf


async def look_up(event: dict[str, Any]) -> dict[str, Any]:
    """Wait a little, and not always equally long."""
    if event["id"] % 997 == 0:
        await asyncio.sleep(0.001 * (event["id"] % 5))
    return event


def score(event: dict[str, Any]) -> dict[str, Any]:
    """Compute in a worker process."""
    return {"id": event["id"], "ts": event["ts"], "user": event["user"], "score": event["amount"] * 3 % 101}


def running(total: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """Remember what was before: a line that is lost or comes twice changes all after it."""
    return {**event, "sum": (total["sum"] * 31 + event["score"]) % 1_000_003}


def flow(source: str, target: str) -> sf.Runnable:
    """Return the flow, with a stage of each kind that a checkpoint has to pass in order."""
    return (
        sf.flow(source)
        .map(look_up, concurrency=200)
        .map(score, on=sf.processes(1))
        .scan(running, {"sum": 7}, name="sum")
        .event_time(lambda event: event["ts"], max_lateness=3)
        .key_by(lambda event: event["user"])
        .window(sf.tumbling("1m"))
        .aggregate(
            n=sf.agg.count(), score=sf.agg.sum(lambda event: event["score"]), last=sf.agg.last(lambda e: e["sum"])
        )
        .to(target)
    )


if __name__ == "__main__":
    source, target, checkpoint, every = sys.argv[1:]
    flow(source, target).run_sync(checkpoint=checkpoint, every=float(every))
