"""Workers by joblib."""

from __future__ import annotations

from streamflow.model.interfaces import Executor


def joblib(backend: str = "loky", n_jobs: int = 2) -> Executor:
    """Describe joblib's workers."""
    raise NotImplementedError
