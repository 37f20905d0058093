"""Where items come from: a file for each kind of source. The names are handed on when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamflow.sources.arrow import Arrow
    from streamflow.sources.async_iterable import AsyncIterable
    from streamflow.sources.csv_rows import Csv
    from streamflow.sources.inbox import Inbox
    from streamflow.sources.iterable import Iterable
    from streamflow.sources.json_lines import JsonLines
    from streamflow.sources.parquet import Parquet
    from streamflow.sources.raw_bytes import Bytes
    from streamflow.sources.registry import resolve
    from streamflow.sources.stdin import Stdin
    from streamflow.sources.text_lines import TextLines
    from streamflow.sources.ticks import Ticks

__all__ = [
    "Arrow",
    "AsyncIterable",
    "Bytes",
    "Csv",
    "Inbox",
    "Iterable",
    "JsonLines",
    "Parquet",
    "Stdin",
    "TextLines",
    "Ticks",
    "resolve",
]

_HOMES = {
    "Arrow": "arrow",
    "Bytes": "raw_bytes",
    "AsyncIterable": "async_iterable",
    "Inbox": "inbox",
    "Iterable": "iterable",
    "Csv": "csv_rows",
    "JsonLines": "json_lines",
    "Parquet": "parquet",
    "Stdin": "stdin",
    "TextLines": "text_lines",
    "Ticks": "ticks",
    "resolve": "registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
