"""Where items go: a file for each kind of sink. The names are handed on when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamflow.sinks.arrow import Arrow
    from streamflow.sinks.callables import CallableSink
    from streamflow.sinks.csv_rows import Csv
    from streamflow.sinks.json_lines import JsonLines
    from streamflow.sinks.lists import ListSink
    from streamflow.sinks.null import Null
    from streamflow.sinks.parquet import Parquet
    from streamflow.sinks.raw_bytes import Bytes
    from streamflow.sinks.registry import resolve
    from streamflow.sinks.rolling import Rolling
    from streamflow.sinks.sqlite_table import SqliteTable
    from streamflow.sinks.stdout import Stdout
    from streamflow.sinks.text_lines import TextLines

__all__ = [
    "Arrow",
    "Bytes",
    "CallableSink",
    "Csv",
    "JsonLines",
    "ListSink",
    "Null",
    "Parquet",
    "Rolling",
    "SqliteTable",
    "Stdout",
    "TextLines",
    "resolve",
]

_HOMES = {
    "Arrow": "arrow",
    "Bytes": "raw_bytes",
    "CallableSink": "callables",
    "Csv": "csv_rows",
    "JsonLines": "json_lines",
    "ListSink": "lists",
    "Null": "null",
    "Parquet": "parquet",
    "Rolling": "rolling",
    "SqliteTable": "sqlite_table",
    "Stdout": "stdout",
    "TextLines": "text_lines",
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
