"""`streamflow new`: a folder with a flow, data and tests to begin from."""

from __future__ import annotations

import json
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


def create(name: str, *, as_json: bool = False) -> None:
    """Write the template into the folder `name`; FlowError if something of it is there already."""
    if not name.strip():
        raise FlowError("a folder needs a name: streamflow new orders")
    folder = Path(name)
    if folder.exists() and not folder.is_dir():
        raise FlowError(f"{folder} is there already, and is no folder")
    there = [file for file in FILES if (folder / file).exists()]
    if there:
        raise FlowError(f"{folder} has {', '.join(there)} already: give another name, or remove them")
    folder.mkdir(parents=True, exist_ok=True)
    template = files("streamflow.cli") / "template"
    for file in FILES:
        (folder / file).write_bytes((template / file).read_bytes())
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "files": FILES}))
        return
    click.echo(f"{folder}/")
    for file, what in FILES.items():
        click.echo(f"  {file:14} {what}")
    click.echo(f"\nNext: cd {shlex.quote(str(folder))} && streamflow run flow.py && streamflow test")
