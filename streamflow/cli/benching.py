"""`streamflow bench`: how fast a flow is without its sinks, and what holds it up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import median
from typing import Any

import click

from streamflow.cli.describing import described_by
from streamflow.flows.rewiring import parts_of, rewired, sets_aside, with_letters
from streamflow.flows.runnable import Runnable
from streamflow.metrics.report import RunReport
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Sink, Source
from streamflow.operators.take import Take, TakeWhile
from streamflow.sinks.null import Null
from streamflow.sources.stdin import Stdin


def bench(reference: str, *, rounds: int, allowed: Sequence[str], as_json: bool) -> None:
    """Run the flow `rounds` times, and print what came of it."""
    flow = without_sinks(described_by(reference, allowed=allowed))
    reports = []
    for number in range(1, rounds + 1):
        reports.append(flow.run_sync())
        if not as_json:
            click.echo(f"round {number}: {_rate(reports[-1]):,.0f} items/s in {reports[-1].elapsed:.3f} s")
    rates = [_rate(report) for report in reports]
    middle = min(reports, key=lambda report: abs(_rate(report) - median(rates)))
    if as_json:
        click.echo(json.dumps(_plain(rates, middle)))
        return
    click.echo(
        f"\nmedian {median(rates):,.0f} items/s ({min(rates):,.0f} to {max(rates):,.0f}) in {rounds} rounds; "
        f"sinks and dead letters left out"
    )
    for stage in middle.statistics.stages:
        if stage.received:
            click.echo(f"  {stage.name}: busy {stage.busy / stage.received * 1e6:,.2f} µs an item")
    click.echo(f"  bottleneck: {middle.bottleneck}")


def without_sinks(flow: Runnable) -> Runnable:
    """Return the flow with nothing written; FlowError for one that cannot be run several times."""
    parts = [part.what for part in parts_of(flow)]
    ends = any(isinstance(part, (Take, TakeWhile)) for part in parts)
    for part in parts:
        if isinstance(part, Stdin):
            raise FlowError("standard input can be read once only: bench a flow that reads a file")
        if isinstance(part, Source) and not part.bounded and not ends:
            raise FlowError(f"{part.label} has no end, so that a round would have none: put a take(n) after it")
    nowhere = Null()

    def change(what: Any) -> Any:
        if isinstance(what, Sink):
            return nowhere
        return with_letters(what, nowhere) if sets_aside(what) else what

    return rewired(flow, change)


def _rate(report: RunReport) -> float:
    return report.items_in / report.elapsed if report.elapsed else 0.0


def _plain(rates: Sequence[float], middle: RunReport) -> dict[str, Any]:
    return {
        "rounds": [round(rate, 1) for rate in rates],
        "median": median(rates),
        "unit": "items/s",
        "busy_seconds_per_item": {
            stage.name: stage.busy / stage.received for stage in middle.statistics.stages if stage.received
        },
        "bottleneck": middle.bottleneck,
    }
