"""The turns of a loop are divided among the stages of a run: one that is always hungry starves nobody."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import streamflow as sf
from streamflow.engine.turn import Turn


def work() -> None:
    """Take longer than a turn."""
    time.sleep(1e-4)


def test_behind_a_stage_whose_steps_take_longer_than_a_turn_others_have_theirs() -> None:
    """Let one stage spend each turn at once: whoever has worked once, and waits for room, gets every other one."""

    async def main() -> list[str]:
        turn = Turn(asyncio.get_running_loop(), 1e-6)
        worked: list[str] = []

        async def greedy() -> None:
            while len(worked) < 100:
                served = False
                while turn.spent():
                    await turn.wait(served)
                worked.append("greedy")
                work()
                await turn.wait(served=True)

        async def modest() -> None:
            while len(worked) < 100:
                await turn.next()
                worked.append("modest")
                work()

        await asyncio.gather(greedy(), modest())
        return worked

    worked = asyncio.run(main())
    assert 30 <= worked.count("modest") <= 70


def test_checkpoints_are_taken_behind_a_function_that_is_slow_with_each_item(tmp_path: Path) -> None:
    """The stage of the sink has nothing to do but to answer, which must not wait for the end of the input."""
    lines = (json.dumps({"n": n}) for n in range(300))
    (tmp_path / "in.jsonl").write_text("\n".join(lines))

    def slow(item: Any) -> Any:
        time.sleep(0.0015)  # longer than a turn
        return item

    flow = sf.flow(tmp_path / "in.jsonl").map(slow).key_by(lambda e: e["n"] % 5).aggregate(n=sf.agg.count())
    report = flow.to(tmp_path / "out.jsonl").run_sync(checkpoint=tmp_path / "x.ckpt", every=0.02)
    assert report.statistics.checkpoints is not None
    assert report.statistics.checkpoints.saved >= 8  # of 20; three are taken at the ends
