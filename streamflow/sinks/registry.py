"""The sinks that a text can name."""

from __future__ import annotations

import os
from typing import Any

from streamflow.files.registry import Registry
from streamflow.model.interfaces import Sink

SINKS = Registry(
    "sink",
    "streamflow.sinks",
    parts={
        "jsonl": "streamflow.sinks.json_lines:JsonLines",
        "csv": "streamflow.sinks.csv_rows:Csv",
        "bytes": "streamflow.sinks.raw_bytes:Bytes",
        "text": "streamflow.sinks.text_lines:TextLines",
        "stdout": "streamflow.sinks.stdout:Stdout",
        "rolling": "streamflow.sinks.rolling:Rolling",
        "null": "streamflow.sinks.null:Null",
    },
    suffixes={
        ".bin": "bytes",
        ".csv": "csv",
        ".tsv": "csv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".txt": "text",
        ".log": "text",
    },
    whole={"-": "stdout"},
)


def resolve(text: str | os.PathLike[str]) -> Sink[Any]:
    """Return the sink that `text` names by suffix, scheme or `-`; raise FlowError if there is none."""
    sink: Sink[Any] = SINKS.resolve(text)
    return sink
