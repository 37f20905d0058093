"""PyPI's `streamflow` is an unrelated workflow system with the same import name: say so when both are installed."""

from __future__ import annotations

from importlib import metadata

import click

OURS = "streamflow-engine"


def refuse_collision() -> None:
    """Raise UsageError if the other distribution is installed beside this one."""
    try:
        other = metadata.version("streamflow")
    except metadata.PackageNotFoundError:
        return
    raise click.UsageError(
        f"two distributions share the import name `streamflow`: {OURS} (this one) and streamflow {other} (an unrelated "
        f"workflow system). Each overwrites files of the other. Mend it with:\n"
        f"  pip uninstall -y streamflow {OURS} && pip install {OURS}"
    )
