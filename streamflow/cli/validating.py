"""`streamflow validate`: all that is wrong with files, before anything runs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import click

from streamflow.cli.describing import described_by, is_configuration
from streamflow.cli.exit_codes import CONFIGURATION
from streamflow.cli.standard_output import tell
from streamflow.configuration.problem import ConfigurationError
from streamflow.configuration.references import is_reference
from streamflow.model.errors import FlowError


def validate_files(references: Sequence[str], *, imports: bool, allowed: Sequence[str], as_json: bool) -> int:
    """Look at each, print what is wrong, and return the exit code.

    Python raises FlowError, unless it may be imported: no mistake of its was found, nor looked for.
    """
    if not imports:
        _refuse_python(references)
    found = {reference: _problems(reference, imports, allowed) for reference in references}
    valid = not any(found.values())
    if as_json:
        files = [{"file": name, "problems": [_plain(error) for error in errors]} for name, errors in found.items()]
        tell(json.dumps({"valid": valid, "files": files}))
    else:
        for name, errors in found.items():
            _show(name, errors)
    return 0 if valid else CONFIGURATION


def _problems(reference: str, imports: bool, allowed: Sequence[str]) -> Sequence[Any]:
    """Return the problems of a file, or the one error that Python's flow gives."""
    try:
        if reference.endswith(".test.toml"):
            from streamflow.configuration.case_file import CaseFile

            CaseFile(reference)
        elif is_configuration(reference):
            from streamflow.configuration.flow_file import FlowFile

            FlowFile(reference, imports=imports, allowed=allowed)
        else:
            described_by(reference).plan  # noqa: B018 - what does not go together is told now
    except ConfigurationError as error:
        return error.problems
    except FlowError as error:
        return [error]
    return []


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


def _show(name: str, errors: Sequence[Any]) -> None:
    for error in errors:
        click.echo(f"error: {error}\n" if isinstance(error, FlowError) else f"{error}\n", err=True)
    number = len(errors)
    tell(f"{name}: {'valid' if not number else f'{number} mistakes' if number > 1 else 'one mistake'}")
