"""The command line: verbs that describe, look at, try and run flows."""

from __future__ import annotations

import os
import sys

from streamflow.cli.standard_output import close_stdout


def main() -> None:
    """Run the command line; the entry point of the `streamflow` command."""
    _reserve_descriptors()
    try:
        sys.exit(_flushed(_invoked()))
    except KeyboardInterrupt:  # a run takes the signal itself: nothing was begun
        close_stdout()
        sys.exit(130)
    except Exception as error:
        from streamflow.cli.exit_codes import BUG, exit_code

        close_stdout()
        code = exit_code(error)
        if code == BUG:
            import traceback

            traceback.print_exc()
            print("this is a mistake of streamflow, not yours: please report it, with the above", file=sys.stderr)
        print(f"error: {error}", file=sys.stderr)
        sys.exit(code)


def _flushed(code: int | str | None) -> int | str | None:
    """Return `code` once all that was printed has gone, or whoever read it, such as `head`, has left."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        close_stdout()
    return code


def _invoked() -> int | str | None:
    """Run the command that was typed, and return what to exit with."""
    import click

    from streamflow.cli.commands import cli
    from streamflow.cli.verb import ReaderHasLeft

    try:
        code = cli.main(prog_name="streamflow", standalone_mode=False)
        return code if isinstance(code, int) else 0  # what `Verb` exits with: click hands it back, as it is told to
    except SystemExit as ended:  # a verb's own code
        return ended.code
    except click.ClickException as mistake:
        mistake.show()
        return mistake.exit_code
    except click.Abort:
        print("aborted", file=sys.stderr)
        return 130
    except ReaderHasLeft:
        close_stdout()
    return 0


def _reserve_descriptors() -> None:
    """Have something at 0, 1 and 2: what is opened next would be taken for standard input or output there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - as long as the process lives
