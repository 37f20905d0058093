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
        "arrow": "streamflow.sources.arrow:Arrow",
        "text": "streamflow.sources.text_lines:TextLines",
        "stdin": "streamflow.sources.stdin:Stdin",
        "ticks": "streamflow.sources.ticks:Ticks",
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
    whole={"-": "stdin"},
)


def resolve(text: str | os.PathLike[str]) -> Source[Any]:
    """Return the source that `text` names by suffix, scheme or `-`; raise FlowError if there is none."""
    source: Source[Any] = SOURCES.resolve(text)
    return source
