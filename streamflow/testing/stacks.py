"""Where a task or a thread stands, in one line: for the messages of everything else in this folder."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from os.path import basename
from types import FrameType
from typing import Any


def describe_task(task: asyncio.Task[Any]) -> str:
    """Name a task and the whole chain of awaits in which it stands.

    `Task.get_stack` shows the outermost coroutine only; what is wanted is the innermost.
    """
    return f"task {task.get_name()!r}: {describe_await(task.get_coro())}"


def describe_await(awaited: object) -> str:
    """Write the chain of awaits below `awaited`, outermost first, ending in what is waited for."""
    return " > ".join(_links(awaited)) or "not started"


def describe_thread(ident: int | None, depth: int = 4) -> str:
    """Write the innermost `depth` frames of a thread, outermost first."""
    frame = sys._current_frames().get(ident) if ident is not None else None
    found: list[str] = []
    while frame is not None and len(found) < depth:
        found.append(_place(frame, frame.f_lineno))
        frame = frame.f_back
    return " > ".join(reversed(found)) or "not running Python code"


def _links(awaited: object) -> Iterator[str]:
    while awaited is not None:
        frame = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        inner = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
        if frame is not None:
            yield _place(frame, frame.f_lineno)
        elif inner is None:
            yield _leaf(awaited)
        awaited = inner


def _first(holder: object, *names: str) -> Any:
    return next((value for name in names if (value := getattr(holder, name, None)) is not None), None)


def _leaf(awaited: object) -> str:
    # A FutureIter hides its future; its type says as much as can be known.
    return repr(awaited) if isinstance(awaited, asyncio.Future) else f"<{type(awaited).__name__}>"


def _place(frame: FrameType, line: int) -> str:
    return f"{basename(frame.f_code.co_filename)}:{line} in {frame.f_code.co_qualname}"
