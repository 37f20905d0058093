"""A file of text lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streamflow.codecs.text import TextCodec
from streamflow.sinks.file_lines import FileLines


@dataclass(frozen=True, kw_only=True)
class TextLines(FileLines[str]):
    """Write each str as a line of the file `path`, an LF after it; anything else is a TypeError."""

    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        TextCodec(self.encoding)  # an encoding without lines is told now

    @property
    def encode(self) -> Callable[[str], bytes]:
        """Return the encoder."""
        return TextCodec(self.encoding).encode
