"""How much memory this process and all its children hold."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
#: How many times as long as looking for children takes passes before they are looked for again; seconds at most.
RARELY, AT_LEAST_EVERY = 20, 2.0


class Footprint:
    """Tell the bytes that the process tree holds, what several of its processes share counted once.

    There are two ways, since the exact one takes 10 ms a GiB: `measure` adds up the proportional set sizes (PSS), and
    belongs on a thread. `now` takes 2 µs a process: it reads the resident sizes, and takes off by how much the latest
    `measure` was lower. Growth since then counts in full, so that it errs on the high side. Where there is no PSS, both
    are resident sizes.
    """

    def __init__(self) -> None:
        import psutil  # late, as in the sampler

        self._process = psutil.Process()
        self._tree: dict[psutil.Process, _Member] = {self._process: _Member(self._process)}
        self._gone: list[_Member] = []
        self._shared = 0
        self._look_at = 0.0

    def now(self) -> int:
        """Return the bytes, as well as can be told at once; called in one thread only, which may be another."""
        found = max(self._resident() - self._shared, 0)
        while self._gone:  # closed here, where nobody can be reading: a descriptor's number may be another's at once
            self._gone.pop().close()
        return found

    def measure(self) -> int:
        """Look who is there, read the exact sizes, and return them added up."""
        self._look()
        before = self._resident()
        exact = sum(member.exact() for member in list(self._tree.values()))
        # The lower of two: what came meanwhile must not be taken for shared.
        self._shared = max(min(before, self._resident()) - exact, 0)
        return exact

    def _resident(self) -> int:
        return sum(member.resident() for member in list(self._tree.values()))

    def _look(self) -> None:
        """Look for children, who may have children; it reads the whole table of processes."""
        import psutil

        began = perf_counter()
        if began < self._look_at:
            return
        with suppress(psutil.Error):
            self._admit([self._process, *self._process.children(recursive=True)])
        ended = perf_counter()
        self._look_at = ended + min(RARELY * (ended - began), AT_LEAST_EVERY)

    def _admit(self, there: list[psutil.Process]) -> None:
        before = self._tree
        self._tree = {process: before.get(process) or _Member(process) for process in there}
        self._gone += [member for process, member in before.items() if process not in self._tree]

    def close(self) -> None:
        """Let go of all that is open, when nobody reads any more."""
        for member in (*self._tree.values(), *self._gone):
            member.close()
        self._tree, self._gone = {}, []


class _Member:
    """Be one process of the tree; one that has ended holds nothing."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
        # Kept open: reading costs a tenth of opening, and it stands for this very process, not for who has its number
        # next. The other one would stand for what the process was before it became another program.
        self._statm = _opened(f"/proc/{process.pid}/statm")

    def resident(self) -> int:
        if self._statm is None:
            return self._asked()
        try:
            return int(os.pread(self._statm, 128, 0).split()[1]) * self._page
        except (OSError, IndexError):
            return 0

    def exact(self) -> int:
        try:
            with open(f"/proc/{self._process.pid}/smaps_rollup", "rb", buffering=0) as rollup:
                found = _PSS.search(rollup.read(4096))
        except OSError:
            return self.resident()  # there is none, it is not for us to read, or the process has ended
        return int(found[1]) * 1024 if found is not None else self.resident()

    def _asked(self) -> int:
        import psutil

        try:
            return int(self._process.memory_info().rss)
        except psutil.Error:
            return 0

    def close(self) -> None:
        if self._statm is not None:
            os.close(self._statm)
            self._statm = None


def _opened(path: str) -> int | None:
    """Return a descriptor, or None where there is no such file, or it is not for us to read."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
