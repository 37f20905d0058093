"""A loop whose time costs nothing: it jumps to the next timer as soon as nothing else can happen."""

from __future__ import annotations

import asyncio
import math
import random
import selectors
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple

from streamflow.model.errors import StreamflowError
from streamflow.model.notes import add_note
from streamflow.testing.outside import POOL_PREFIX, at_work, callers
from streamflow.testing.stacks import describe_task, describe_thread

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Main = Coroutine[Any, Any, T] | Callable[[], Coroutine[Any, Any, T]]
Events = list[tuple[selectors.SelectorKey, int]]

DAY = 86_400.0
_LOOK = 0.001  # real seconds of one look outside, where somebody might call in
_LONG_LOOK = 0.05  # the same where somebody certainly will: the select returns at once when they do
_LOOKS = 3  # quiet looks in a row before time may go on: a thread that waits for the GIL looks idle in the first


class LoopDeadlock(StreamflowError):  # named like FlowDeadlock
    """Say that a virtual loop can never move again, or only ticks past its horizon, and name what hangs."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Be an asyncio loop whose `time()` is virtual, starts at 0 and moves only when nothing else can happen.

    With a `seed`, tasks that are ready in the same turn run in an order drawn from it, the same for the same
    seed; plain callbacks keep the order which asyncio promises them.

    Real threads and descriptors stay correct. Time stands still while a `run_in_executor` call is under way,
    inside `hold()`, and (Linux) while another thread or child process is at work, for up to `patience` real
    seconds without a sign of life; other threads and open connections get a few real milliseconds before each
    jump. What cannot be known is a sleeping thread that will call in later: say so with `hold()`.

    A loop that can never move again raises `LoopDeadlock`; so does one that passes `horizon` virtual seconds,
    which is how a deadlock looks where something ticks.
    """

    def __init__(self, *, seed: int | None = None, patience: float = 5.0, horizon: float = DAY) -> None:
        """Make a loop at virtual time 0."""
        self._now = 0.0
        self._turns = 0
        self._horizon = horizon
        self._order = None if seed is None else random.Random(seed)
        self._at_turn: dict[int, list[Callable[[], object]]] = {}
        self._expected: dict[object, str] = {}
        self._pooled = False
        super().__init__(self._make_selector(patience))
        self._set_resolution()

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._now

    @property
    def turns(self) -> int:
        """Return how many turns the loop has begun."""
        return self._turns

    def at_turn(self, turn: int, call: Callable[[], object]) -> None:
        """Call `call` at the start of turn number `turn`, before anything that is ready then."""
        self._at_turn.setdefault(turn, []).append(call)

    @contextmanager
    def hold(self, reason: str = "hold()") -> Iterator[None]:
        """Keep time still while the block runs."""
        key = object()
        self._expected[key] = reason
        try:
            yield
        finally:
            del self._expected[key]

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Do as asyncio does, and keep time still until the call has come back."""
        if executor is None and not self._pooled:
            self.set_default_executor(ThreadPoolExecutor(thread_name_prefix=POOL_PREFIX))
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._expected[future] = f"run_in_executor({getattr(func, '__qualname__', repr(func))})"
        future.add_done_callback(self._expected.pop)
        return future

    def set_default_executor(self, executor: ThreadPoolExecutor) -> None:  # type: ignore[override]
        """Take another pool for `run_in_executor(None, …)`."""
        self._pooled = True
        super().set_default_executor(executor)

    def _make_selector(self, patience: float) -> selectors.BaseSelector:
        return _VirtualSelector(self, patience)

    # asyncio offers no seam for the next three: `_ready` and `_scheduled` are what every release since 3.4
    # has called them.

    @property
    def _queue(self) -> deque[asyncio.Handle]:
        return self._ready  # type: ignore[attr-defined,no-any-return]

    @property
    def _next_timer(self) -> float | None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return timers[0].when() if timers else None

    def _begin_turn(self) -> bool:
        """Start a turn; tell whether anything is ready to run in it."""
        self._turns += 1
        for call in self._at_turn.pop(self._turns, ()):
            call()
        if self._order is not None:
            _shuffle_tasks(self._queue, self._order)
        return bool(self._queue)

    def _jump(self) -> None:
        """Let time go on to the next timer, or say that there is none."""
        when = self._next_timer
        if when is None:
            raise LoopDeadlock(self._report("no callback is ready, no timer is set, nobody outside is expected"))
        if when > self._horizon:
            raise LoopDeadlock(self._report(f"nothing but timers is left before the horizon of {self._horizon:,.0f} s"))
        self._now = max(self._now, when)
        self._set_resolution()

    def _set_resolution(self) -> None:
        # asyncio fires what is due before `time() + resolution`: here exactly what is due now. A timer that fires
        # earlier finds that it is not time yet, is set again, and fires again, at the same time, for ever.
        self._clock_resolution = math.ulp(self._now)

    def _report(self, reason: str) -> str:
        lines = [f"nothing can ever move again at virtual time {self._now:,.3f} s: {reason}"]
        lines += sorted(f"  {describe_task(task)}" for task in asyncio.all_tasks(self))
        lines += [f"  expected, but never came: {reason}" for reason in self._expected.values()]
        lines += [f"  thread {one.name!r}: {describe_thread(one.ident)}" for one in callers()]
        return "\n".join(lines)


class _VirtualSelector(selectors.BaseSelector):
    """Stand where a loop waits, and wait only for what is real."""

    def __init__(self, loop: VirtualLoop, patience: float) -> None:
        self._loop = loop
        self._patience = patience
        self._real = selectors.DefaultSelector()
        self._given_up: set[object] = set()
        self._fruitless = 0

    def select(self, timeout: float | None = None) -> Events:
        ready = self._loop._begin_turn()
        events = self._real.select(0)
        if ready or events or (timeout is not None and timeout <= 0):
            return events
        events = self._listen()
        if not events:
            self._loop._jump()
        return events

    def _listen(self) -> Events:
        """Wait for a sign from outside as long as one may come; return none when it is time to go on."""
        until = time.monotonic() + self._patience
        looks = 0
        while self._loop._expected or self._somebody_there():
            handed, working = self._awaited()
            events = self._real.select(_LONG_LOOK if handed else _LOOK)
            if events:
                self._fruitless = 0
                return events
            looks = 0 if handed or working else looks + 1
            # With no timer there is nothing to go on to: somebody outside has the whole of the patience.
            if looks >= self._looks and self._loop._next_timer is not None:
                break
            if time.monotonic() >= until:
                self._given_up |= handed | working
                break
        self._fruitless += 1
        # A thread may have called in and ended between the last look and the moment in which nobody was there
        # any more.
        return self._real.select(0)

    def _somebody_there(self) -> bool:
        return len(self.get_map()) > 1 or bool(callers())  # the one descriptor is the loop's own wake-up pipe

    def _awaited(self) -> tuple[set[object], set[object]]:
        handed: set[object] = set(self._loop._expected)
        working: set[object] = set() if handed else set(at_work())
        return handed - self._given_up, working - self._given_up

    @property
    def _looks(self) -> int:
        # Connections and threads that never do anything must not make each of 10,000 jumps expensive.
        return _LOOKS if self._fruitless < 16 else 1

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


def _shuffle_tasks(queue: deque[asyncio.Handle], order: random.Random) -> None:
    """Shuffle the task steps in `queue` among themselves.

    Which of two woken tasks runs first is nobody's promise; that `call_soon` keeps its order is asyncio's,
    and its own transports rely on it.
    """
    places = [place for place, handle in enumerate(queue) if _steps_a_task(handle)]
    if len(places) < 2:
        return
    handles = [queue[place] for place in places]
    order.shuffle(handles)
    for place, handle in zip(places, handles, strict=True):
        queue[place] = handle


def _steps_a_task(handle: asyncio.Handle) -> bool:
    callback = getattr(handle, "_callback", None)  # None once the handle is cancelled
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)


def run(main: Main[T], *, seed: int | None = None, patience: float = 5.0, horizon: float = DAY) -> T:
    """Run a coroutine, or a function that makes one, on a fresh `VirtualLoop`, as `asyncio.run` does.

    A run with a `seed` that fails carries a note which names it.

    >>> async def patient() -> float:
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> run(patient)
    3600.0
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed=seed, patience=patience, horizon=horizon)) as runner:
        try:
            return runner.run(_begin(main))
        except BaseException as error:
            if seed is not None:
                add_note(error, f"on a virtual loop with seed={seed}: run again with it to see the same order")
            raise


def explore(make: Callable[[], Coroutine[Any, Any, T]], *, seeds: int | Iterable[int] = 100) -> list[T]:
    """Run what `make` makes once for each seed, so under many schedules; return the results.

    The first failure ends it; its note names the seed.

    >>> async def race() -> str:
    ...     order: list[str] = []
    ...     async def enter(name: str) -> None:
    ...         order.append(name)
    ...     await asyncio.gather(enter("a"), enter("b"))
    ...     return "".join(order)
    >>> sorted(set(explore(race, seeds=20)))
    ['ab', 'ba']
    """
    return [run(make, seed=seed) for seed in (range(seeds) if isinstance(seeds, int) else seeds)]


@contextmanager
def hold(reason: str = "hold()") -> Iterator[None]:
    """Keep the running virtual loop's time still while the block runs; do nothing on any other loop.

    For what the loop cannot see: a sleeping thread or a server elsewhere that will call in. It holds for at
    most the loop's `patience` (real seconds) at a stretch in which nothing happens.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        yield
        return
    with loop.hold(reason):
        yield


async def _begin(main: Main[T]) -> T:
    return await (main() if callable(main) else main)
