"""`streamflow dlq replay`: dead letters go through the flow again, from the operator that failed."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from typing import Any

import click

from streamflow.cli.dead_letters import Letter, letters, one_line
from streamflow.cli.describing import described_by
from streamflow.cli.exit_codes import DATA
from streamflow.cli.perform import perform, print_report
from streamflow.codecs.json_lines import JsonLinesCodec
from streamflow.configuration.problem import nearest
from streamflow.files.compression import without_suffix
from streamflow.flows.flow import Flow, flow
from streamflow.flows.joins import merge
from streamflow.flows.resolve import as_sink, as_source
from streamflow.flows.rewiring import entered, parts_of, rewired, sets_aside, with_letters, with_policy
from streamflow.flows.runnable import Runnable
from streamflow.model.errors import FlowError, RecordError
from streamflow.model.failures import SentAgain
from streamflow.model.graph import Part
from streamflow.model.interfaces import Sink, Source
from streamflow.model.policies import DeadLetters
from streamflow.sources.csv_rows import Csv
from streamflow.sources.json_lines import JsonLines
from streamflow.sources.taking import Take

#: Where a letter enters: the operator that failed, and its stage as the run called it.
Entry = tuple[str, str]

#: The forms in which the item itself is there.
WHOLE = ("value", "text")
#: Files whose header is remembered.
FILES = 256


def replay(
    path: str,
    reference: str,
    *,
    to: Sequence[str],
    failed: str | None,
    plain: bool,
    allowed: Sequence[str],
    as_json: bool,
) -> int:
    """Send the letters in `path` through the flow that `reference` names; return the exit code."""
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True)
    described = described_by(reference, allowed=allowed)
    forms = (*WHOLE, "encoded") if plain else WHOLE
    sent: Counter[Entry] = Counter()
    left: Counter[str] = Counter()
    for letter in letters(path):
        if letter.form in forms:
            sent[letter.operator, letter.stage] += 1
        else:
            left[letter.form] += 1
    _tell_left(path, left, plain)
    if not sent:
        click.echo(f"{path}: there is nothing to send", err=True)
        return 0
    again = failed or f"{without_suffix(path).removesuffix('.jsonl')}.failed.jsonl"
    aside = as_sink(again)
    _refuse_known(described, path, [*to, again])
    entering = _replayed(described, path, list(sent), forms, DeadLetters(aside))
    replayed = _planned(_led_to(entering, to, aside, all_let_go=True), _led_to(entering, to, aside, all_let_go=False))
    report, code = perform(replayed, console)
    if report is None:
        return code
    lost = report.failed
    if report.state == "finished" and lost >= sent.total():
        code = DATA
    if as_json:
        return print_report(report, console) or code
    if report.state != "finished":
        click.echo(f"stopped: the first {report.items_in:,} letters of {path} were sent, the others were not", err=True)
        return code
    click.echo(f"{sent.total():,} sent, {lost:,} failed again{f', see {again}' if lost else ''}", err=True)
    if lost:
        _tell_first(again, aside)
    return code


def _tell_first(again: str, aside: Sink[Any]) -> None:
    """Say why the first letter in `again` failed, and how to see the others, if they can be read there."""
    if aside.file is None:
        return
    try:
        with closing(letters(again)) as found:
            first = next(found, None)
    except (OSError, ValueError, FlowError, RecordError):  # led to a file of another kind
        return
    if first is not None:
        click.echo(f"the first: {first.operator}: {first.exception}: {one_line(first.message)}", err=True)
        click.echo(f"streamflow dlq ls {shlex.quote(again)} shows them all", err=True)


def _tell_left(path: str, left: Counter[str], plain: bool) -> None:
    """Say which letters cannot be sent, and why; they stay where they are."""
    for form, count in left.items():
        hint = "; --plain sends these" if form == "encoded" and not plain else ""
        click.echo(f"{path}: {count:,} not sent, they stay there: {_WHY.get(form, form)}{hint}", err=True)


_WHY = {
    "encoded": "of their items only the JSON form was kept",
    "escaped": "their items are bytes that are no UTF-8",
    "cut": "their items are longer than what was kept",
    "repr": "their items could not be written, only described",
}


def _replayed(
    described: Runnable, path: str, entries: Sequence[Entry], forms: Sequence[str], aside: DeadLetters
) -> Runnable:
    """Return the flow that takes the letters of `path`, each to where it failed."""
    found = {entry: _entrance(described, entry) for entry in entries}
    fitting: Flow[Letter] = flow(JsonLines(path, type=Letter)).filter(lambda letter: letter.form in forms)
    gathered = fitting.map(_sent_again)
    if len(found) == 1:
        routed: dict[Any, Flow[SentAgain]] = {next(iter(found)): gathered}
    else:
        routed = gathered.route(lambda letter: (letter.operator, letter.stage), *found)
    flows: dict[Part, list[Flow[Any]]] = {}
    for entry, part in found.items():
        items = routed[entry].map(_item_for(part), name="item", on_error=aside)
        flows.setdefault(part, []).append(items)
    return entered(described, {part: _merged(several) for part, several in flows.items()})


def _sent_again(letter: Letter) -> SentAgain:
    return SentAgain(letter.item, letter.stage, letter.operator, letter.index, letter.position)


def _merged(flows: list[Flow[Any]]) -> Flow[Any]:
    return flows[0] if len(flows) == 1 else merge(*flows)


def _entrance(described: Runnable, entry: Entry) -> Part:
    """Return the part that failed; FlowError says what is near if the flow has none such."""
    operator, stage = entry
    parts = parts_of(described)
    kind = {"decode": Source, "encode": Sink}.get(operator)
    fitting = [part for part in parts if (isinstance(part.what, kind) if kind else part.what.label == operator)]
    if len(fitting) > 1:
        planned = next((one for one in described.plan.stages if one.name == stage), None)
        inside = [] if planned is None else [planned.source, planned.sink, *planned.operators()]
        fitting = [part for part in fitting if any(part.what is one for one in inside)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise FlowError(f"{operator!r} stands {len(fitting)} times in this flow: tell them apart by name=...")
    near = nearest(operator, [part.what.label for part in parts])
    raise FlowError(
        f"the letters come from {operator!r} in stage {stage!r}, and this flow has none such"
        + (f"; did you mean to give {near!r} that name=...?" if near else "")
    )


def _item_for(part: Part) -> Callable[[SentAgain], Any]:
    """Return what makes of a letter the item that is to go on."""
    source = part.what
    if not isinstance(source, Source):
        return lambda letter: letter.item
    if isinstance(source, Csv):
        return _row_for(source)
    decode = getattr(source, "decode", None)
    if decode is None or isinstance(decode, Take):  # which looks at records, and makes none
        return lambda letter: letter.item
    encode = JsonLinesCodec().encode if hasattr(source, "type") else None

    def decoded(letter: SentAgain) -> Any:
        """Decode a text again; what is no text any more was mended to an item."""
        if isinstance(letter.item, str):
            return decode(letter.item.encode())
        return letter.item if encode is None else decode(encode(letter.item))

    return decoded


def _row_for(source: Csv) -> Callable[[SentAgain], Any]:
    """Return what decodes a row again, by the names in the file that it came from."""
    names_in = lru_cache(FILES)(lambda path: _names_in(source, path))

    def names_for(letter: SentAgain) -> Sequence[str] | None:
        if not isinstance(source.header, bool):
            return source.header
        came_from = (letter.position or {}).get("source")
        places = [came_from] if isinstance(came_from, str) else []
        return next(filter(None, map(names_in, [*places, *source.paths])), None) if source.header else None

    return lambda letter: source.again(letter.item, names_for(letter) if isinstance(letter.item, (list, str)) else None)


def _names_in(source: Csv, path: str) -> tuple[str, ...] | None:
    """Return the header of the file at `path`, or None if there is none to be read."""
    rows = replace(source, path=path, header=False, types=None, follow=False, on_error="fail", max_failures=None)
    try:
        if source.files.kind(path) != "file":  # a pipe would wait, and lose what it gives
            return None
        return next((tuple(row) for row in flow(rows).take(1)), None)
    except (OSError, ValueError, FlowError):
        return None


def _led_to(described: Runnable, to: Sequence[str], aside: Sink[Any], *, all_let_go: bool) -> Runnable:
    """Return the flow with other sinks in the place of its own, and its dead letters in `aside`.

    With `all_let_go` what would fail the run is set aside, too: one letter must not keep the others from going through.
    """
    ends = [part.what.label for part in parts_of(described) if isinstance(part.what, Sink)]
    targets = _targets(ends, to)

    def change(what: Any) -> Any:
        lets_go = all_let_go or sets_aside(what)
        if isinstance(what, Sink):
            target = as_sink(targets[what.label])
            return _setting_aside(target, aside) if lets_go else target
        if isinstance(what, Source):
            return what  # of letters, or one that is not read
        return _setting_aside(what, aside) if lets_go else with_letters(what, aside)

    return rewired(described, change)


def _setting_aside(what: Any, aside: Sink[Any]) -> Any:
    try:
        return with_policy(what, DeadLetters(aside))
    except FlowError:  # of a third party, or with nothing that could fail
        return what


def _planned(wanted: Runnable, otherwise: Runnable) -> Runnable:
    """Return `wanted`, unless it cannot be planned: before a `zip`, items must not be let go."""
    try:
        wanted.plan  # noqa: B018 - what cannot be planned is told now
    except FlowError:
        return otherwise
    return wanted


def _refuse_known(described: Runnable, path: str, targets: Sequence[str]) -> None:
    """Raise FlowError if something would be replaced that the flow reads or writes, or the letters themselves."""
    letters_file = as_source(path)
    parts = [part.what for part in parts_of(described)]
    for target in targets:
        file = as_sink(target.rpartition("=")[2]).file
        if file is None:
            continue
        for part in (letters_file, *parts):
            if part.reads(file) if isinstance(part, Source) else isinstance(part, Sink) and part.writes(file):
                raise FlowError(f"{target}: it would replace {part.label}, which is the flow's own; give another file")
            if sets_aside(part) and part.errors.on_error.sink.writes(file):  # type: ignore[union-attr]
                raise FlowError(f"{target}: it would replace the dead letters of {part.label}; give another file")


def _targets(ends: Sequence[str], to: Sequence[str]) -> dict[str, str]:
    """Return for the label of each sink what takes its place."""
    if len(ends) == 1 and len(to) <= 1 and not any(one.startswith(f"{ends[0]}=") for one in to):
        return {ends[0]: to[0] if to else "-"}
    given = dict(one.rpartition("=")[::2] for one in to)
    for end in ends:
        if end not in given:
            example = " ".join(f"--to {label}=PATH" for label in ends)
            raise FlowError(f"the letters go to the sinks {', '.join(ends)}: say where each leads, as in {example}")
    return given
