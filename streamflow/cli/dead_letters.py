"""`streamflow dlq ls` and `show`: what a run has set aside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import click
import msgspec

from streamflow.flows.flow import flow
from streamflow.model.errors import FlowError, RecordError
from streamflow.sources.json_lines import JsonLines

#: As much of a message as a table shows.
SHOWN = 100


class Letter(msgspec.Struct):
    """Hold a dead letter as it stands in a file; `form` says how its item was written."""

    item: Any
    stage: str
    operator: str
    exception: str
    message: str
    form: str
    index: int = 0
    position: dict[str, Any] | None = None
    traceback: str = ""
    attempts: int = 1
    time: float = 0.0
    emitted: int = 0

    @property
    def place(self) -> str:
        """Return where the item came from, in a few words."""
        known = self.position or {}
        for name in ("line", "index"):
            if isinstance(number := known.get(name), int):
                return f"{known.get('source')}, {'item' if name == 'index' else name} {number:,}"
        return str(known.get("source", ""))


@dataclass(kw_only=True)
class Group:
    """Count the letters of one operator and one kind of error."""

    operator: str
    exception: str
    message: str
    place: str
    line: int
    count: int = 0
    forms: dict[str, int] = field(default_factory=dict)


def letters(path: str) -> Iterator[Letter]:
    """Yield the dead letters in a file; what is none raises RecordError, with a note of where it stands."""
    try:
        yield from flow(JsonLines(path, type=Letter))
    except ValueError as error:
        refused = RecordError(f"{path}: this is no dead letter: {error}")
        refused.__notes__ = getattr(error, "__notes__", [])
        raise refused from None


def list_letters(path: str, *, as_json: bool) -> None:
    """Print what has failed where, how often, and the first of each kind."""
    groups: dict[tuple[str, str], Group] = {}
    for line, letter in enumerate(letters(path), 1):
        key = (letter.operator, letter.exception)
        if key not in groups:
            groups[key] = Group(
                operator=key[0], exception=key[1], message=letter.message, place=letter.place, line=line
            )
        group = groups[key]
        group.count += 1
        group.forms[letter.form] = group.forms.get(letter.form, 0) + 1
    found = sorted(groups.values(), key=lambda group: -group.count)
    total = sum(group.count for group in found)
    if as_json:
        click.echo(json.dumps({"file": path, "total": total, "groups": [vars(group) for group in found]}))
        return
    click.echo(f"{path}: {total:,} dead letter{'s' * (total != 1)}")
    for group in found:
        message = " ".join(group.message.split())
        click.echo(f"  {group.count:>9,}  {group.operator}: {group.exception}: {_cut(message)}")
        where = f", of {group.place}" if group.place else ""
        click.echo(f"  {'':>9}  first: letter {group.line:,}{where}")
    if found:
        click.echo(f"\nstreamflow dlq show {path} {found[0].line} shows one, with its traceback")


def show_letter(path: str, number: int, *, as_json: bool) -> None:
    """Print all that is known about letter `number`, counted from 1."""
    letter = next(islice(letters(path), number - 1, None), None)
    if letter is None:
        raise FlowError(f"{path} has fewer than {number:,} dead letters: {sum(1 for _ in letters(path)):,}")
    values = msgspec.to_builtins(letter)
    if as_json:
        click.echo(json.dumps(values))
        return
    item = json.dumps(letter.item, indent=2, ensure_ascii=False)
    rows = {
        "failed in": f"{letter.operator}, of stage {letter.stage}",
        "came from": letter.place or "unknown",
        "when": f"{_when(letter.time)}, at attempt {letter.attempts}",
        "error": f"{letter.exception}: {letter.message}",
        f"item ({letter.form})": item,
    }
    for name, value in rows.items():
        click.echo(f"{click.style(name, bold=True)}: {value}")
    click.echo(f"\n{letter.traceback.rstrip()}")


def _when(time: float) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(time, UTC).isoformat(" ", "seconds").removesuffix("+00:00") + " UTC"
    except (ValueError, OverflowError, OSError):  # somebody has edited it
        return f"{time:g} seconds after 1970"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
