"""`streamflow list`: what a flow can begin with, do and end in, read off the code itself."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from streamflow.executors.registry import EXECUTORS, load
from streamflow.files.compression import SUFFIXES
from streamflow.files.registry import Registry
from streamflow.flows.flow import Flow
from streamflow.sinks.registry import SINKS
from streamflow.sources.registry import SOURCES

#: Methods of a flow that describe it, or run it, and are no operators.
_ENDS = ("to", "collect", "count", "first", "reduce", "stream", "run", "run_sync", "start", "explain", "to_mermaid")


def listing() -> dict[str, list[dict[str, Any]]]:
    """Return sources, sinks, operators and places, each with its name, its options and one sentence about it."""
    return {
        "sources": [_part(SOURCES, name) for name in SOURCES.names()],
        "sinks": [_part(SINKS, name) for name in SINKS.names()],
        "operators": [
            {"name": name, "options": _arguments(method), "about": _about(method)}
            for name, method in inspect.getmembers(Flow, inspect.isfunction)
            if not name.startswith("_") and name not in _ENDS
        ],
        "places": [
            {"name": name, "options": _arguments(function), "about": _about(function)}
            for name, function in ((name, load(name)) for name in EXECUTORS)
        ],
    }


def _part(registry: Registry, name: str) -> dict[str, Any]:
    part = registry.load(name)
    options = [field.name for field in dataclasses.fields(part) if field.init and field.repr]
    return {
        "name": name,
        "suffixes": registry.texts_of(name),
        "options": options,
        "guarantee": part.guarantee,
        "extra": part.extra,
        "about": _about(part),
    }


def _arguments(method: Any) -> list[str]:
    return [name for name in inspect.signature(method).parameters if name != "self"]


def _about(thing: Any) -> str:
    """Return the first sentence of a docstring."""
    paragraph = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".")


def ends_as_markdown() -> str:
    """Return the sources and sinks as a table of the README."""
    found = listing()
    sources, sinks = ({part["name"]: part for part in found[kind]} for kind in ("sources", "sinks"))
    lines = ["| name | suffixes | as a source | as a sink | extra |", "|---|---|---|---|---|"]
    for name in sorted({**sources, **sinks}):
        part = sources.get(name) or sinks[name]
        texts = dict.fromkeys(text for one in (sources, sinks) for text in one.get(name, {}).get("suffixes", ()))
        cells = [
            f"`{name}`",
            " ".join(f"`{text}`" for text in texts),
            *(one[name]["guarantee"] if name in one else "" for one in (sources, sinks)),
            f"`{part['extra']}`" if part["extra"] else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def show() -> None:
    """Print the listing as tables."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    class Printer(Console):
        def on_broken_pipe(self) -> None:
            raise  # as everywhere else: rich would exit with 1

    console = Printer()
    for title, rows in listing().items():
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("name", no_wrap=True)
        ends = title in ("sources", "sinks")
        for column in ("named by", "options", "guarantee", "needs") if ends else ("options", "what it does"):
            table.add_column(column)
        for row in rows:
            about = [row["guarantee"], row["extra"] or ""] if ends else [row["about"]]
            named = [" ".join(row["suffixes"])] if ends else []
            table.add_row(*map(escape, [row["name"], *named, ", ".join(row["options"]), *about]))
        console.print(table)
        if title == "places":
            console.print('Given to an operator\'s on=; there is "loop", "thread" and "process", too.', highlight=False)
        console.print()
    console.print(f"Files may end in {', '.join(SUFFIXES)} as well: they are compressed then.", highlight=False)
