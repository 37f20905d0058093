"""`streamflow doctor`: what is here, what is missing, and how to get it."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import click
import psutil

from streamflow import __version__

DISTRIBUTION = "streamflow-engine"

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def examine(*, as_json: bool) -> None:
    """Print what this machine and this environment have."""
    found = {**machine(), "extras": extras()}
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, value in found.items():
        if name != "extras":
            click.echo(f"{name:12} {value}")
    click.echo("")
    for extra, packages in found["extras"].items():
        missing = [package for package, version in packages.items() if version is None]
        have = ", ".join(f"{package} {version}" for package, version in packages.items() if version)
        click.echo(f"{extra:12} {have or 'nothing installed'}")
        if missing:
            click.echo(f"{'':12} missing: {', '.join(missing)}; pip install '{DISTRIBUTION}[{extra}]'")


def machine() -> dict[str, Any]:
    """Return versions and resources, each as a text or a number."""
    memory = psutil.virtual_memory()
    return {
        "streamflow": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "event loop": _loop(),
        "cores": _cores(),
        "memory": f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} GiB available",
        "open files": _open_files(),
        "gpu": _gpu(),
    }


def extras() -> dict[str, dict[str, str | None]]:
    """Return the version of each package of each extra, None for one that is not installed."""
    found: dict[str, dict[str, str | None]] = {}
    for extra, package in _requirements():
        found.setdefault(extra, {})[package] = _version(package)
    return found


def _requirements() -> Iterator[tuple[str, str]]:
    """Yield the extras that a user may want, each with its packages."""
    for requirement in metadata.requires(DISTRIBUTION) or ():
        extra, name = _EXTRA.search(requirement), _NAME.match(requirement)
        if extra and name and extra[1] not in ("all", "test", "bench") and name[0] != DISTRIBUTION:
            yield extra[1], name[0]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _loop() -> str:
    version = _version("uvloop")
    return f"uvloop {version}" if version else "asyncio's own (pip install uvloop makes it faster)"


def _cores() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{usable} usable of {os.cpu_count()}"


def _open_files() -> str:
    try:
        import resource
    except ImportError:  # Windows
        return "no limit known"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"{soft:,} (may be raised to {hard:,})" if soft < hard else f"{soft:,}"


def _gpu() -> str:
    """Name the cards that the driver knows, or say what is missing."""
    try:
        import pynvml  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return f"not looked for: pip install '{DISTRIBUTION}[gpu]'"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return f"none ({error})"
    try:
        cards = [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())]
        return ", ".join(str(pynvml.nvmlDeviceGetName(card)) for card in cards) or "none"
    finally:
        pynvml.nvmlShutdown()
