"""`streamflow new`: a folder with a flow, data and tests to begin from."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

import click

from streamflow.model.errors import FlowError

#: What is copied, and what each is.
FILES = {
    "flow.py": "the flow, in Python",
    "app.toml": "the same flow, in a file",
    "sample.jsonl": "200 orders, three of them bad",
    "app.test.toml": "what goes in and what must come out",
    "test_flow.py": "the same with pytest",
}


def create(folder: Path) -> None:
    """Write the template into `folder`; FlowError if something of it is there already."""
    if folder.exists() and not folder.is_dir():
        raise FlowError(f"{folder} is there already, and is no folder")
    there = [name for name in FILES if (folder / name).exists()]
    if there:
        raise FlowError(f"{folder} has {', '.join(there)} already: give another name, or remove them")
    folder.mkdir(parents=True, exist_ok=True)
    template = files("streamflow.cli") / "template"
    for name in FILES:
        (folder / name).write_bytes((template / name).read_bytes())
    click.echo(f"{folder}/")
    for name, what in FILES.items():
        click.echo(f"  {name:14} {what}")
    click.echo(f"\nNext: cd {shlex.quote(str(folder))} && streamflow run flow.py && streamflow test")
