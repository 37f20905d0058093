"""A file that is written on a thread of its own: what every sink of files is made of."""

from __future__ import annotations

import asyncio
import os
from abc import abstractmethod
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, TypeVar

from streamflow.files.file_system import FileSystem, NobodyReads
from streamflow.files.local import LOCAL
from streamflow.files.target import STREAMS, Target
from streamflow.files.threads import FileThread
from streamflow.model.checkpoint import Delivery
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Writer
from streamflow.model.policies import ErrorPolicy
from streamflow.sinks.policed import PolicedSink

T = TypeVar("T")

#: Seconds after which a pipe without a reader is tried again, at first and at most.
FIRST_PAUSE, LAST_PAUSE = 0.001, 0.1


class FilePolicy(ErrorPolicy):
    """Be a policy for records: an error of the disk is the fault of none of them, and ends the run."""

    __slots__ = ()

    def check(self, failures: int, label: str, error: BaseException) -> None:
        """Raise `error` if it is one of the disk: each item after it would only meet the same."""
        if isinstance(error, OSError) and error.errno is not None:  # one of the system, not of somebody's `__str__`
            raise error
        super().check(failures, label, error)


@dataclass(frozen=True)
class FileSink(PolicedSink[T]):
    """Describe a file."""

    path: str | os.PathLike[str]
    _: KW_ONLY
    files: FileSystem = field(default=LOCAL, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "errors", FilePolicy(self.on_error, self.max_failures))
        path = os.fspath(self.path)
        if not isinstance(path, str) or not path:
            raise FlowError(f"{type(self).__name__}({self.path!r}): expected the path of a file")
        object.__setattr__(self, "path", path)

    @property
    def file(self) -> str | None:
        """Return the absolute path."""
        return os.path.abspath(self.path)

    def writes(self, path: str) -> bool:
        """Tell whether `path` is that file, by whatever links."""
        return self.files.same(self.label, path)

    def missing(self) -> str | None:
        """Return the path if there is nothing under it."""
        return self.label if self.files.kind(self.label) == "missing" else None

    @property
    def delivery(self) -> Delivery:
        """Tell that a file is cut to what was committed; what went into a pipe or a device cannot be taken back."""
        with suppress(OSError):  # which `open` tells
            if self.files.kind(self.label) in STREAMS:
                return "at least once"
        return "exactly once"

    @property
    def label(self) -> str:
        """Return the path."""
        return os.fspath(self.path)

    async def open(self, bounded: bool, mark: str | None = None) -> Writer[Any]:
        """Open the file for one run; raise an OSError that names what is wrong. A pipe is opened once it is read.

        `mark` is what a temporary name has in it.
        """
        thread = FileThread(self.label)
        pause = FIRST_PAUSE
        opening = thread.submit(self.target, bounded, mark)
        try:
            while True:
                try:
                    return self.writer(await asyncio.shield(opening), thread)
                except NobodyReads:
                    await asyncio.sleep(pause)  # the system tells nobody when a reader comes
                pause = min(2 * pause, LAST_PAUSE)
                opening = thread.submit(self.target, bounded, mark)
        except BaseException:
            await thread.close()
            if opening.done() and opening.exception() is None:
                opening.result().discard()
            raise

    async def open_marked(self, bounded: bool, mark: str) -> Writer[Any]:
        """Open it under a temporary name that a later run knows."""
        return await self.open(bounded, mark)

    @abstractmethod
    def target(self, bounded: bool, mark: str | None) -> Target:
        """Open what is written to, on the file's thread; `bounded` tells whether the flow ends by itself."""

    @abstractmethod
    def writer(self, target: Target, thread: FileThread) -> Writer[Any]:
        """Return what writes to `target`."""
