"""Test flows and parts: trials, virtual clock, simulation, crashes, faulty parts, leaks, cancellation, suites.

Public: whoever writes a source, a sink or an operator runs the same suites over it that streamflow runs over
its own. Nothing here imports pytest; the suites are plain classes that pytest (or anything else) collects and
calls.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamflow.testing.cancellation import CancelPoint as CancelPoint
    from streamflow.testing.cancellation import Outcome as Outcome
    from streamflow.testing.cancellation import cancel_everywhere as cancel_everywhere
    from streamflow.testing.conformance.executors import ExecutorSuite as ExecutorSuite
    from streamflow.testing.conformance.operators import OperatorSuite as OperatorSuite
    from streamflow.testing.conformance.sinks import SinkSuite as SinkSuite
    from streamflow.testing.conformance.sources import SourceSuite as SourceSuite
    from streamflow.testing.conformance.state_stores import StateStoreSuite as StateStoreSuite
    from streamflow.testing.crashes import CrashExplorer as CrashExplorer
    from streamflow.testing.crashes import Death as Death
    from streamflow.testing.crashes import NotRecovered as NotRecovered
    from streamflow.testing.faults import CallLog as CallLog
    from streamflow.testing.faults import FaultySink as FaultySink
    from streamflow.testing.faults import FaultySource as FaultySource
    from streamflow.testing.faults import InjectedError as InjectedError
    from streamflow.testing.leaks import check_leaks as check_leaks
    from streamflow.testing.leaks import no_leaks as no_leaks
    from streamflow.testing.sealed_world import NotSimulated as NotSimulated
    from streamflow.testing.simulated_checkpoints import SimulatedCheckpoints as SimulatedCheckpoints
    from streamflow.testing.simulated_disk import Crash as Crash
    from streamflow.testing.simulated_disk import Fault as Fault
    from streamflow.testing.simulated_disk import SimulatedDisk as SimulatedDisk
    from streamflow.testing.simulation import Simulated as Simulated
    from streamflow.testing.simulation import SimulatedLoop as SimulatedLoop
    from streamflow.testing.simulation import seeds as seeds
    from streamflow.testing.simulation import simulate as simulate
    from streamflow.testing.trials import Trial as Trial
    from streamflow.testing.trials import trial as trial
    from streamflow.testing.virtual_clock import LoopDeadlock as LoopDeadlock
    from streamflow.testing.virtual_clock import VirtualLoop as VirtualLoop
    from streamflow.testing.virtual_clock import explore as explore
    from streamflow.testing.virtual_clock import hold as hold
    from streamflow.testing.virtual_clock import run as run

_HOMES = {
    "CallLog": "faults",
    "CancelPoint": "cancellation",
    "Crash": "simulated_disk",
    "CrashExplorer": "crashes",
    "Death": "crashes",
    "ExecutorSuite": "conformance.executors",
    "Fault": "simulated_disk",
    "FaultySink": "faults",
    "FaultySource": "faults",
    "InjectedError": "faults",
    "LoopDeadlock": "virtual_clock",
    "NotRecovered": "crashes",
    "NotSimulated": "sealed_world",
    "OperatorSuite": "conformance.operators",
    "Outcome": "cancellation",
    "Simulated": "simulation",
    "SimulatedCheckpoints": "simulated_checkpoints",
    "SimulatedDisk": "simulated_disk",
    "SimulatedLoop": "simulation",
    "SinkSuite": "conformance.sinks",
    "SourceSuite": "conformance.sources",
    "StateStoreSuite": "conformance.state_stores",
    "Trial": "trials",
    "VirtualLoop": "virtual_clock",
    "cancel_everywhere": "cancellation",
    "check_leaks": "leaks",
    "explore": "virtual_clock",
    "hold": "virtual_clock",
    "no_leaks": "leaks",
    "run": "virtual_clock",
    "seeds": "simulation",
    "simulate": "simulation",
    "trial": "trials",
}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load the file of `name` when it is first asked for (PEP 562): one tool never costs all of them."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return found


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *_HOMES})
