"""Lines of a file, written in large pieces on a thread of the file's own."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, TypeVar

from streamflow.files.compression import Compression, method_of
from streamflow.files.target import Target
from streamflow.files.threads import FileThread
from streamflow.sinks.file_sink import FileSink
from streamflow.sinks.lines import LinesWriter

T = TypeVar("T")


@dataclass(frozen=True)
class FileLines(FileSink[T]):
    """Describe a file of lines.

    The output of a flow that ends by itself is written under a temporary name in the same directory, and
    replaces `path` when the run succeeds. That of a flow that does not is appended to `path` in place, whole
    lines at a time. `compression` is `gzip`, `zstd`, `xz` or None; `auto` goes by the suffix (.gz, .zst, .xz).
    """

    guarantee = "whole or not there; in place if the flow has no end; exactly once with checkpoints"
    #: Whether a record ends in a line end, so that one torn by a crash is closed before others follow it.
    lines: ClassVar[bool] = True

    _: KW_ONLY
    compression: Compression = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        method_of(self.label, self.compression)  # a method that there is not is told now

    @property
    def inline(self) -> bool:
        """Tell that its writer takes records one by one, at next to no cost."""
        return True

    def target(self, bounded: bool, mark: str | None) -> Target:
        """Open a new file, or in a flow without an end the one that is there."""
        method = method_of(self.label, self.compression)
        return Target.open(self.files, self.label, complete=bounded, method=method, lines=self.lines, mark=mark)

    def writer(self, target: Target, thread: FileThread) -> LinesWriter:
        """Return what writes to `target`."""
        return LinesWriter(target, thread)
