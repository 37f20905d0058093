"""What all verbs share: how a mistake is told, and the options that several have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from streamflow.model.errors import StreamflowError

env = click.option("--env", multiple=True, metavar="NAME", help="Let a file use this variable. Repeatable.")


def as_json(what: str) -> Callable[[Any], Any]:
    """Return the option that has `what` printed as JSON."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what} as one JSON object.")


class Verb(click.Command):
    """Be a command that tells what went wrong, and exits with the code for it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except (StreamflowError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            from rich.console import Console

            from streamflow.cli.exit_codes import exit_code
            from streamflow.cli.perform import explain

            explain(error, Console(stderr=True, soft_wrap=True), None)
            ctx.exit(exit_code(error))
