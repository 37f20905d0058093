"""The allocator is tuned from the first run that asks for it to the last, and put back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import streamflow as sf
from streamflow.memory import allocator
from streamflow.memory.allocator import CANNOT, TUNED, AllocatorTuning, allocator_environment


class FakeMallopt:
    """Remember what is set; `old` refuses what old versions of glibc refuse."""

    def __init__(self, old: bool = False) -> None:
        self.set: dict[int, int] = {}
        self.calls = 0
        self._old = old

    def __call__(self, number: int, value: int) -> int:
        if self._old and number == -3 and value > 32 << 20:
            return 0
        self.calls += 1
        self.set[number] = value
        return 1


TUNED_VALUES = {-3: 64 << 20, -1: 256 << 20, -2: 16 << 20}
DEFAULTS = dict.fromkeys((-3, -1, -2), 128 << 10)


@pytest.fixture
def mallopt(monkeypatch: pytest.MonkeyPatch) -> FakeMallopt:
    fake = FakeMallopt()
    monkeypatch.setattr(allocator, "_mallopt", lambda: fake)
    for name in allocator.PARAMETERS:
        monkeypatch.delenv(name, raising=False)
    return fake


def test_the_first_tunes_and_the_last_puts_back(mallopt: FakeMallopt) -> None:
    tuning = AllocatorTuning()
    assert tuning.begin() == TUNED
    assert mallopt.set == TUNED_VALUES
    tuning.begin()
    assert mallopt.calls == 3
    tuning.end()
    assert mallopt.set == TUNED_VALUES
    tuning.end()
    assert mallopt.set == DEFAULTS


def test_what_the_environment_says_is_put_back(mallopt: FakeMallopt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    monkeypatch.setenv("MALLOC_TOP_PAD_", "much")
    tuning = AllocatorTuning()
    tuning.begin()
    tuning.end()
    assert mallopt.set == {**DEFAULTS, -1: 1_000_000}


def test_an_old_glibc_gets_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMallopt(old=True)
    monkeypatch.setattr(allocator, "_mallopt", lambda: fake)
    AllocatorTuning().begin()
    assert fake.set == {**TUNED_VALUES, -3: 32 << 20}


def test_a_run_says_what_came_of_it(mallopt: FakeMallopt) -> None:
    report = sf.flow([1]).to(None).run_sync(tune_allocator=True)
    assert report.statistics.allocator == TUNED
    assert "allocator: tuned" in str(report)
    assert mallopt.set == DEFAULTS
    assert sf.flow([1]).to(None).run_sync().statistics.allocator is None


def test_runs_at_the_same_time_share_it(mallopt: FakeMallopt) -> None:
    inside: list[dict[int, int]] = []

    async def look(n: int) -> None:
        await asyncio.sleep(0.001 * n)
        inside.append(dict(mallopt.set))

    async def main() -> None:
        flows: list[Any] = [sf.flow([n]).to(look).run(tune_allocator=True) for n in range(5)]
        await asyncio.gather(*flows)

    asyncio.run(main())
    assert inside == [TUNED_VALUES] * 5
    assert mallopt.set == DEFAULTS


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(allocator, "_mallopt", lambda: None)
    report = sf.flow([1]).to(None).run_sync(tune_allocator=True)
    assert report.statistics.allocator == CANNOT
    assert "no mallopt" in caplog.text


def test_a_failing_run_puts_it_back(mallopt: FakeMallopt) -> None:
    with pytest.raises(ZeroDivisionError):
        sf.flow([0]).map(lambda n: 1 / n).to(None).run_sync(tune_allocator=True)
    assert mallopt.set == DEFAULTS


def test_what_a_worker_process_is_started_with() -> None:
    assert allocator_environment() == {
        "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
        "MALLOC_TOP_PAD_": str(16 << 20),
    }
