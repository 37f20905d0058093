"""What is still alive after a run: tasks, threads, processes, descriptors, shared memory, temporary files."""

from __future__ import annotations

import asyncio
import fnmatch
import os
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from streamflow.testing.outside import POOL_PREFIX, children
from streamflow.testing.stacks import describe_task, describe_thread

#: The names of temporary files that streamflow writes beside their final ones.
TEMPORARY = (".*.part", ".*.part.*")
#: The names of shared-memory segments that may be ours.
SEGMENTS = ("psm_*", "streamflow*", "sf_*", "sf-*")

_SHARED_MEMORY = Path("/dev/shm")
_LOOKS, _BETWEEN_LOOKS = 3, 0.01
_DESCRIPTORS = Path("/dev/fd")
_TRACKERS = ("multiprocessing.resource_tracker", "joblib.externals.loky.backend.resource_tracker")
_OF_PYTHON = ("resource_tracker", "multiprocessing.forkserver")  # started once, kept by Python until it exits


@dataclass(frozen=True, slots=True)
class Inventory:
    """Hold what is alive at one moment: identities, each with the words that name it."""

    alive: dict[tuple[str, Hashable], str]

    @classmethod
    def take(cls, directories: Iterable[str | Path] = ()) -> Inventory:
        """Look at this process, at the running loop if there is one, and at `directories`, recursively."""
        found: dict[tuple[str, Hashable], str] = {}
        for kind, things in (
            ("task", _tasks()),
            ("thread", _threads()),
            ("process", _processes()),
            ("descriptor", _descriptors()),
            ("shared memory", _segments()),
            ("temporary file", _temporaries(directories)),
        ):
            found.update({(kind, key): words for key, words in things})
        return cls(found)

    def since(self, before: Inventory) -> list[str]:
        """Return a line for each thing that is alive now and was not before."""
        new = {thing: words for thing, words in self.alive.items() if thing not in before.alive}
        return [f"{kind} {words}" for (kind, key), words in new.items() if not _of_others(kind, str(key))]


@contextmanager
def check_leaks(*directories: str | Path) -> Iterator[None]:
    """Raise AssertionError if the block leaves alive what was not before it, naming each and where it stands.

    Looks at tasks (inside a running loop), threads, child processes (an unreaped one too), file descriptors,
    shared-memory segments, and `.*.part` files below `directories`. It looks once, at once: what ends "soon"
    has leaked. The threads of a loop's default executor belong to the loop and are not counted inside it.
    Also checked when the block raises; the block's error is then the context of the AssertionError.

    >>> with check_leaks():
    ...     sum(range(10))
    45
    """
    before = Inventory.take(directories)
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException:
        _compare(before, directories)
        raise
    else:
        _compare(before, directories)


@asynccontextmanager
async def no_leaks(*directories: str | Path, turns: int = 3) -> AsyncIterator[None]:
    """Do what `check_leaks` does after `turns` more turns of the loop, for what ends by a callback.

    Needed where an async generator is finalised by the loop, or a transport closes in its next turn.
    """
    with check_leaks(*directories):
        try:
            yield
        finally:
            for _ in range(turns):
                await asyncio.sleep(0)


def _compare(before: Inventory, directories: Iterable[str | Path]) -> None:
    left = Inventory.take(directories).since(before)
    if left:
        raise AssertionError("\n  ".join([f"{len(left)} left behind:", *left]))


def _tasks() -> Iterator[tuple[Hashable, str]]:
    if not _in_loop():
        return
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            yield task, describe_task(task).removeprefix("task ")


def _threads() -> Iterator[tuple[Hashable, str]]:
    pooled = f"{POOL_PREFIX}_" if _in_loop() else "\0"
    for thread in threading.enumerate():
        if not thread.name.startswith(pooled):
            kind = "daemon" if thread.daemon else "not daemon"
            yield thread, f"{thread.name!r} ({kind}): {describe_thread(thread.ident)}"


def _in_loop() -> bool:
    return asyncio._get_running_loop() is not None


