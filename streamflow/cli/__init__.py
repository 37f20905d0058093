"""The command line: `streamflow demo`, `streamflow run`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; the entry point of the `streamflow` command."""
    _reserve_descriptors()
    from streamflow.cli.commands import cli

    try:
        cli(prog_name="streamflow")
    except BrokenPipeError:  # of --help and the like: whoever read it has gone
        _close_stdout()
    except OSError as error:
        _close_stdout()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _reserve_descriptors() -> None:
    """Have something at 0, 1 and 2: what is opened next would be taken for standard input or output there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - as long as the process lives


def _close_stdout() -> None:
    """Keep the interpreter from complaining at exit about output that cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
