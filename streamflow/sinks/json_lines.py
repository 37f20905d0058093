"""A file of JSON Lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamflow.codecs.json_lines import JsonLinesCodec
from streamflow.sinks.file_lines import FileLines


@dataclass(frozen=True, kw_only=True)
class JsonLines(FileLines[Any]):
    """Write one JSON value a line to the file `path`: plain values, Structs, dataclasses, numpy values.

    JSON has no NaN and no infinity: they are written as null. Naming the `type` of the items makes those that
    are no dicts faster; it converts and checks nothing.
    """

    type: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        JsonLinesCodec(self.type)  # a type that is none is told now

    @property
    def encode(self) -> Callable[[Any], bytes]:
        """Return the encoder."""
        return JsonLinesCodec(self.type).encoder
