"""An asyncio-first streaming engine: describe a flow, and it runs with backpressure, order and no lost item.

The names are handed on when they are first used, so that importing this costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamflow.model.version import __version__

if TYPE_CHECKING:
    from streamflow import sinks, sources, testing
    from streamflow.engine.current import position
    from streamflow.engine.runner import Run
    from streamflow.executors.joblib import joblib
    from streamflow.executors.processes import processes
    from streamflow.executors.threads import threads
    from streamflow.flows.flow import Flow, KeyedFlow, flow
    from streamflow.flows.joins import concat, merge, zip
    from streamflow.flows.resolve import dead_letter
    from streamflow.flows.runnable import Runnable, together
    from streamflow.flows.starts import inbox, ticks
    from streamflow.metrics.report import RunReport
    from streamflow.model.errors import (
        BufferOverflow,
        CheckpointDamaged,
        CheckpointMismatch,
        FlowDeadlock,
        FlowError,
        FlowHung,
        InboxClosed,
        InboxFull,
        ItemCancelled,
        ItemTimeout,
        NoForm,
        NoResult,
        NotSerialisable,
        NotTransferable,
        RecordError,
        RunCancelled,
        StreamflowError,
        TooManyFailures,
        WorkerDied,
    )
    from streamflow.model.failures import DeadLetter
    from streamflow.model.joined import Joined, JoinedInWindow
    from streamflow.model.policies import Retry
    from streamflow.model.positions import Position
    from streamflow.model.processing import KeyedItem, Timer
    from streamflow.model.windows import EarlyResult, Keyed, UpdatedResult, WindowResult
    from streamflow.operators import aggregations as agg
    from streamflow.operators.joining.table import table
    from streamflow.operators.key_state import KeyState
    from streamflow.operators.window_specs import global_window, session, sliding, tumbling
    from streamflow.state.disk_store import disk_store

_HOMES = {
    "flow": "flows.flow",
    "merge": "flows.joins",
    "zip": "flows.joins",
    "concat": "flows.joins",
    "Flow": "flows.flow",
    "KeyedFlow": "flows.flow",
    "tumbling": "operators.window_specs",
    "table": "operators.joining.table",
    "Joined": "model.joined",
    "JoinedInWindow": "model.joined",
    "sliding": "operators.window_specs",
    "session": "operators.window_specs",
    "global_window": "operators.window_specs",
    "Keyed": "model.windows",
    "KeyedItem": "model.processing",
    "Timer": "model.processing",
    "KeyState": "operators.key_state",
    "WindowResult": "model.windows",
    "EarlyResult": "model.windows",
    "UpdatedResult": "model.windows",
    "together": "flows.runnable",
    "Runnable": "flows.runnable",
    "inbox": "flows.starts",
    "ticks": "flows.starts",
    "dead_letter": "flows.resolve",
    "disk_store": "state.disk_store",
    "threads": "executors.threads",
    "processes": "executors.processes",
    "joblib": "executors.joblib",
    "position": "engine.current",
    "Run": "engine.runner",
    "RunReport": "metrics.report",
    "Retry": "model.policies",
    "Position": "model.positions",
    "DeadLetter": "model.failures",
    "StreamflowError": "model.errors",
    "FlowError": "model.errors",
    "FlowDeadlock": "model.errors",
    "FlowHung": "model.errors",
    "BufferOverflow": "model.errors",
    "InboxClosed": "model.errors",
    "InboxFull": "model.errors",
    "ItemCancelled": "model.errors",
    "ItemTimeout": "model.errors",
    "NoForm": "model.errors",
    "NoResult": "model.errors",
    "RecordError": "model.errors",
    "RunCancelled": "model.errors",
    "TooManyFailures": "model.errors",
    "NotTransferable": "model.errors",
    "NotSerialisable": "model.errors",
    "CheckpointDamaged": "model.errors",
    "CheckpointMismatch": "model.errors",
    "WorkerDied": "model.errors",
}
_MODULES = {"sources": "sources", "sinks": "sinks", "testing": "testing", "agg": "operators.aggregations"}

__all__ = [
    "BufferOverflow",
    "CheckpointDamaged",
    "CheckpointMismatch",
    "DeadLetter",
    "EarlyResult",
    "Flow",
    "FlowDeadlock",
    "FlowError",
    "FlowHung",
    "InboxClosed",
    "InboxFull",
    "ItemCancelled",
    "ItemTimeout",
    "Joined",
    "JoinedInWindow",
    "KeyState",
    "Keyed",
    "KeyedFlow",
    "KeyedItem",
    "NoForm",
    "NoResult",
    "NotSerialisable",
    "NotTransferable",
    "Position",
    "RecordError",
    "Retry",
    "Run",
    "RunCancelled",
    "RunReport",
    "Runnable",
    "StreamflowError",
    "Timer",
    "TooManyFailures",
    "UpdatedResult",
    "WindowResult",
    "WorkerDied",
    "__version__",
    "agg",
    "concat",
    "dead_letter",
    "disk_store",
    "flow",
    "global_window",
    "inbox",
    "joblib",
    "merge",
    "position",
    "processes",
    "session",
    "sinks",
    "sliding",
    "sources",
    "table",
    "testing",
    "threads",
    "ticks",
    "together",
    "tumbling",
    "zip",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
