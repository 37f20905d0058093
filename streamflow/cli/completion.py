"""`streamflow completion`: what a shell must read to complete verbs, options and files."""

from __future__ import annotations

import os
from pathlib import PurePath

import click
from click.shell_completion import get_completion_class

from streamflow.model.errors import FlowError

SHELLS = ("bash", "zsh", "fish")


def completion_script(cli: click.Command, shell: str | None) -> str:
    """Return the script of `cli` for `shell`, or for the one that is in use; FlowError if that is none of them."""
    shell = shell or PurePath(os.environ.get("SHELL", "")).name
    kind = get_completion_class(shell) if shell in SHELLS else None
    if kind is None:
        raise FlowError(f"there is no completion for the shell {shell!r}: name one of {', '.join(SHELLS)}")
    return kind(cli, {}, "streamflow", "_STREAMFLOW_COMPLETE").source()
