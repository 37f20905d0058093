"""PyPI's `streamflow` is an unrelated workflow system with the same import name: say so when both are installed."""

from __future__ import annotations

import os
import sys

import click

OURS = "streamflow-engine"
#: What tells of a distribution that is installed ends in one of these.
_ENDINGS = (".dist-info", ".egg-info", ".egg")


def refuse_collision() -> None:
    """Raise UsageError if the other distribution is installed beside this one."""
    if not any(map(_is_there, sys.path)):
        return
    from importlib import metadata  # late: it takes longer than the whole of this

    try:
        other = metadata.version("streamflow")
    except metadata.PackageNotFoundError:
        return
    raise click.UsageError(
        f"two distributions share the import name `streamflow`: {OURS} (this one) and streamflow {other} (an unrelated "
        f"workflow system). Each overwrites files of the other. Mend it with:\n"
        f"  pip uninstall -y streamflow {OURS} && pip install {OURS}"
    )


def _is_there(folder: str) -> bool:
    """Tell whether something in a folder that is searched for modules may be the other; what is in archives may."""
    try:
        return any(name.startswith("streamflow-") and name.endswith(_ENDINGS) for name in os.listdir(folder or "."))
    except NotADirectoryError:
        return True
    except OSError:
        return False
