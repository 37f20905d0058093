"""The FLOW that a command is given: a configuration file, a file of Python, or `module:name`."""

from __future__ import annotations

from collections.abc import Collection

from streamflow.flows.runnable import Runnable


def is_configuration(reference: str) -> bool:
    """Tell whether `reference` is the path of a configuration file."""
    return reference.endswith(".toml")


def described_by(reference: str, *, sink: str | None = None, allowed: Collection[str] = ()) -> Runnable:
    """Return the flow; raise FlowError (of a file, ConfigurationError) for what is wrong with it.

    `sink` takes the place of a file's sink, and is where Python's flow goes that has none. `allowed` names
    variables of the environment that a file may use.
    """
    if not is_configuration(reference):
        from streamflow.configuration.named_flow import named_flow

        return named_flow(reference, sink)
    from streamflow.configuration.flow_file import FlowFile
    from streamflow.flows.resolve import as_sink

    return FlowFile(reference, allowed=allowed, sink=None if sink is None else as_sink(sink)).runnable
