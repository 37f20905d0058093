"""A system on which worker processes cannot be: that is said, with what works there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import streamflow as sf
from streamflow.executors import processes


def test_on_windows_processes_are_refused_when_the_run_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "sys", SimpleNamespace(platform="win32"))
    flow = sf.flow([1]).map(str, on=sf.processes(2))
    assert "processes(2)" in flow.explain()
    with pytest.raises(sf.FlowError, match=r"need Linux or macOS .* on='joblib' works"):
        flow.to(None).run_sync()
