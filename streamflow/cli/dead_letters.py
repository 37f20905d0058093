"""`streamflow dlq ls` and `show`: what a run has set aside."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import click
import msgspec

from streamflow.flows.flow import flow
from streamflow.model.errors import FlowError, RecordError
from streamflow.sources.json_lines import JsonLines

#: As much of a message as a table shows.
SHOWN = 100
#: Messages of one group that are told apart.
MESSAGES = 5


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
class Message:
    """Count the letters of one group that say the same, and know the first."""

    message: str
    place: str
    line: int
    count: int = 0


@dataclass(kw_only=True)
class Group:
    """Count the letters of one operator and one kind of error; `others` say more than is told apart."""

    operator: str
    exception: str
    message: str
    place: str
    line: int
    count: int = 0
    forms: dict[str, int] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    others: int = 0

    def add(self, letter: Letter, line: int) -> None:
        """Count `letter`, which stands in `line`."""
        self.count += 1
        self.forms[letter.form] = self.forms.get(letter.form, 0) + 1
        same = next((one for one in self.messages if one.message == letter.message), None)
        if same is None:
            if len(self.messages) == MESSAGES:
                self.others += 1
                return
            same = Message(message=letter.message, place=letter.place, line=line)
            self.messages.append(same)
        same.count += 1


def letters(path: str) -> Generator[Letter]:
    """Yield the dead letters in a file; what is none raises RecordError, with a note of where it stands."""
    try:
        yield from flow(JsonLines(path, type=Letter))
    except ValueError as error:
        refused = RecordError(f"{path}: this is no dead letter: {error}")
        refused.__notes__ = getattr(error, "__notes__", [])
        raise refused from None


def list_letters(path: str, *, as_json: bool) -> None:
    """Print what has failed where, how often, with which messages, and the first of each kind."""
    groups: dict[tuple[str, str], Group] = {}
    for line, letter in enumerate(letters(path), 1):
        key = (letter.operator, letter.exception)
        if key not in groups:
            groups[key] = Group(
                operator=key[0], exception=key[1], message=letter.message, place=letter.place, line=line
            )
        groups[key].add(letter, line)
    found = sorted(groups.values(), key=lambda group: -group.count)
    total = sum(group.count for group in found)
    if as_json:
        click.echo(json.dumps({"file": path, "total": total, "groups": [asdict(group) for group in found]}))
        return
    click.echo(f"{path}: {total:,} dead letter{'s' * (total != 1)}")
    for group in found:
        _tell(group)
    if found:
        click.echo(f"\nstreamflow dlq show {path} {found[0].line} shows one, with its traceback")


def _tell(group: Group) -> None:
    head = f"  {group.count:>9,}  {group.operator}: {group.exception}"
    if len(group.messages) == 1:
        click.echo(f"{head}: {one_line(group.message)}")
        click.echo(f"  {'':>9}  {_first(group.messages[0])}")
        return
    click.echo(head)
    for one in sorted(group.messages, key=lambda one: -one.count):
        click.echo(f"  {one.count:>12,}  {one_line(one.message)}")
        click.echo(f"  {'':>12}  {_first(one)}")
    if group.others:
        click.echo(f"  {'':>12}  and {group.others:,} other{'s' * (group.others != 1)}")


def _first(one: Message) -> str:
    return f"first: letter {one.line:,}{f', of {one.place}' if one.place else ''}"


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


def one_line(message: str) -> str:
    """Return as much of a message as a line of a table shows."""
    text = " ".join(message.split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
