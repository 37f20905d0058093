"""The command line: `streamflow demo`, `streamflow run`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the entry point of the `streamflow` command."""
    from streamflow.cli.commands import cli

    cli(prog_name="streamflow")
