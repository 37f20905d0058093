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
        "parquet": "streamflow.sinks.parquet:Parquet",
        "arrow": "streamflow.sinks.arrow:Arrow",
        "text": "streamflow.sinks.text_lines:TextLines",
        "stdout": "streamflow.sinks.stdout:Stdout",
        "sqlite": "streamflow.sinks.sqlite_table:SqliteTable",
        "rolling": "streamflow.sinks.rolling:Rolling",
        "null": "streamflow.sinks.null:Null",
    },
    suffixes={
        ".arrow": "arrow",
        ".arrows": "arrow",
        ".bin": "bytes",
        ".csv": "csv",
        ".feather": "arrow",
        ".jsonl": "jsonl",
        ".log": "text",
        ".ndjson": "jsonl",
        ".parquet": "parquet",
        ".tsv": "csv",
        ".txt": "text",
    },
    whole={"-": "stdout"},
)


def resolve(text: str | os.PathLike[str]) -> Sink[Any]:
    """Return the sink that `text` names by suffix, scheme or `-`; raise FlowError if there is none."""
    sink: Sink[Any] = SINKS.resolve(text)
    return sink
