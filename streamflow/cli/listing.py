"""`streamflow list`: what a flow can begin with, do and end in, read off the code itself."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from streamflow.files.compression import SUFFIXES
from streamflow.files.registry import Registry
from streamflow.flows.flow import Flow
from streamflow.sinks.registry import SINKS
from streamflow.sources.registry import SOURCES

if TYPE_CHECKING:
    from rich.console import Console

#: Methods of a flow that describe it, or run it, and are no operators.
_ENDS = ("to", "collect", "count", "first", "reduce", "stream", "run", "run_sync", "start", "explain", "to_mermaid")


def listing() -> dict[str, list[dict[str, Any]]]:
    """Return sources, sinks and operators, each with its name, its options and one sentence about it."""
    return {
        "sources": [_part(SOURCES, name) for name in SOURCES.names()],
        "sinks": [_part(SINKS, name) for name in SINKS.names()],
        "operators": [
            {"name": name, "options": _arguments(method), "about": _about(method)}
            for name, method in inspect.getmembers(Flow, inspect.isfunction)
            if not name.startswith("_") and name not in _ENDS
        ],
    }


def _part(registry: Registry, name: str) -> dict[str, Any]:
    part = registry.load(name)
    options = [field.name for field in dataclasses.fields(part) if field.init and field.repr]
    return {"name": name, "suffixes": registry.texts_of(name), "options": options, "about": _about(part)}


def _arguments(method: Any) -> list[str]:
    return [name for name in inspect.signature(method).parameters if name != "self"]


def _about(thing: Any) -> str:
    """Return the first sentence of a docstring."""
    paragraph = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".")


def show(console: Console) -> None:
    """Print the listing as tables."""
    from rich.markup import escape
    from rich.table import Table

    for title, rows in listing().items():
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("name", no_wrap=True)
        for column in ("named by", "options", "what it does")[0 if title != "operators" else 1 :]:
            table.add_column(column)
        for row in rows:
            named = [" ".join(row["suffixes"])] if title != "operators" else []
            table.add_row(*map(escape, [row["name"], *named, ", ".join(row["options"]), row["about"]]))
        console.print(table)
        console.print()
    console.print(f"Files may end in {', '.join(SUFFIXES)} as well: they are compressed then.", highlight=False)
