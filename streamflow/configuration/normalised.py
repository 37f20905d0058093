"""A flow's values with every default written out. Pure."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from streamflow.configuration.checkpoints import Checkpoints
from streamflow.executors.registry import load
from streamflow.files.registry import Registry
from streamflow.flows.flow import Flow
from streamflow.sinks.registry import SINKS
from streamflow.sources.registry import SOURCES

#: The operators that a stage may be: the methods of a flow that go straight on.
OPERATORS = (
    *("map", "filter", "flat_map", "tap", "scan", "take", "skip", "take_while", "drop_while", "distinct"),
    *("batch", "unbatch", "throttle", "debounce", "timeout", "buffer", "via"),
)

_PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]+@")


def normalised(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a right file in full: parts as tables with their options; passwords in URLs are masked.

    An option whose default is None is left out, since TOML has none.
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key in ("source", "sink"):
            found[key] = _part(value, SOURCES if key == "source" else SINKS)
        elif key == "stages":
            found[key] = [_stage(stage) for stage in value]
        elif key == "checkpoint":
            found[key] = _fields(fields(Checkpoints), dict(value) if isinstance(value, Mapping) else {"path": value})
        else:
            found[key] = value
    order = ("flow", "source", "stages", "sink", "checkpoint")
    return {key: _masked(found[key]) for key in order if key in found}


def _part(value: Any, registry: Registry) -> dict[str, Any]:
    table = dict(value) if isinstance(value, Mapping) else {"path": value}
    name = table.pop("type", None) or registry.name_of(table["path"])
    kind = registry.load(name)
    known = [field for field in fields(kind) if field.init and field.repr]
    if not any(field.name == "path" for field in known):
        table.pop("path", None)  # `-`
    return {"type": name, **_fields(known, table)}


def _fields(known: Sequence[Field[Any]], table: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in known:
        key = "item_type" if field.name == "type" else field.name
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        found |= _given_or_default(key, table, default)
    return found


def _stage(table: Mapping[str, Any]) -> dict[str, Any]:
    words = [key for key in table if key in OPERATORS]
    word = next((word for word in words if word != "timeout"), "timeout")
    found = {word: table[word]}
    parameters = list(inspect.signature(getattr(Flow, word)).parameters.values())[1:]
    for parameter in parameters[1 if parameters and parameters[0].name != "name" else 0 :]:
        found |= _given_or_default(parameter.name, table, parameter.default)
    return found


def _given_or_default(key: str, table: Mapping[str, Any], default: Any) -> dict[str, Any]:
    value = table.get(key, default)
    if value is None or value is MISSING or value is inspect.Parameter.empty:
        return {}
    if isinstance(value, Mapping) and "dead_letter" in value:
        return {key: {"dead_letter": _part(value["dead_letter"], SINKS)}}
    if key == "on" and isinstance(value, Mapping):
        return {key: {name: _place(name, given) for name, given in value.items()}}
    return {key: list(value) if isinstance(value, tuple) else value}


def _place(name: str, given: Any) -> dict[str, Any]:
    parameters = list(inspect.signature(load(name)).parameters.values())
    table = given if isinstance(given, Mapping) else {parameters[0].name: given}
    found: dict[str, Any] = {}
    for parameter in parameters:
        found |= _given_or_default(parameter.name, table, parameter.default)
    return found


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _masked(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_masked(one) for one in value]
    return _PASSWORD.sub(r"\1:***@", os.fspath(value)) if isinstance(value, (str, os.PathLike)) else value
