"""What all verbs share: how a mistake is told, and the options that several have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

env = click.option("--env", multiple=True, metavar="NAME", help="Let a file use this variable. Repeatable.")


def as_json(what: str) -> Callable[[Any], Any]:
    """Return the option that has `what` printed as JSON."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what} as one JSON object.")


class ReaderHasLeft(Exception):
    """Say that whoever read standard output, such as `head`, has left. click takes a BrokenPipeError for failure."""


class Verbs(click.Group):
    """Be a group of commands none of which fails because its reader has left."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Parse; print the help, if that was asked for."""
        try:
            return super().make_context(*arguments, **options)
        except BrokenPipeError as error:
            raise ReaderHasLeft from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderHasLeft from error


class Verb(click.Command):
    """Be a command that tells what went wrong, and exits with the code for it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            from rich.console import Console

            from streamflow.cli.exit_codes import BUG, exit_code
            from streamflow.cli.perform import explain, print_error

            console = Console(stderr=True, soft_wrap=True)
            code = exit_code(error)
            explain(error, console, True if code == BUG else None)
            if ctx.params.get("as_json"):
                print_error(error, console)
            ctx.exit(code)
