"""Lines of standard input."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from streamflow.codecs.json_lines import JsonLinesCodec
from streamflow.codecs.text import TextCodec
from streamflow.files.local import LocalInput
from streamflow.files.threads import FileThread
from streamflow.model.errors import FlowError
from streamflow.sources.file_blocks import GRACE, FileBlocks
from streamflow.sources.lines import LineReader, LineSource
from streamflow.sources.pipes import PipeBlocks, watchable


@dataclass(frozen=True)
class Stdin(LineSource[Any]):
    """Read lines of standard input as they come: JSON (to `type`, if given) or text.

    The descriptor is read directly: what Python's own `sys.stdin` has buffered is not seen, and it is left
    open.
    """

    guarantee = "read once; at most once with checkpoints"

    format: Literal["jsonl", "text"] = "jsonl"
    _: KW_ONLY
    type: Any = None
    encoding: str = "utf-8"
    descriptor: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.format not in ("jsonl", "text"):
            raise FlowError(f"Stdin(format={self.format!r}): expected 'jsonl' or 'text'")
        self.decode  # noqa: B018 - a type or an encoding that cannot be is told now

    @property
    def label(self) -> str:
        """Return its usual name."""
        return "stdin"

    @property
    def decode(self) -> Callable[[bytes], Any]:
        """Return the decoder of the format."""
        return JsonLinesCodec(self.type).decoder if self.format == "jsonl" else TextCodec(self.encoding).decode

    async def open(self) -> LineReader:
        """Open for one run: a pipe or a terminal is watched by the loop, a file is read on a thread."""
        status = os.fstat(self.descriptor)
        regular = stat.S_ISREG(status.st_mode)
        if not regular and watchable(self.descriptor):
            return self.reader(PipeBlocks(self.descriptor))
        file = LocalInput(os.dup(self.descriptor))
        left = status.st_size - os.lseek(self.descriptor, 0, os.SEEK_CUR) if regular else None
        return self.reader(FileBlocks(file, FileThread(self.label, grace=GRACE), seekable=False, size=left))
