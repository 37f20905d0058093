"""Clocks, randomness and threads as a simulated run has them: nothing there is decided by the machine."""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from streamflow.model.errors import StreamflowError

#: What `time.time()` shows when a simulated run begins: 2026-01-01, midnight in Greenwich.
EPOCH = 1_767_225_600.0
#: Seconds that one look at the clock may take, of which each run draws one: from a fast machine to a slow one.
PACES = (0.0, 1e-6, 1e-4, 5e-4)
#: Seconds that a call on a thread may wait for its turn, or its answer for the loop; each run draws one.
LAGS = (0.0, 1e-4, 1e-2)

_CLOCKS = ("time", "monotonic", "perf_counter", "thread_time", "time_ns", "monotonic_ns", "perf_counter_ns")
_here = threading.local()
_exchanging = threading.Lock()
_users = 0


class NotSimulated(StreamflowError):
    """Say what a simulated run cannot have, because no seed decides what it does."""


class World:
    """Draw from a seed what a machine would decide: how long things take, and what is random."""

    def __init__(self, seed: int) -> None:
        self._clock = random.Random(f"clock {seed}")
        self._entropy = random.Random(f"entropy {seed}")
        self._pace = self._clock.choice(PACES)
        self._lag = self._clock.choice(LAGS)
        self._ticks = 0.0
        #: Seconds that blocking calls have slept.
        self.slept = 0.0
        #: Return the seconds of the run's loop.
        self.loop_time: Callable[[], float] = float

    def now(self) -> float:
        """Return what the clock shows."""
        return self.loop_time() + self._ticks

    def work(self) -> None:
        """Let a moment pass."""
        # Never no time at all: whoever waits for a deadline must come to it.
        self._ticks += self._clock.random() * self._pace + 1e-9

    def lag(self) -> float:
        """Return how long something that a thread does takes to begin or to be noticed."""
        return self._clock.random() * self._lag if self._clock.random() < 0.5 else 0.0

    def entropy(self, size: int) -> bytes:
        """Return random bytes."""
        return self._entropy.randbytes(size)


@contextmanager
def sealed(world: World, seed: int) -> Iterator[None]:
    """Give the block, on this thread alone, the clocks and the randomness of `world`, and no threads.

    What looks at the clock by a name of its own is found in the modules of streamflow; whatever is imported in the
    block gets a clock that works outside of it as well. Garbage is collected afterwards: when is no seed's choice.
    """
    if getattr(_here, "world", None) is not None:
        raise NotSimulated("a simulated run cannot begin inside of another one")
    collecting, state = gc.isenabled(), random.getstate()
    with clocks_in_place():
        gc.disable()
        random.seed(seed)
        _here.world = world
        try:
            yield
        finally:
            _here.world = None
            random.setstate(state)
            if collecting:
                gc.enable()


@contextmanager
def clocks_in_place() -> Iterator[None]:
    """Have our clocks in the place of the real ones, which they are outside of a simulated run.

    Around many runs, it spares each of them the exchange.
    """
    _exchange(1)
    try:
        yield
    finally:
        _exchange(-1)


def _exchange(users: int) -> None:
    """Put our clocks in place for the first user; take them away after the last."""
    global _users
    with _exchanging:
        before, _users = _users, _users + users
        if not before or not _users:
            for module, name, ours in _places():
                setattr(module, name, ours if _users else _REAL[ours])


def _places() -> Iterator[tuple[Any, str, Any]]:
    """Yield each place where a real clock, or ours, is held: the module, the name, and ours."""
    yield from ((time, name, ours) for name, ours in _OURS.items())
    yield os, "urandom", _urandom
    yield random, "_urandom", _urandom
    yield threading.Thread, "start", _start
    for module in _modules():
        held = vars(module)
        yield from ((module, name, ours) for name, ours in _OURS.items() if held.get(name) in (ours, _REAL[ours]))


def _modules() -> list[ModuleType]:
    ours = [module for name, module in tuple(sys.modules.items()) if name.startswith("streamflow.")]
    return [module for module in ours if module.__name__ != __name__]


def _clock(name: str) -> Callable[[], float]:
    real = getattr(time, name)
    start, unit = EPOCH * name.startswith("time"), 1e9 if name.endswith("_ns") else 1.0

    def look() -> float:
        world: World | None = getattr(_here, "world", None)
        if world is None:
            return float(real()) if unit == 1.0 else int(real())
        # Others have ours or the real one, by when they were imported: that must make no difference.
        if sys._getframe(1).f_globals.get("__name__", "").startswith("streamflow."):
            world.work()
        seconds = start + world.now()
        return seconds if unit == 1.0 else int(seconds * unit)

    return look


def _sleep(seconds: float) -> None:
    world: World | None = getattr(_here, "world", None)
    if world is None:
        _REAL[_sleep](seconds)
    else:
        world.slept += seconds


def _urandom(size: int) -> bytes:
    world: World | None = getattr(_here, "world", None)
    return world.entropy(size) if world is not None else _REAL[_urandom](size)


def _start(thread: threading.Thread) -> None:
    if getattr(_here, "world", None) is not None:
        raise NotSimulated(
            f"thread {thread.name!r} cannot run in a simulation: in which order threads run is no seed's choice; "
            "leave out what needs it (on=, on_thread=True, Parquet and Arrow, notify)"
        )
    _REAL[_start](thread)


_OURS: dict[str, Callable[..., Any]] = {name: _clock(name) for name in _CLOCKS} | {"sleep": _sleep}
_REAL: dict[Any, Any] = {ours: getattr(time, name) for name, ours in _OURS.items()} | {
    _urandom: os.urandom,
    _start: threading.Thread.start,
}
