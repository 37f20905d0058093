"""A file of JSON Lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamflow.codecs.json_lines import JsonLinesCodec
from streamflow.sources.file_lines import FileLines


@dataclass(frozen=True, kw_only=True)
class JsonLines(FileLines[Any]):
    """Read one JSON value a line from the file `path`, to plain values or straight to `type`.

    `type` is a msgspec Struct, a dataclass, a TypedDict, or any other type msgspec knows; a line that does
    not fit it is a bad record, as one that is no JSON is. Lines of nothing but white space are passed over.
    """

    type: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        JsonLinesCodec(self.type)  # a type that cannot be decoded to is told now

    @property
    def decode(self) -> Callable[[bytes], Any]:
        """Return the decoder: a C function."""
        return JsonLinesCodec(self.type).decoder
