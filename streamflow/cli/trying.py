"""`streamflow test`: the cases beside a flow, and the difference where one fails."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from streamflow.cli.describing import described_by
from streamflow.cli.exit_codes import FAILED
from streamflow.cli.standard_output import tell
from streamflow.codecs.json_lines import JsonLinesCodec
from streamflow.configuration.case_file import ENDING, Case, CaseFile
from streamflow.flows.runnable import Runnable
from streamflow.model.errors import FlowError
from streamflow.testing.trials import Trial, trial


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Hold what became of one case; `difference` says what is wrong, line by line, or is empty."""

    file: str
    name: str
    passed: bool
    difference: Sequence[str]


def try_files(paths: Sequence[str], *, allowed: Sequence[str], as_json: bool) -> int:
    """Run the cases of each file, print the verdicts, and return the exit code."""
    verdicts = []
    for path in paths or _here():
        for verdict in _verdicts(path, allowed):
            verdicts.append(verdict)
            if not as_json:
                _show(verdict)
    failed = sum(not verdict.passed for verdict in verdicts)
    if as_json:
        tell(json.dumps({"passed": len(verdicts) - failed, "failed": failed, "tests": [*map(asdict, verdicts)]}))
    else:
        tell(f"{len(verdicts) - failed} passed, {failed} failed")
    return FAILED if failed else 0


def _here() -> list[str]:
    found = sorted(str(path) for path in Path().glob(f"*{ENDING}"))
    if not found:
        raise FlowError(f"there is no file *{ENDING} in this folder; `streamflow new NAME` writes one to look at")
    return found


def _verdicts(path: str, allowed: Sequence[str]) -> Iterator[Verdict]:
    if not path.endswith(ENDING):
        raise FlowError(f"{path}: the name of a file of tests ends in {ENDING}")
    file = CaseFile(path)
    flow = described_by(file.flow, allowed=allowed)
    for case in file.cases:
        difference = list(_difference(flow, case))
        yield Verdict(file=path, name=case.name, passed=not difference, difference=difference)


def _difference(flow: Runnable, case: Case) -> Iterator[str]:
    """Yield what is other than expected, line by line."""
    try:
        found = trial(flow, case.input)
    except FlowError:
        raise
    except (Exception, SystemExit, GeneratorExit) as error:  # also what would end us, as if all were well
        yield f"the run failed: {type(error).__name__}: {error}"
        yield from getattr(error, "__notes__", ())
        return
    for label, expected in _expected(case.output, found).items():
        yield from _lines(f"output of {label}", expected, found.outputs[label], case.ordered)
    yield from _lines("failed", case.failed, [letter.item for letter in found.failed], False)
    for letter in found.failed if not case.failed else ():
        yield f"{letter.operator}: {letter.exception}: {letter.message}"


def _expected(output: Mapping[str | None, list[Any]], found: Trial) -> dict[str, list[Any]]:
    labels = list(found.outputs)
    if None in output and len(labels) == 1:
        return {labels[0]: output[None]}
    if None in output or any(label not in labels for label in output):
        known = ", ".join(map(repr, labels))
        raise FlowError(f"this flow has the sinks {known}; write output = {{ {labels[0]!r} = [...] }} and so on")
    return {label: output.get(label, []) for label in labels}


def _lines(what: str, expected: Sequence[Any], found: Sequence[Any], ordered: bool) -> Iterator[str]:
    """Yield the difference of two lists as lines that begin with a sign, as `diff` does."""
    before, after = [*map(_written, expected)], [*map(_written, found)]
    if not ordered:
        before.sort()
        after.sort()
    if before == after:
        return
    yield f"{what}: {len(before)} expected (-), {len(after)} found (+)"
    for line in list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]:
        yield line if not line.startswith("@@") else "…"


def _written(item: Any) -> str:
    """Return an item as JSON, so that what is equal looks equal: keys are sorted, 2.0 is 2."""
    try:
        plain = json.loads(JsonLinesCodec().encode(item), parse_float=_number)
        return json.dumps(plain, sort_keys=True, ensure_ascii=False)
    except Exception:  # it is of a kind that has no JSON
        return repr(item)


def _number(text: str) -> float | int:
    number = float(text)
    return int(number) if number.is_integer() else number


def _show(verdict: Verdict) -> None:
    word = click.style("pass", fg="green") if verdict.passed else click.style("FAIL", fg="red", bold=True)
    tell(f"{word}  {verdict.file}: {verdict.name}")
    for line in verdict.difference:
        colour = {"-": "red", "+": "green"}.get(line[:1])
        tell(f"      {click.style(line, fg=colour) if colour else line}")
