import asyncio
import contextlib
import contextvars
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.model.errors import FlowError, StreamflowError
from streamflow.sources.async_iterable import AsyncIterable


async def count(*waits):
    """Yield 0, 1, …; each wait is a number of turns of the loop."""
    for number, turns in enumerate(waits):
        for _ in range(turns):
            await asyncio.sleep(0)
        yield number


async def read_all(source, limit=100):
    reader = await source.open()
    found = []
    try:
        while (batch := await reader.read(limit)) is not None:
            assert 1 <= len(batch) <= limit
            found += batch
            assert reader.position().index == len(found)
    finally:
        await reader.close()
    assert len(asyncio.all_tasks()) == 1
    return found


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 10))
def test_items_come_in_order_whatever_they_wait_for(waits, limit):
    assert asyncio.run(read_all(AsyncIterable(lambda: count(*waits)), limit)) == list(range(len(waits)))


@given(st.lists(st.integers(0, 3), max_size=30), st.lists(st.integers(0, 5), min_size=60, max_size=60))
def test_cancelling_reads_loses_nothing(waits, patience):
    async def main():
        reader = await AsyncIterable(count(*waits)).open()
        found = []
        for turns in patience:
            reading = asyncio.ensure_future(reader.read(3))
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                found += (await reading) or []
        while (batch := await reader.read(3)) is not None:
            found += batch
        await reader.close()
        return found

    assert asyncio.run(main()) == list(range(len(waits)))


def test_items_that_wait_for_nothing_come_in_batches():
    async def main():
        reader = await AsyncIterable(count(*[0] * 1000)).open()
        sizes = []
        while (batch := await reader.read(64)) is not None:
            sizes.append(len(batch))
        await reader.close()
        return sizes

    sizes = asyncio.run(main())
    assert sum(sizes) == 1000
    assert len(sizes) < 200


def test_no_more_than_one_item_is_taken_that_nobody_asked_for():
    taken = []

    async def numbers():
        for number in range(100):
            taken.append(number)
            yield number
            await asyncio.sleep(0)

    async def main():
        reader = await AsyncIterable(numbers).open()
        found = list(await reader.read(1))
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(taken) <= len(found) + 1
        await reader.close()

    asyncio.run(main())


def test_closing_interrupts_a_waiting_generator_and_closes_it_in_its_own_task():
    variable = contextvars.ContextVar("variable")
    log = []

    async def endless():
        token = variable.set(1)
        task = asyncio.current_task()
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            variable.reset(token)  # raises in any other context
            log.append(asyncio.current_task() is task)

    async def main():
        reader = await AsyncIterable(endless()).open()
        assert list(await reader.read(10)) == [1]
        reading = asyncio.ensure_future(reader.read(10))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        assert reader.drain()
        assert await reader.read(10) is None
        await reader.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    gc.collect()
    assert log == [True]


def test_an_item_that_the_iterator_had_received_when_it_was_drained_is_not_lost():
    async def client():
        yield 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            yield 2  # it had come already
        yield 3

    async def main():
        reader = await AsyncIterable(client()).open()
        assert list(await reader.read(10)) == [1]
        reading = asyncio.ensure_future(reader.read(10))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        found = []
        more = reader.drain()
        while more and (batch := await reader.read(10)) is not None:
            found += batch
        assert found == [2]
        await reader.close()

    asyncio.run(main())


def test_a_timeout_inside_the_generator_hits_the_generator_only():
    """Driving `__anext__` from the reader's task would cancel whatever that task awaits meanwhile."""
    caught = []

    async def impatient():
        yield 1
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            caught.append(True)
        yield 2

    async def main():
        reader = await AsyncIterable(impatient).open()
        found = list(await reader.read(1))
        for _ in range(20):
            await asyncio.sleep(0)  # the reader's task is busy elsewhere
        while (batch := await reader.read(1)) is not None:
            found += batch
        await reader.close()
        return found

    assert asyncio.run(main()) == [1, 2]
    assert caught == [True]


def test_closing_while_the_generator_runs_does_not_collide_with_it():
    """aiostream 61: "asynchronous generator is already running"."""

    async def main():
        reader = await AsyncIterable(count(0, 5, 5)).open()
        await reader.read(1)
        reading = asyncio.ensure_future(reader.read(1))
        await asyncio.sleep(0)
        await reader.close()
        assert await reading is None

    asyncio.run(main())


def test_an_error_comes_after_the_items_before_it():
    async def broken():
        yield 1
        yield 2
        raise KeyError("mine")

    async def main():
        reader = await AsyncIterable(broken).open()
        assert list(await reader.read(10)) == [1, 2]
        with pytest.raises(KeyError, match="mine"):
            await reader.read(10)
        assert await reader.read(10) is None
        await reader.close()

    asyncio.run(main())


def test_an_error_while_closing_is_raised_by_close():
    async def broken():
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            raise KeyError("mine")

    async def main():
        reader = await AsyncIterable(broken).open()
        await reader.read(1)
        with pytest.raises(KeyError, match="mine"):
            await reader.close()

    asyncio.run(main())


def test_a_generator_that_cancels_itself_does_not_look_like_a_cancelled_run():
    async def cancelled():
        yield 1
        raise asyncio.CancelledError

    with pytest.raises(StreamflowError, match="by its own code"):
        asyncio.run(read_all(AsyncIterable(cancelled)))


def test_a_second_run_over_a_generator_says_to_pass_a_function():
    source = AsyncIterable(count(0))
    assert asyncio.run(read_all(source)) == [0]
    with pytest.raises(FlowError, match="pass a function"):
        asyncio.run(read_all(source))


def test_functions_can_be_async_and_be_read_from_the_middle():
    async def connect():
        return count(*[0] * 10)

    async def main():
        source = AsyncIterable(connect)
        first = await source.open()
        taken = len(await first.read(4))
        place = first.position()
        await first.close()
        second = await source.open()
        await second.seek(place)
        rest = []
        while (batch := await second.read(4)) is not None:
            rest += batch
        await second.close()
        return taken, rest

    taken, rest = asyncio.run(main())
    assert rest == list(range(taken, 10))


@pytest.mark.parametrize("wrong", [5, [1], lambda x: x])
def test_what_is_no_async_iterable_is_refused_when_described(wrong):
    with pytest.raises(FlowError):
        AsyncIterable(wrong)
    with pytest.raises(FlowError, match="no async iterable"):
        asyncio.run(read_all(AsyncIterable(lambda: [1])))


def test_a_reader_that_was_never_read_leaves_the_generator_alone():
    async def main():
        generator = count(0)
        await (await AsyncIterable(generator).open()).close()
        assert await read_all(AsyncIterable(generator)) == [0]

    asyncio.run(main())