def _processes() -> Iterator[tuple[Hashable, str]]:
    for child in _family():
        words = _describe_process(child)
        if words is not None and not any(word in words for word in _OF_PYTHON):
            yield (child.pid, child.create_time()), words


def _family() -> list[psutil.Process]:
    """Return all processes that came of this one.

    psutil reads the table of the whole machine for it, which takes twenty times as long as all else here.
    """
    return psutil.Process().children(recursive=True) if _has_children() else []


def _has_children() -> bool:
    """Tell whether this process may have a child that is not Python's own."""
    if not hasattr(os, "waitid"):  # macOS, Windows
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    known = set(children())
    return not known or not known <= _of_trackers("_pid")


def _of_trackers(name: str) -> set[int | None]:
    trackers = [getattr(sys.modules.get(module), "_resource_tracker", None) for module in _TRACKERS]
    return {getattr(tracker, name, None) for tracker in trackers}


def _describe_process(child: psutil.Process) -> str | None:
    """Name a child and its state, or return None if it has ended in the meantime."""
    try:
        status, command = child.status(), child.name()
        with suppress(psutil.ZombieProcess):
            command = " ".join(child.cmdline())[:200] or command
    except psutil.Error:
        return None
    return f"{child.pid} ({status}): {command}"


def _descriptors() -> Iterator[tuple[Hashable, str]]:
    # By what they stand for, counted: a descriptor that was moved to another number is no leak, a second one
    # of the same file is.
    held: defaultdict[Hashable, list[int]] = defaultdict(list)
    for number in _numbers():
        try:
            found = os.fstat(number)
        except OSError:  # the directory's own, closed again
            continue
        held[found.st_dev, found.st_ino, found.st_rdev].append(number)
    for what, numbers in held.items():
        for ordinal, number in enumerate(sorted(numbers)):
            yield (what, ordinal), f"{number}: {_target(number)}"


def _numbers() -> list[int]:
    of_trackers = _of_trackers("_fd")
    try:
        return [number for name in os.listdir(_DESCRIPTORS) if (number := int(name)) not in of_trackers]
    except OSError:  # Windows
        return []


def _target(number: int) -> str:
    try:
        return os.readlink(_DESCRIPTORS / str(number))
    except OSError:  # macOS has no links there
        return "open"


def _segments() -> Iterator[tuple[Hashable, str]]:
    for name in _names(_SHARED_MEMORY, SEGMENTS):
        yield name, str(_SHARED_MEMORY / name)


def _of_others(kind: str, name: str) -> bool:
    """Tell whether a segment belongs to another living process, or is gone: the folder is the whole machine's.

    Its name may hold its owner's pid, or its owner has it mapped. One that nobody has is taken for ours, but looked
    at again: its owner may just be making or removing it.
    """
    if kind != "shared memory":
        return False
    ours = {os.getpid(), *(child.pid for child in _family())}
    named = {int(digits) for digits in re.findall(r"(?<![0-9a-z])\d{2,9}(?![0-9a-z])", name)}
    for _ in range(_LOOKS):
        owners = {pid for pid in named if psutil.pid_exists(pid)} or _mapped_by(name)
        if owners:
            return not owners & ours
        if not (_SHARED_MEMORY / name).exists():
            return True
        time.sleep(_BETWEEN_LOOKS)
    return False


def _mapped_by(name: str) -> set[int]:
    return {pid for pid in psutil.pids() if f"{_SHARED_MEMORY / name}\n" in _maps(pid)}


def _maps(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text(errors="replace")
    except OSError:  # another user's, or ended, or no Linux
        return ""


def _names(directory: Path, patterns: tuple[str, ...]) -> list[str]:
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def _temporaries(directories: Iterable[str | Path]) -> Iterator[tuple[Hashable, str]]:
    for top in directories:
        for folder, _, _ in os.walk(top):
            for name in _names(Path(folder), TEMPORARY):
                yield str(Path(folder, name)), str(Path(folder, name))
