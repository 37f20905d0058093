"""What a run looks like while it runs: live lines on a terminal, a plain one now and then elsewhere; on stderr."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from streamflow.cli.progress_lines import in_one_line, lines

if TYPE_CHECKING:
    from rich.console import Console, Group

    from streamflow.engine.runner import Run
    from streamflow.model.statistics import RunStatistics

EVERY = 0.2
PLAIN_EVERY = 5.0
#: Seconds over which a pace is told: shorter ones make it jump.
WINDOW = 5.0


@asynccontextmanager
async def shown(run: Run, console: Console) -> AsyncIterator[None]:
    """Show the progress of `run` while the block lasts."""
    task = asyncio.create_task(_live(run, console) if console.is_terminal else _plain(run, console))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _live(run: Run, console: Console) -> None:
    from rich.live import Live

    past: deque[RunStatistics] = deque()
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while True:
            now = run.statistics()
            live.update(_drawn(lines(now, since(past, now)), console.width), refresh=True)
            await asyncio.sleep(EVERY)


async def _plain(run: Run, console: Console) -> None:
    while True:
        await asyncio.sleep(PLAIN_EVERY)
        console.print(f"{run.state}: {in_one_line(run.statistics())}", markup=False, highlight=False)


def since(past: deque[RunStatistics], now: RunStatistics) -> RunStatistics | None:
    """Remember `now`, forget what is older than the window, and return the oldest figures that are left."""
    while len(past) > 1 and past[1].elapsed <= now.elapsed - WINDOW:
        past.popleft()
    earlier = past[0] if past else None
    past.append(now)
    return earlier


def _drawn(told: list[str], width: int) -> Group:
    from rich.console import Group
    from rich.text import Text

    shortened = []
    for line in told:
        text = Text(line, no_wrap=True)
        text.truncate(max(width - 1, 1), overflow="ellipsis")
        shortened.append(text)
    return Group(*shortened)
