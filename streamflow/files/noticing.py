"""When to look at a file again: after a while, or as soon as the system says that its folder has changed."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from streamflow.model.errors import FlowError

#: Whether, and how, one waits for what is appended to a file.
Follow = bool | Literal["notify", "poll"]

log = logging.getLogger("streamflow.files")

#: Seconds between two looks without notification: soon after there was something, later and later when nothing comes.
FASTEST, SLOWEST = 0.01, 0.25
#: Seconds between two looks with it: a folder on another machine, or one that was replaced, says nothing.
BACKUP = 1.0
#: Milliseconds between two questions to watchfiles.
STEP = 5
#: Seconds that a watching thread is given to end.
GRACE = 5.0


class Noticing(ABC):
    """Wait until it is worth looking again."""

    def looking(self) -> None:
        """Be told that a look begins: what changes from now on is news."""
        return None

    def found(self) -> None:
        """Be told that there was something."""
        return None

    @abstractmethod
    async def wait(self, within: float | None) -> None:
        """Wait for news, at most `within` seconds of the loop's clock, if given."""

    async def close(self) -> None:
        """Release everything."""
        return None


class Polling(Noticing):
    """Wait a short time after something was found, and twice as long each time when nothing is."""

    def __init__(self) -> None:
        self._pause = FASTEST

    def found(self) -> None:
        """Be quick again."""
        self._pause = FASTEST

    async def wait(self, within: float | None) -> None:
        """Sleep."""
        pause = self._pause if within is None else min(self._pause, within)
        self._pause = min(2 * self._pause, SLOWEST)
        await asyncio.sleep(pause)


class Watching(Noticing):
    """Wait for watchfiles to report something in `folders` whose name begins with one of `stems`."""

    def __init__(self, folders: Collection[str], stems: Collection[str]) -> None:
        self._stems = tuple(stems)
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(require_watchfiles(), list(folders)), name="streamflow-watch", daemon=True
        )
        self._thread.start()

    def looking(self) -> None:
        """Forget what was reported before."""
        self._news.clear()

    async def wait(self, within: float | None) -> None:
        """Wait for the thread; look now and then all the same."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BACKUP if within is None else min(BACKUP, within)):
                await self._news.wait()

    async def close(self) -> None:
        """End the thread, which looks up every few milliseconds."""
        self._stop.set()
        deadline = time.monotonic() + GRACE
        while not self._ended.is_set() and time.monotonic() < deadline:
            # The deadline is one of real time: a virtual loop may come back from this at once.
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    await self._ended.wait()
        if self._ended.is_set():
            self._thread.join()
        else:
            log.warning("abandoned thread %r: watchfiles does not return", self._thread.name)

    # From here on: on the thread.

    def _run(self, rust_notify: Any, folders: list[str]) -> None:
        try:
            self._watch(rust_notify, folders)
        except Exception as error:  # the system has no watches left, say: polling goes on
            log.warning("cannot watch %s (%s): looking now and then instead", ", ".join(folders), error)
        self._tell(self._ended)

    def _watch(self, rust_notify: Any, folders: list[str]) -> None:
        with _making:
            before = _rust_threads()
            watcher = rust_notify(folders, False, False, 0, False, True)
            threads = _rust_threads() - before
        self._tell(self._news)  # what came before the watch began
        try:
            while isinstance(changes := watcher.watch(STEP, STEP, 0, self._stop), set):
                if any(os.path.basename(path).startswith(self._stems) for _, path in changes):
                    self._tell(self._news)
        finally:
            watcher.close()
            _join(threads)

    def _tell(self, event: asyncio.Event) -> None:
        # RuntimeError: the loop was closed over an abandoned thread.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(event.set)


#: Held while a watcher is made, so that the thread which it starts is known for its own.
_making = threading.Lock()
_TASKS = Path("/proc/self/task")


def _rust_threads() -> set[str]:
    """Return the threads of watchfiles' own, as far as the system tells (Linux)."""
    if sys.platform != "linux":
        return set()
    with suppress(OSError):
        return {name for name in os.listdir(_TASKS) if _comm(name).startswith("notify-rs")}
    return set()


def _comm(thread: str) -> str:
    try:
        return (_TASKS / thread / "comm").read_text()
    except OSError:  # it has ended in the meantime
        return ""


def _join(threads: set[str]) -> None:
    """Wait for the threads of a watcher that was closed: they end, and close its descriptors, a moment later."""
    deadline = time.monotonic() + 1.0
    while threads & _rust_threads() and time.monotonic() < deadline:
        time.sleep(0.0005)


def require_watchfiles() -> Any:
    """Return its watcher; FlowError names the extra where it is missing."""
    try:
        from watchfiles._rust_notify import RustNotify
    except ImportError:
        raise FlowError("follow='notify' needs a package: pip install 'streamflow-engine[daemon]'") from None
    return RustNotify


def watched_for(path: str) -> tuple[set[str], set[str]]:
    """Return the folders in which something happens when the file at `path` changes, and how the names begin there."""
    paths = {os.path.abspath(path), os.path.realpath(path)}
    folders = {folder for one in paths if os.path.isdir(folder := os.path.dirname(one))}
    return folders, {os.path.splitext(os.path.basename(one))[0] for one in paths}


def can_watch() -> bool:
    """Tell whether watchfiles is installed."""
    with suppress(FlowError):
        return bool(require_watchfiles())
    return False
