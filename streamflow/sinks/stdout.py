"""Lines of standard output."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from streamflow.codecs.json_lines import JsonLinesCodec
from streamflow.codecs.text import TextCodec
from streamflow.files.file_system import OutputFile
from streamflow.files.local import LOCAL, LocalOutput
from streamflow.files.target import Target
from streamflow.files.threads import FileThread
from streamflow.model.errors import FlowError
from streamflow.sinks.lines import LinesWriter
from streamflow.sinks.policed import PolicedSink


@dataclass(frozen=True)
class Stdout(PolicedSink[Any]):
    """Write a line of standard output for each item: `jsonl`, `text`, or `auto` (a str as text, else JSON).

    Output that nobody reads any more ends the run with BrokenPipeError (`… | head`).
    """

    guarantee = "line by line; at least once with checkpoints"

    format: Literal["auto", "jsonl", "text"] = "auto"
    _: KW_ONLY
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.format not in ("auto", "jsonl", "text"):
            raise FlowError(f"Stdout(format={self.format!r}): expected 'auto', 'jsonl' or 'text'")
        TextCodec(self.encoding)  # an encoding without lines is told now

    @property
    def inline(self) -> bool:
        """Tell that its writer takes records one by one, at next to no cost."""
        return True

    @property
    def label(self) -> str:
        """Return its usual name."""
        return "stdout"

    @property
    def encode(self) -> Callable[[Any], bytes]:
        """Return the encoder of the format."""
        json, text = JsonLinesCodec().encoder, TextCodec(self.encoding).encode
        if self.format == "auto":
            return lambda item: text(item) if isinstance(item, str) else json(item)
        return json if self.format == "jsonl" else text

    async def open(self, bounded: bool) -> LinesWriter:
        """Write after what Python has printed until now; the descriptor stays open."""
        target = Target(LOCAL, _standard_output(self.encoding), "stdout", None)
        return LinesWriter(target, FileThread("stdout"))


class StreamOutput(OutputFile):
    """Write to a `sys.stdout` that has no descriptor: that of a notebook, or of a test."""

    def __init__(self, stream: Any, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._length = 0

    @property
    def length(self) -> int:
        """Return the bytes written."""
        return self._length

    def write(self, data: memoryview) -> None:
        """Print `data` as text."""
        self._stream.write(str(data, self._encoding))
        self._stream.flush()
        self._length += len(data)

    def sync(self) -> None:
        """Do nothing: it is no disk."""
        return

    def close(self) -> None:
        """Leave it open: it is not ours."""
        return


def _standard_output(encoding: str) -> OutputFile:
    if sys.stdout is None:  # a process without a console
        raise OSError("this process has no standard output")
    sys.stdout.flush()
    try:
        return LocalOutput(sys.stdout.fileno(), "stdout", owned=False)
    except (AttributeError, io.UnsupportedOperation):
        return StreamOutput(sys.stdout, encoding)
