"""`streamflow show` and `streamflow graph`: what a file says in full, and what is made of a flow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from streamflow.cli.describing import described_by, is_configuration, refuse_tests
from streamflow.configuration.flow_file import FlowFile
from streamflow.engine.guarantees import guarantees
from streamflow.engine.plan import Plan
from streamflow.model.errors import FlowError


def show_file(path: str, *, allowed: Sequence[str], as_json: bool) -> None:
    """Print the file with every default written out."""
    if not is_configuration(path):
        raise FlowError(f"{path} is no configuration file (.toml): what Python describes, `streamflow graph` draws")
    refuse_tests(path)
    values = FlowFile(path, imports=False, allowed=allowed).normalised()
    if as_json:
        click.echo(json.dumps(values, default=str))
        return
    import tomli_w

    click.echo(tomli_w.dumps(values), nl=False)


def draw(reference: str, *, mermaid: bool, allowed: Sequence[str], as_json: bool) -> None:
    """Print the plan of a flow."""
    flow = described_by(reference, allowed=allowed)
    if as_json:
        click.echo(json.dumps(plain(flow.plan), default=str))
    else:
        click.echo(flow.to_mermaid() if mermaid else flow.explain())


def plain(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain values."""
    return {
        "stages": [
            {"name": stage.name, "kind": stage.kind, "parts": list(stage.labels), "why": stage.why}
            for stage in plan.stages
        ],
        "edges": [
            {
                "from": plan.stages[edge.producer].name,
                "to": plan.stages[edge.consumer].name,
                "output": None if edge.letters or edge.output is None else str(edge.output),
                "dead_letters": edge.letters,
                "max_items": edge.items,
                "max_bytes": edge.bytes,
                "overflow": edge.overflow,
                "max_spilled_bytes": None if edge.spilling is None else edge.spilling.bytes,
            }
            for edge in plan.edges
        ],
        "bounded": plan.bounded,
        "repeatable": plan.repeatable,
        "not_repeatable_because": list(plan.because),
        "with_checkpoints": [asdict(one) for one in guarantees(plan)],
    }
