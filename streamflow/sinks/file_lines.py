"""Lines of a file, written in large pieces on a thread of the file's own."""

from __future__ import annotations

import asyncio
import os
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar, TypeVar

from streamflow.files.compression import Compression, method_of
from streamflow.files.file_system import FileSystem
from streamflow.files.local import LOCAL
from streamflow.files.target import Target
from streamflow.files.threads import FileThread
from streamflow.model.errors import FlowError
from streamflow.sinks.lines import LinesWriter
from streamflow.sinks.policed import PolicedSink

T = TypeVar("T")


@dataclass(frozen=True)
class FileLines(PolicedSink[T]):
    """Describe a file of lines.

    The output of a flow that ends by itself is written under a temporary name in the same directory, and
    replaces `path` when the run succeeds. That of a flow that does not is appended to `path` in place, whole
    lines at a time. `compression` is `gzip`, `zstd`, `xz` or None; `auto` goes by the suffix (.gz, .zst, .xz).
    """

    guarantee = "whole or not there; in place if the flow has no end"

    #: Whether a record ends in a line end, so that one torn by a crash is closed before others follow it.
    lines: ClassVar[bool] = True

    path: str | os.PathLike[str]
    _: KW_ONLY
    compression: Compression = "auto"
    files: FileSystem = field(default=LOCAL, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        path = os.fspath(self.path)
        if not isinstance(path, str) or not path:
            raise FlowError(f"{type(self).__name__}({self.path!r}): expected the path of a file")
        object.__setattr__(self, "path", path)
        method_of(path, self.compression)  # a method that there is not is told now

    @property
    def inline(self) -> bool:
        """Tell that its writer takes records one by one, at next to no cost."""
        return True

    @property
    def file(self) -> str | None:
        """Return the absolute path."""
        return os.path.abspath(self.path)

    def writes(self, path: str) -> bool:
        """Tell whether `path` is that file, by whatever links."""
        return self.files.same(self.label, path)

    @property
    def label(self) -> str:
        """Return the path."""
        return os.fspath(self.path)

    async def open(self, bounded: bool) -> LinesWriter:
        """Open the file for one run; raise an OSError that names what is wrong."""
        thread = FileThread(self.label)
        opening = thread.submit(self._open, bounded)
        try:
            return self.writer(await asyncio.shield(opening), thread)
        except BaseException:
            await thread.close()
            if opening.done() and opening.exception() is None:
                opening.result().discard()
            raise

    def writer(self, target: Target, thread: FileThread) -> LinesWriter:
        """Return what writes to `target`."""
        return LinesWriter(target, thread)

    def _open(self, complete: bool) -> Target:
        method = method_of(self.label, self.compression)
        return Target.open(self.files, self.label, complete=complete, method=method, lines=self.lines)
