"""What a command's exit code says: BSD's numbers, where they have one. Pure."""

from __future__ import annotations

import errno
import os
import traceback

from streamflow.configuration.problem import ConfigurationError
from streamflow.files.decompression import UnreadableContent
from streamflow.files.rooted import OutsideOfRoots
from streamflow.model.errors import CheckpointDamaged, FlowError, NoForm, NotSerialisable, RecordError, TooManyFailures

FAILED = 1
USAGE = 2
#: The input is wrong, or what came of it has no form in the output.
DATA = 65
#: We are wrong.
BUG = 70
#: It may go well another time.
RETRY = 75
CONFIGURATION = 78

_FOR_NOW = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EAGAIN", "EMFILE", "ENFILE", "ENOMEM", "EBUSY", "ETXTBSY", "ESTALE")
    if hasattr(errno, name)
}
OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: Where it is seen that an item has no form in the output, if not by the package that writes tables.
_FORMS = (os.path.join(OURS, "sinks", ""), os.path.join(OURS, "codecs", ""))


def exit_code(error: BaseException) -> int:
    """Return the exit code for what ended a command.

    >>> exit_code(FlowError("no sink")), exit_code(TimeoutError()), exit_code(KeyError("user"))
    (2, 75, 1)
    """
    if isinstance(error, ConfigurationError):
        return CONFIGURATION
    if isinstance(error, (FlowError, OutsideOfRoots)):
        return USAGE
    if isinstance(error, (RecordError, TooManyFailures, UnreadableContent, NoForm, CheckpointDamaged)):
        return DATA
    if isinstance(error, (ConnectionError, TimeoutError)) and not isinstance(error, BrokenPipeError):
        return RETRY
    if isinstance(error, OSError):
        return RETRY if error.errno in _FOR_NOW else FAILED
    if isinstance(error, NotSerialisable):
        return FAILED  # it is what the user's functions keep
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if _has_no_form(error, files):
        return DATA
    if not files or any(is_users(file) for file in files):
        return FAILED
    if isinstance(error, ValueError):
        return DATA  # nobody's function but a decoder's, or a converter such as `int`
    explained = any(note.startswith("in stage ") for note in getattr(error, "__notes__", ()))
    return BUG if files[-1].startswith(OURS) and not explained else FAILED


def _has_no_form(error: BaseException, files: list[str]) -> bool:
    """Tell whether an error that came through `files` is about an item which its sink cannot take."""
    while files and "pyarrow/" in files[-1]:
        files = files[:-1]
    found = isinstance(error, (TypeError, ValueError, NotImplementedError)) and bool(files)
    return found and files[-1].startswith(_FORMS) and not any(is_users(file) for file in files)


def users_place(error: BaseException) -> str | None:
    """Return the innermost line of the user's code that an error has passed through, or None."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)]
    frames = [frame for frame in frames if os.path.isfile(frame.filename)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else None


def is_users(file: str) -> bool:
    """Tell whether a file is neither ours nor Python's."""
    return not file.startswith((OURS, "<streamflow fused", "<frozen", "uvloop/", os.path.dirname(os.__file__)))
