"""`streamflow checkpoints ls`, `verify` and `prune`: what a run could go on from.

A run that is at work has its file to itself, so that all three are refused meanwhile.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from streamflow.cli.exit_codes import DATA
from streamflow.files.local import LOCAL
from streamflow.state.checkpoint_file import CheckpointFile, Kept


@contextmanager
def _opened(path: str) -> Iterator[CheckpointFile]:
    """Open a file that is there; nothing is made where there is none."""
    LOCAL.open_to_read(path).close()
    file = CheckpointFile(path)
    file.open()
    try:
        yield file
    finally:
        file.close()


def list_checkpoints(path: str, *, as_json: bool) -> None:
    """Print each checkpoint in a file, the newest first; before them, those that are not to be read any more."""
    with _opened(path) as file:
        nameless, kept = file.nameless(), file.checkpoints()
    size = os.path.getsize(path)
    if as_json:
        values = [_values(one) for one in kept]
        click.echo(json.dumps({"file": path, "bytes": size, "nameless": nameless, "checkpoints": values}))
        return
    click.echo(f"{path}: {_counted(len(nameless) + len(kept))}, {size:,} bytes")
    if nameless or kept:
        click.echo(f"{'checkpoint':>10}  {'when':<23}  {'stand':<9}  {'items':>13}  {'bytes':>13}  {'parts':>5}")
    for fault in nameless:
        click.echo(f"{'?':>10}  damaged: {fault}")
    for one in kept:
        told = one.manifest
        row = f"{told.epoch:>10,}  {_when(told.taken_at):<23}  {told.stand:<9}  {told.items:>13,}  {told.size:>13,}"
        click.echo(f"{row}  {len(told.parts):>5,}{f'  damaged: {one.fault}' if one.fault else ''}")


def verify(path: str, *, as_json: bool) -> int:
    """Look at every byte of every checkpoint; return the exit code."""
    with _opened(path) as file:
        faults, kept = file.faults(), file.checkpoints()
    whole = sum(not one.fault for one in kept)
    if as_json:
        click.echo(json.dumps({"file": path, "whole": whole, "faults": faults}))
    elif not faults:
        click.echo(f"{path}: {_counted(whole)}, {'nothing is damaged' if whole else 'nothing to go on from'}")
    else:
        click.echo(f"{path}: {_counted(whole)} whole")
        for fault in faults:
            click.echo(f"  {fault}")
        if whole:
            click.echo("the next run goes on from the newest that is whole, and says so")
    return DATA if faults else 0


def prune(path: str, keep: int, *, as_json: bool) -> None:
    """Remove all but the last `keep` checkpoints that are whole, and give their space back."""
    with _opened(path) as file:
        before = len(file.checkpoints())
        freed = file.prune(keep)
        kept = len(file.checkpoints())
    if as_json:
        click.echo(json.dumps({"file": path, "kept": kept, "removed": before - kept, "freed": freed}))
        return
    click.echo(f"{path}: {_counted(kept)} kept, {before - kept:,} removed, {freed:,} bytes freed")


def _values(kept: Kept) -> dict[str, Any]:
    told = kept.manifest
    return {
        "epoch": told.epoch,
        "taken_at": told.taken_at,
        "stand": told.stand,
        "items": told.items,
        "bytes": told.size,
        "parts": {name: len(digests) for name, digests in told.parts.items()},
        "written_by": told.written_by,
        "fault": kept.fault,
    }


def _counted(number: int) -> str:
    return f"{number:,} checkpoint{'s' * (number != 1)}"


def _when(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"
