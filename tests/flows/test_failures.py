"""Whatever a user's function raises, wherever: the policy is kept, the note is there, the books balance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import streamflow as sf
from streamflow.model.statistics import RunStatistics
from streamflow.testing import run


class Odd(Exception):
    def __str__(self) -> str:
        raise LookupError("no message today")


class Untrue:
    def __bool__(self) -> bool:
        raise ValueError("neither true nor false")


def raising(error: type[BaseException]) -> Callable[[int], int]:
    def step(n: int) -> int:
        if n == 5:
            raise error
        return n

    return step


def awaited(step: Callable[[int], Any]) -> Any:
    async def later(n: int) -> Any:
        await asyncio.sleep(0)
        return step(n)

    return later


def children(step: Callable[[int], int]) -> Any:
    def expand(n: int) -> Any:
        yield step(n)

    return expand


def async_children(step: Callable[[int], int]) -> Any:
    async def expand(n: int) -> Any:
        yield step(n)

    return expand


PLACES = {
    "map": lambda f, step, **p: f.map(step, **p),
    "filter": lambda f, step, **p: f.filter(lambda n: step(n) is not None, **p),
    "tap": lambda f, step, **p: f.tap(step, **p),
    "scan": lambda f, step, **p: f.scan(lambda _, n: step(n), 0, **p),
    "flat_map": lambda f, step, **p: f.flat_map(children(step), **p),
    "async flat_map": lambda f, step, **p: f.flat_map(async_children(step), **p),
    "async map": lambda f, step, **p: f.map(awaited(step), **p),
    "async map of three": lambda f, step, **p: f.map(awaited(step), concurrency=3, **p),
    "async filter": lambda f, step, **p: f.filter(awaited(lambda n: step(n) is not None), concurrency=2, **p),
    "retried": lambda f, step, **p: f.map(step, retry=sf.Retry(attempts=2, base=0), **p),
}
ERRORS: list[type[BaseException]] = [
    ValueError,
    StopIteration,
    StopAsyncIteration,
    asyncio.CancelledError,
    BrokenPipeError,
    RecursionError,
    Odd,
]


def check_books(statistics: RunStatistics) -> None:
    assert all(stage.conserved for stage in statistics.stages)
    assert all(edge.conserved for edge in statistics.edges)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("place", PLACES)
def test_a_failed_item_is_skipped_or_set_aside_or_fails_the_run_with_a_note(
    place: str, error: type[BaseException]
) -> None:
    async def main() -> None:
        numbers = sf.flow(range(10))
        step = raising(error)
        out: list[int] = []
        letters: list[sf.DeadLetter] = []
        report = await PLACES[place](numbers, step, on_error="skip").to(out).run()
        assert out == [0, 1, 2, 3, 4, 6, 7, 8, 9]
        check_books(report.statistics)

        report = await PLACES[place](numbers, step, on_error=sf.dead_letter(letters)).to([]).run()
        assert [letter.item for letter in letters] == [5]
        assert report.failed == 1
        check_books(report.statistics)

        out.clear()
        handle = PLACES[place](numbers, step).to(out).start()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the question
            await handle.wait()
        assert any("item 5 of its input" in note for note in caught.value.__notes__)
        chain = [caught.value, caught.value.__cause__, caught.value.__context__]
        assert any(isinstance(one, error) for one in chain)
        assert out == [0, 1, 2, 3, 4]
        assert handle.report is not None
        check_books(handle.report.statistics)

    run(main)


@pytest.mark.parametrize("error", [GeneratorExit, BaseException])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_exception_ends_the_run_and_the_books_balance(place: str, error: type[BaseException]) -> None:
    async def main() -> None:
        out: list[int] = []
        handle = PLACES[place](sf.flow(range(10)), raising(error), on_error="skip").to(out).start()
        with pytest.raises(error):
            await handle.wait()
        assert out == [0, 1, 2, 3, 4]
        assert handle.report is not None
        check_books(handle.report.statistics)

    run(main)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_answer_that_is_neither_true_nor_false_is_a_failure_of_its_item(asynchronous: bool) -> None:
    def answer(n: int) -> Any:
        return Untrue() if n == 3 else n

    predicate = awaited(answer) if asynchronous else answer
    assert run(sf.flow(range(1, 6)).filter(predicate, on_error="skip").collect) == [1, 2, 4, 5]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("error", ERRORS)
def test_a_sink_that_raises_fails_with_a_note(error: type[BaseException], asynchronous: bool) -> None:
    async def main() -> None:
        step = raising(error)
        handle = sf.flow(range(10)).to(awaited(step) if asynchronous else step).start()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the question
            await handle.wait()
        assert any("item 5 of its input" in note for note in caught.value.__notes__)
        assert handle.report is not None
        assert "item 5 of its input" in (handle.report.error or "")
        assert handle.report.error in str(handle.report).replace("\n    ", "\n")
        check_books(handle.report.statistics)

    run(main)


def test_a_question_whose_function_raises_stop_iteration_is_answered() -> None:
    async def main() -> None:
        inbox = sf.inbox(10)
        flow = sf.flow(inbox).map(raising(StopIteration), on_error="skip").to(inbox.answers)
        async with flow.start() as handle:
            with pytest.raises(RuntimeError, match="StopIteration"):
                await inbox.ask(5)
            assert await inbox.ask(4) == 4
            await handle.drain()

    run(main)


def test_a_question_ends_with_its_run_whatever_sink_the_flow_has() -> None:
    async def main() -> None:
        inbox = sf.inbox(10)
        out: list[int] = []
        flow = sf.flow(inbox).map(awaited(lambda n: n), concurrency=2).take(1).to(out)
        async with flow.start() as handle:
            asking = [asyncio.ensure_future(inbox.ask(n)) for n in range(3)]
            await handle.wait()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(answer, (sf.NoResult, sf.InboxClosed)) for answer in answers)

    run(main)


# -- errors that take no attributes -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Stubborn(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError(f"{name} is not for you to set")


class Noteless(Exception):
    """Refuse a note in every way there is."""

    @property
    def __notes__(self) -> list[str]:
        raise TypeError("no notes here")

    def add_note(self, note: str) -> None:
        raise TypeError("no notes here")


def with_error(error: Exception) -> Callable[[int], int]:
    def step(n: int) -> int:
        if n == 5:
            raise error
        return n

    return step


RIGID_PLACES = {
    "loop": lambda f, step: f.map(step),
    "awaited": lambda f, step: f.map(awaited(step)),
    "concurrent": lambda f, step: f.map(awaited(step), concurrency=3),
    "threads": lambda f, step: f.map(step, on=sf.threads(2)),
    "flat_map": lambda f, step: f.flat_map(async_children(step)),
}


@pytest.mark.parametrize("place", RIGID_PLACES)
@pytest.mark.parametrize("error", [Frozen(7), Stubborn("no")], ids=["frozen", "stubborn"])
def test_an_error_that_takes_no_attributes_comes_as_itself_and_with_its_place(place: str, error: Exception) -> None:
    flow = RIGID_PLACES[place](sf.flow(range(10)), with_error(error))
    with pytest.raises(type(error)) as caught:
        flow.to(None).run_sync()
    assert caught.value is error
    assert any("in stage" in note and "item 5" in note for note in error.__notes__)
    del error.__dict__["__notes__"]  # the next place has the same error


@pytest.mark.parametrize("place", RIGID_PLACES)
def test_an_error_that_takes_no_note_comes_as_itself_and_its_place_is_logged(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = Noteless("no")
    flow = RIGID_PLACES[place](sf.flow(range(10)), with_error(error))
    with pytest.raises(Noteless) as caught:
        flow.to(None).run_sync()
    assert caught.value is error
    (record,) = [one for one in caplog.records if one.name == "streamflow.run"]
    assert record.levelname == "WARNING"
    assert "Noteless" in record.getMessage()
    assert "item 5" in record.getMessage()


@pytest.mark.parametrize("error", [Frozen(7), Stubborn("no"), Noteless("no")], ids=["frozen", "stubborn", "noteless"])
def test_an_iterating_caller_gets_such_an_error_too(error: Exception) -> None:
    async def main() -> None:
        async with sf.flow(range(10)).map(with_error(error)).stream() as items:
            async for _ in items:
                pass

    with pytest.raises(type(error)) as caught:
        list(sf.flow(range(10)).map(with_error(error)))
    assert caught.value is error
    with pytest.raises(type(error)) as caught:
        asyncio.run(main())
    assert caught.value is error
