"""How much is tried: little by day, much by night."""

from __future__ import annotations

import os

#: Set by `--nightly`, for the modules of tests and for the processes among which they are shared out.
NIGHTLY = "STREAMFLOW_TESTS_NIGHTLY"


def examples(by_day: int, *, nightly: int) -> int:
    """Return how many examples hypothesis is to try."""
    return nightly if os.environ.get(NIGHTLY) else by_day
