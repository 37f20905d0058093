"""The driver: start contenders in processes of their own, in turns, and collect what they report."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.report import Entry, Report, Setting, here, today, versions
from bench.statistics import rotated
from bench.works import Allocator, Contender, Outcome, Work

ROOT = Path(__file__).resolve().parents[1]

# What glibc does with freed memory decides as much as what a program does: all contenders get the same.
RAISED = {
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_TOP_PAD_": str(16 << 20),
}


class Failed(Exception):
    """Say that a contender ended without an outcome."""


class WrongResult(Exception):
    """Say that contenders of one work do not agree about its result: no time is worth anything then."""


@dataclass(frozen=True, slots=True)
class Driver:
    """Run works under one setting. ``report`` is told what happens, line by line."""

    setting: Setting
    timeout: float = 900
    report: Callable[[str], object] = lambda line: None

    def measure(self, work: Work, only: Collection[str] = ()) -> Report:
        """Run every contender once a round, in an order that turns, and check that all agree.

        Raises WrongResult where two contenders that did the same work report different results.
        """
        setting = setting_of(work, self.setting)
        entries = {name: self._entry(work, work.contender(name)) for name in chosen(work, only)}
        self._prepare(work, entries)
        for round_number in range(self.setting.rounds):
            for name in rotated(list(entries), round_number):
                self._run(work, name, entries[name], setting)
            check_agreement(work, entries)
        return Report(work.name, setting, today(), here(), versions(), entries)

    def _entry(self, work: Work, contender: Contender) -> Entry:
        size = work.size_of(contender, self.setting.scale)
        if missing := contender.missing:
            names = ", ".join(package.distribution for package in missing)
            self.report(f"{work.name}: {contender.name} left out, {names} is not installed")
            return Entry(contender.label, size, "not installed", names)
        return Entry(contender.label, size)

    def _prepare(self, work: Work, entries: dict[str, Entry]) -> None:
        if work.prepare is not None:
            for size in sorted({entry.size for entry in entries.values()}):
                work.prepare(size)

    def _run(self, work: Work, name: str, entry: Entry, setting: Setting) -> None:
        if entry.status != "measured":
            return
        try:
            outcome = spawn(work.name, name, entry.size, setting, self.timeout)
        except Failed as failure:
            entry.status, entry.reason = "failed", str(failure)
            self.report(f"{work.name}: {name} FAILED, {failure}")
        else:
            entry.runs.append(outcome)
            self.report(f"{work.name}: {name} {outcome.seconds:.3f} s {told(outcome)}".rstrip())


def setting_of(work: Work, asked: Setting) -> Setting:
    """Give the setting of a work: as asked, but for an allocator that the work pins."""
    return asked if work.allocator is None else replace(asked, allocator=work.allocator)


def spawn(work: str, contender: str, size: int, setting: Setting, timeout: float) -> Outcome:
    """Run one contender once in a fresh interpreter; raises Failed with the last line of its complaint."""
    command = [sys.executable, "-m", "bench.worker", work, contender, str(size), setting.loop]
    environment = pinned(os.environ, setting.allocator)
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, timeout=timeout, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no result within {timeout:g} s") from None
    if done.returncode != 0 or not done.stdout.strip():
        raise Failed(last_line(done.stderr) or f"exit status {done.returncode}")
    return Outcome(**json.loads(done.stdout.strip().splitlines()[-1]))


def pinned(environment: Mapping[str, str], allocator: Allocator) -> dict[str, str]:
    """Give the environment of a worker: the caller's, without its own allocator settings and hash seed."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("MALLOC_", "PYTHONMALLOC"))}
    return kept | {"PYTHONHASHSEED": "0"} | (RAISED if allocator == "raised" else {})


def chosen(work: Work, only: Collection[str]) -> list[str]:
    """List the contenders to run: all, or those asked for and always the baseline."""
    return [name for name in work.names() if not only or name in only or name == work.baseline]


def check_agreement(work: Work, entries: dict[str, Entry]) -> None:
    """Raise WrongResult unless all contenders of one size report one count and checksum."""
    agreed: dict[int, tuple[str, tuple[int, int]]] = {}
    for name, entry in entries.items():
        for run in entry.runs:
            first, result = agreed.setdefault(entry.size, (name, result_of(work, run)))
            if result_of(work, run) != result:
                raise WrongResult(
                    f"{work.name}: {name} gave (count, checksum) {result_of(work, run)}, {first} {result}"
                )


def result_of(work: Work, run: Outcome) -> tuple[int, int]:
    """Give what must agree; where time is fixed and the count is not, the checksum alone."""
    return (run.count if work.counted else 0, run.checksum)


def told(outcome: Outcome) -> str:
    """Put a run's own metrics into words."""
    return " ".join(f"{name}={value:.4g}" for name, value in outcome.metrics.items())


def last_line(text: str) -> str:
    """Give the last line that says something: of a traceback, the exception, and no path of this machine."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].replace(str(ROOT), ".")[:200] if lines else ""
