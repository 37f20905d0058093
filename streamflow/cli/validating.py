"""`streamflow validate`: all that is wrong with files, before anything runs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from streamflow.cli.describing import described_by, is_configuration
from streamflow.cli.exit_codes import CONFIGURATION
from streamflow.cli.standard_output import tell
from streamflow.configuration.problem import ConfigurationError
from streamflow.configuration.references import is_reference
from streamflow.engine.explain import promises
from streamflow.engine.guarantees import Guarantee, weakest
from streamflow.model.errors import FlowError
from streamflow.model.printable import printable


def validate_files(references: Sequence[str], *, imports: bool, allowed: Sequence[str], as_json: bool) -> int:
    """Look at each, print what is wrong, and return the exit code.

    Python raises FlowError, unless it may be imported: no mistake of its was found, nor looked for.
    """
    if not imports:
        _refuse_python(references)
    found = [_looked_at(reference, imports, allowed) for reference in dict.fromkeys(references)]
    valid = not any(one.problems for one in found)
    if as_json:
        tell(json.dumps({"valid": valid, "files": [one.as_dict() for one in found]}))
    else:
        for one in found:
            _show(one)
    return 0 if valid else CONFIGURATION


@dataclass(frozen=True, slots=True)
class Found:
    """Hold the problems of a file, or the one error that Python's flow gives, and what is promised of checkpoints.

    `would` says what a run with checkpoint= would promise, where the file itself asks for none.
    """

    file: str
    problems: Sequence[Any] = ()
    guarantees: tuple[Guarantee, ...] = ()
    would: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        plain: dict[str, Any] = {"file": self.file, "problems": [_plain(problem) for problem in self.problems]}
        if self.guarantees:
            plain |= {"guarantees": [asdict(one) for one in self.guarantees], "weakest": weakest(self.guarantees)}
        if self.would:
            plain["with_checkpoints"] = self.would
        return plain


def _looked_at(reference: str, imports: bool, allowed: Sequence[str]) -> Found:
    try:
        if reference.endswith(".test.toml"):
            from streamflow.configuration.case_file import CaseFile

            CaseFile(reference)
        elif is_configuration(reference):
            from streamflow.configuration.flow_file import FlowFile

            file = FlowFile(reference, imports=imports, allowed=allowed)
            asks = file.checkpoints is not None
            return Found(reference, (), file.guarantees, () if asks or file.plan is None else promises(file.plan))
        else:
            return Found(reference, would=promises(described_by(reference).plan))
    except ConfigurationError as error:
        return Found(reference, error.problems)
    except FlowError as error:
        return Found(reference, [error])
    return Found(reference)


def _refuse_python(references: Sequence[str]) -> None:
    for reference in filter(_is_python, references):
        raise FlowError(f"{reference} is Python, which is looked at by importing it: add --imports")


def _is_python(reference: str) -> bool:
    """Tell whether only an import could show more."""
    path = reference.partition(":")[0]
    return is_reference(reference) or (path.endswith(".py") and os.path.isfile(path))


def _plain(problem: Any) -> dict[str, Any]:
    found: dict[str, Any] = problem.as_dict() if hasattr(problem, "as_dict") else {"message": str(problem)}
    return found


def _show(found: Found) -> None:
    for error in found.problems:
        click.echo(f"error: {error}\n" if isinstance(error, FlowError) else f"{error}\n", err=True)
    number = len(found.problems)
    tell(f"{found.file}: {'valid' if not number else f'{number} mistakes' if number > 1 else 'one mistake'}")
    for line in found.would:
        tell(f"  {printable(line)}")
    for one in found.guarantees:
        tell(f"  {printable(str(one))}")
    if len(found.guarantees) > 1:
        tell(f"  in all: {weakest(found.guarantees)}")
