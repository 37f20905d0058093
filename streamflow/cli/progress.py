"""What a run looks like while it runs: a live line on a terminal, a plain one now and then elsewhere; on stderr."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from streamflow.engine.runner import Run

EVERY = 0.2
PLAIN_EVERY = 5.0


@asynccontextmanager
async def shown(run: Run, console: Console, total: int | None = None) -> AsyncIterator[None]:
    """Show the progress of `run` while the block lasts; `total` is the number of items expected, if it is known."""
    task = asyncio.create_task(_live(run, console, total) if console.is_terminal else _plain(run, console))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _live(run: Run, console: Console, total: int | None) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("running", total=total, detail="")
        while True:
            items, detail = _figures(run)
            progress.update(task, completed=items, description=run.state, detail=detail)
            await asyncio.sleep(EVERY)


async def _plain(run: Run, console: Console) -> None:
    while True:
        await asyncio.sleep(PLAIN_EVERY)
        items, detail = _figures(run)
        console.print(f"{run.state}: {items:,} items, {detail}", highlight=False)


def _figures(run: Run) -> tuple[int, str]:
    """Return the items read so far, and their pace, the failures and the busiest stage in words."""
    statistics = run.statistics()
    items = sum(stage.received for stage in statistics.stages if stage.kind == "source")
    failed = sum(stage.failed for stage in statistics.stages)
    pace = items / statistics.elapsed if statistics.elapsed else 0.0
    busiest = max(statistics.stages, key=lambda stage: stage.busy, default=None)
    name = f", busiest: {busiest.name}" if busiest is not None and items else ""
    return items, f"{pace:,.0f}/s, {failed:,} failed{name}"
