"""The sources that a text can name."""

from __future__ import annotations

import os
from typing import Any

from streamflow.files.registry import Registry
from streamflow.model.interfaces import Source

SOURCES = Registry(
    "source",
    "streamflow.sources",
    parts={
        "jsonl": "streamflow.sources.json_lines:JsonLines",
        "csv": "streamflow.sources.csv_rows:Csv",
        "bytes": "streamflow.sources.raw_bytes:Bytes",
        "parquet": "streamflow.sources.parquet:Parquet",
        "text": "streamflow.sources.text_lines:TextLines",
        "stdin": "streamflow.sources.stdin:Stdin",
        "ticks": "streamflow.sources.ticks:Ticks",
    },
    suffixes={
        ".bin": "bytes",
        ".csv": "csv",
        ".tsv": "csv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".parquet": "parquet",
        ".txt": "text",
        ".log": "text",
    },
    whole={"-": "stdin"},
)


def resolve(text: str | os.PathLike[str]) -> Source[Any]:
    """Return the source that `text` names by suffix, scheme or `-`; raise FlowError if there is none."""
    source: Source[Any] = SOURCES.resolve(text)
    return source
