"""Cancel a coroutine at every place where it can be cancelled, one run each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from streamflow.model.notes import add_note
from streamflow.testing.leaks import check_leaks
from streamflow.testing.stacks import describe_await
from streamflow.testing.virtual_clock import VirtualLoop, run

T = TypeVar("T")
At = Literal["await", "wakeup", "turn", "any"]


@dataclass(kw_only=True)
class CancelPoint:
    """Cancel the task that makes suspension number `step` (from 1) in the coroutines given to `over`.

    Early, it is cancelled in the moment in which it begins to wait. `late`, it is cancelled after what it
    waits for has come and before it runs again: the race in which results get lost. `where` tells where it
    stood, once it was hit.
    """

    step: int
    late: bool = False
    count: int = 0
    where: str | None = None

    @property
    def hit(self) -> bool:
        """Tell whether the point was reached."""
        return self.where is not None

    async def over(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await `coroutine`, and cancel the running task where this point says."""
        return await _Watched(coroutine, self._suspended)

    def _suspended(self, coroutine: Coroutine[Any, Any, Any], awaited: object) -> None:
        self.count += 1
        if self.count != self.step:
            return
        self.where = describe_await(coroutine)
        task = asyncio.current_task()
        assert task is not None  # asyncio drives nothing else
        if self.late and isinstance(awaited, asyncio.Future):
            # Added before the task adds its own wake-up, so called before it.
            awaited.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()


class _Watched(Generator[Any, Any, T]):
    """Stand between a task and a coroutine it awaits, and call `suspended` before each suspension."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        suspended: Callable[[Coroutine[Any, Any, T], object], None],
    ) -> None:
        self.cr_await = coroutine  # the name under which a stack is followed inwards
        self._suspended = suspended

    def __await__(self) -> Generator[Any, Any, T]:
        return self

    def send(self, value: Any) -> Any:
        """Go on until the next suspension; StopIteration carries the result, as from any generator."""
        return self._seen(self.cr_await.send(value))

    def throw(self, *error: Any) -> Any:
        """Go on with an error until the next suspension."""
        return self._seen(self.cr_await.throw(*error))

    def _seen(self, awaited: object) -> object:
        self._suspended(self.cr_await, awaited)
        return awaited


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[T]):
    """Tell how one run ended: its `result` or its `error`; `where` is None if nobody cancelled it."""

    step: int
    where: str | None
    result: T | None = None
    error: BaseException | None = None

    @property
    def asked(self) -> bool:
        """Tell whether this run was cancelled somewhere."""
        return self.where is not None

    @property
    def cancelled(self) -> bool:
        """Tell whether it ended in CancelledError."""
        return isinstance(self.error, asyncio.CancelledError)

    @property
    def swallowed(self) -> bool:
        """Tell whether it was cancelled and ended in a result all the same."""
        return self.asked and self.error is None


def cancel_everywhere(
    make: Callable[[], Coroutine[Any, Any, T]],
    *,
    at: At = "await",
    directories: tuple[str | Path, ...] = (),
    seed: int | None = None,
    limit: int = 10_000,
    leaks: bool = True,
) -> Iterator[Outcome[T]]:
    """Run what `make` makes again and again, cancelled one step later each time, until one ends uncancelled.

    `at` says what a step is: "await", a suspension of the main task, cancelled as it begins to wait;
    "wakeup", the same, cancelled after what it waits for has come; "turn", a turn of the loop, whatever the
    other tasks are at; "any", a suspension of any task, and that task is cancelled. Each run has a virtual
    loop of its own, is checked for leaks before that ends (AssertionError), and gives one `Outcome`. An error
    adds a note that names the step.

    >>> async def main() -> str:
    ...     await asyncio.sleep(1)
    ...     await asyncio.sleep(1)
    ...     return "done"
    >>> [outcome.cancelled for outcome in cancel_everywhere(main)]
    [True, True, False]
    """
    for step in range(1, limit + 1):
        attempt = _Attempt(make, at, step, directories, leaks)
        try:
            outcome = run(attempt.main, seed=seed)
        except BaseException as error:
            add_note(error, f"cancelled at {at} number {step}: {attempt.where}")
            raise
        yield outcome
        if not outcome.asked:
            return
    raise AssertionError(f"still cancelled at {at} number {limit:,}: give a smaller coroutine or a larger limit")


class _Attempt(Generic[T]):
    """One run, cancelled at one step."""

    def __init__(
        self,
        make: Callable[[], Coroutine[Any, Any, T]],
        at: At,
        step: int,
        directories: tuple[str | Path, ...],
        leaks: bool,
    ) -> None:
        self._make = make
        self._at = at
        self._step = step
        self._directories = directories
        self._leaks = leaks
        self._point = CancelPoint(step=step, late=at == "wakeup")

    @property
    def where(self) -> str | None:
        """Tell where the cancelled task stood, or None before that."""
        return self._point.where

    async def main(self) -> Outcome[T]:
        """Make the attempt, inside a running virtual loop."""
        if not self._leaks:
            return await self._settled()
        with check_leaks(*self._directories):
            return await self._settled()

    async def _settled(self) -> Outcome[T]:
        # A task of its own: what is left of the cancellation (`Task.cancelling`) must not reach the check.
        task = asyncio.get_running_loop().create_task(self._placed(), name="main")
        await asyncio.wait([task])
        if task.cancelled():
            return self._outcome(error=asyncio.CancelledError())
        error = task.exception()
        return self._outcome(error=error) if error is not None else self._outcome(result=task.result())

    def _outcome(self, result: T | None = None, error: BaseException | None = None) -> Outcome[T]:
        return Outcome(step=self._step, where=self.where, result=result, error=error)

    async def _placed(self) -> T:
        coroutine = self._make()
        if self._at == "turn":
            self._cancel_at_turn(coroutine)
            return await coroutine
        if self._at == "any":
            self._watch_every_task()
        return await self._point.over(coroutine)

    def _cancel_at_turn(self, coroutine: Coroutine[Any, Any, T]) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        task = asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            if not task.done():
                self._point.where = describe_await(coroutine)
                task.cancel()

        loop.at_turn(loop.turns + self._step, cancel)

    def _watch_every_task(self) -> None:
        def make(
            loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
        ) -> asyncio.Task[Any]:
            return asyncio.Task(self._point.over(coroutine), loop=loop, **options)

        asyncio.get_running_loop().set_task_factory(cast(Any, make))
