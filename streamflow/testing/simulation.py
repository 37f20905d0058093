"""Whole flows in an order that a seed decides: the same seed, the same run, to the last step."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import selectors
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Generic, NamedTuple, TypeVar, TypeVarTuple

from streamflow.files.threads import FileThread, stand_in
from streamflow.model.notes import add_note
from streamflow.testing.sealed_world import World, sealed
from streamflow.testing.simulated_thread import SimulatedThread
from streamflow.testing.stacks import describe_task
from streamflow.testing.virtual_clock import Events, Main, VirtualLoop, _begin, _steps_a_task, _VirtualSelector

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Virtual seconds after which a simulated run is taken for one that never ends.
HORIZON = 600.0
#: Names the one seed that `seeds` gives, so that a failure can be repeated.
SEED = "STREAMFLOW_SEED"


class Simulated(NamedTuple, Generic[T]):
    """Hold what a simulated run returned, and the hash of everything that happened in it, step by step."""

    result: T
    trace: str
    steps: Sequence[str]


class SimulatedLoop(VirtualLoop):
    """Be a virtual loop on which nothing but its seed decides what happens next.

    Tasks that are ready in the same turn run in an order drawn from the seed, whatever made them ready in which
    order. Calls that would run on a thread are performed by the loop. Nothing outside can call in.
    """

    def __init__(self, seed: int, world: World, horizon: float = HORIZON) -> None:
        self.world = world
        #: What stands in for threads, and was not closed yet.
        self.threads: set[FileThread] = set()
        #: What happened, a line for each turn.
        self.steps: list[str] = []
        #: Errors that nobody has caught.
        self.uncaught: list[dict[str, Any]] = []
        self._tasks_made = 0
        super().__init__(seed=seed, horizon=horizon)
        world.loop_time = self.time
        self.set_task_factory(self._number)
        self.set_exception_handler(lambda _, what: self.uncaught.append(what))

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Have the loop perform the call, at a moment that the seed decides."""
        thread = SimulatedThread("executor")
        self.threads.discard(thread)
        return thread.submit(func, *args)

    def left(self) -> list[str]:
        """Return what was left behind or went wrong unseen, a line each."""
        tasks = [one for one in asyncio.all_tasks(self) if one is not asyncio.current_task(self)]
        found = sorted(describe_task(task) for task in tasks)
        found += sorted(f"thread {vars(thread)['_name']!r} was not closed" for thread in self.threads)
        return found + [f"{what.get('message')}: {what.get('exception')!r}" for what in self.uncaught]

    def _number(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        self._tasks_made += 1
        task = _NumberedTask(coro, loop=loop, **options)
        task.number = self._tasks_made
        return task

    def _begin_turn(self) -> bool:
        self._turns += 1
        for call in self._at_turn.pop(self._turns, ()):
            call()
        self._shuffle()
        if self._queue:
            self.steps.append(f"{self._now!r} {' '.join(map(_label, self._queue))}")
        return bool(self._queue)

    def _shuffle(self) -> None:
        queue = self._queue
        places = [place for place, handle in enumerate(queue) if _steps_a_task(handle)]
        if len(places) < 2:
            return
        # In the order of their making first: they may have been woken out of a set, which has none.
        handles = sorted((queue[place] for place in places), key=lambda handle: _task_of(handle).number)
        assert self._order is not None
        self._order.shuffle(handles)
        for place, handle in zip(places, handles, strict=True):
            queue[place] = handle

    def _make_selector(self, patience: float) -> selectors.BaseSelector:
        return _SealedSelector(self, patience)

    def _write_to_self(self) -> None:
        # Whoever calls `call_soon_threadsafe` is on this thread.
        return None


class _NumberedTask(asyncio.Task[Any]):
    number: int


class _SealedSelector(_VirtualSelector):
    """Stand where a loop waits, and wait for nothing: there is only time."""

    def select(self, timeout: float | None = None) -> Events:
        if not self._loop._begin_turn() and (timeout is None or timeout > 0):
            self._loop._jump()
        return []


def simulate(main: Main[T], seed: int, *, horizon: float = HORIZON) -> Simulated[T]:
    """Run a coroutine, or a function that makes one, in an order that `seed` decides.

    Clocks are virtual, and how long a piece of work seems to take is drawn from the seed, and so is whatever is
    random. Files are read and written by calls that the loop performs; real threads, processes and sockets are
    refused, or never answer. Raises AssertionError if a task is left at the end, or an error that nobody has seen. What
    is raised carries a note that says how to run it again.

    >>> async def race() -> str:
    ...     order: list[str] = []
    ...     async def enter(name: str) -> None:
    ...         order.append(name)
    ...     await asyncio.gather(enter("a"), enter("b"))
    ...     return "".join(order)
    >>> sorted({simulate(race, seed).result for seed in range(20)})
    ['ab', 'ba']
    >>> simulate(race, 7).trace == simulate(race, 7).trace
    True
    """
    world = World(seed)
    loop: SimulatedLoop | None = None

    def make() -> SimulatedLoop:
        nonlocal loop
        loop = SimulatedLoop(seed, world, horizon)
        return loop

    with sealed(world, seed):
        try:
            with asyncio.Runner(loop_factory=make) as runner:
                result = runner.run(_live(main))
        except BaseException as error:
            add_note(error, f"in a simulated run; the same again: {_replay(seed)}")
            raise
    assert loop is not None
    steps = loop.steps
    return Simulated(result, hashlib.blake2b("\n".join(steps).encode(), digest_size=16).hexdigest(), steps)


def seeds(count: int) -> Sequence[int]:
    """Return the numbers below `count`, or only the one that the environment variable STREAMFLOW_SEED names."""
    one = os.environ.get(SEED)
    return range(count) if one is None else (int(one),)


async def _live(main: Main[T]) -> T:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    stand_in.set(SimulatedThread)
    result = await _begin(main)
    left = loop.left()
    if left:
        raise AssertionError("\n  ".join([f"{len(left)} left behind:", *left]))
    return result


def this_test() -> str:
    """Return the command that runs the present test, or nothing outside of one."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    return f"python -m pytest '{test}'" if test else ""


def _replay(seed: int) -> str:
    return f"{SEED}={seed} {this_test()}" if this_test() else f"simulate(..., seed={seed})"


def _task_of(handle: asyncio.Handle) -> _NumberedTask:
    return handle._callback.__self__  # type: ignore[attr-defined,no-any-return]


def _label(handle: asyncio.Handle) -> str:
    """Say what a handle will do, by what is the same in every run."""
    if not _steps_a_task(handle):
        callback = getattr(handle, "_callback", None)
        return str(getattr(callback, "__qualname__", type(callback).__name__))
    task = _task_of(handle)
    coroutine: Any = task.get_coro()
    frame = getattr(coroutine, "cr_frame", None)
    return f"{task.number}:{frame.f_lineno if frame is not None else math.nan}"
