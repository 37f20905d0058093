"""A file of text lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streamflow.codecs.text import TextCodec
from streamflow.sources.file_lines import FileLines


@dataclass(frozen=True, kw_only=True)
class TextLines(FileLines[str]):
    """Read the lines of the file `path` as str, without their line ends (LF or CRLF)."""

    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        TextCodec(self.encoding)  # an encoding without lines is told now

    @property
    def decode(self) -> Callable[[bytes], str]:
        """Return the decoder."""
        return TextCodec(self.encoding).decode
