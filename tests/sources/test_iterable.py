import asyncio
import gc
import threading
import time
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.model.errors import FlowError
from streamflow.model.interfaces import PullReader
from streamflow.sources import iterable as module
from streamflow.sources import threaded
from streamflow.sources.iterable import Iterable


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
    return found


def batches(items, limit=1024):
    reader = asyncio.run(Iterable(items).open())
    assert isinstance(reader, PullReader)
    found = []
    while (batch := reader.pull(limit)) is not None:
        found.append(list(batch))
    reader.release()
    return found


class Clock:
    """Stand for perf_counter: time passes where the items say so."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(module, "perf_counter", lambda: self.now)

    def items(self, *costs):
        for number, cost in enumerate(costs):
            self.now += cost
            yield number


@given(st.lists(st.none() | st.integers(), max_size=300), st.integers(1, 50), st.booleans())
def test_every_kind_of_iterable_gives_its_items(items, limit, on_thread):
    kinds = [items, tuple(items), iter(items), (x for x in items), lambda: items, lambda: iter(items), map(abs, [])]
    for kind in kinds[: 3 if on_thread else None]:
        expected = [] if isinstance(kind, map) else items
        assert asyncio.run(read_all(Iterable(kind, on_thread=on_thread), limit)) == expected
    assert asyncio.run(read_all(Iterable(range(len(items))), limit)) == list(range(len(items)))


def test_pulling_begins_with_one_item_and_grows():
    sizes = [len(batch) for batch in batches(iter(range(3000)))]
    assert sizes[:4] == [1, 2, 4, 8]
    assert sum(sizes) == 3000


def test_slow_items_come_one_by_one(monkeypatch):
    clock = Clock(monkeypatch)
    assert batches(clock.items(*[3e-3] * 20)) == [[number] for number in range(20)]


def test_a_burst_before_slow_items_makes_none_of_them_late(monkeypatch):
    clock = Clock(monkeypatch)
    reader = asyncio.run(Iterable(clock.items(*[1e-7] * 5000, *[3e-3] * 50)).open())
    while reader.position().index < 5000:
        reader.pull(1024)
    late = clock.now
    reader.pull(1024)
    assert clock.now - late <= 3e-3 * module.LONGEST_STRIDE  # the first stride is as long as fast items made it
    while True:
        late = clock.now
        if reader.pull(1024) is None:
            break
        assert clock.now - late <= 3e-3 * 1.01


def test_items_of_some_cost_are_cut_after_a_millisecond(monkeypatch):
    clock = Clock(monkeypatch)
    found = batches(clock.items(*[50e-6] * 500))
    assert max(map(len, found)) <= 23
    assert sum(map(len, found)) == 500


def test_an_error_comes_after_the_items_before_it():
    def broken():
        yield from range(10)
        raise KeyError("mine")

    reader = asyncio.run(Iterable(broken).open())
    found = []
    with pytest.raises(KeyError, match="mine"):
        while (batch := reader.pull(1024)) is not None:
            found += batch
    assert found == list(range(10))
    assert reader.pull(1024) is None


def test_an_iterator_is_not_asked_again_after_its_end():
    class Revenant:
        def __init__(self):
            self.calls = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.calls += 1
            if self.calls == 3:
                raise StopIteration
            return self.calls

    assert batches(Revenant()) == [[1], [2]]


def test_a_generator_that_yields_when_it_is_closed_is_tolerated(caplog):
    def stubborn():
        try:
            yield 1
            yield 2
        except GeneratorExit:
            yield 3

    reader = asyncio.run(Iterable(stubborn()).open())
    assert reader.pull(1) == [1]
    reader.release()
    assert "yields after it was closed" in caplog.text


def test_a_generator_is_closed_once_begun_and_left_alone_otherwise():
    closed = []

    def numbers():
        try:
            yield from range(10)
        finally:
            closed.append(True)

    generator = numbers()
    asyncio.run(Iterable(generator).open()).release()
    assert not closed
    reader = asyncio.run(Iterable(generator).open())
    reader.pull(1)
    reader.release()
    assert closed


def test_what_a_function_opened_is_closed_and_what_the_user_opened_is_not(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a\nb\n")
    opened = []

    def open_it():
        opened.append(path.open())
        return opened[-1]

    assert asyncio.run(read_all(Iterable(open_it))) == ["a\n", "b\n"]
    assert opened[0].closed
    with path.open() as mine:
        assert asyncio.run(read_all(Iterable(mine))) == ["a\n", "b\n"]
        assert not mine.closed


@pytest.mark.parametrize("make", [lambda: (x for x in [1]), lambda: iter([1]), lambda: map(abs, [1])])
def test_a_second_run_over_an_iterator_says_to_pass_a_function(make):
    source = Iterable(make())
    assert asyncio.run(read_all(source)) == [1]
    with pytest.raises(FlowError, match="pass a function"):
        asyncio.run(read_all(source))


def test_two_descriptions_of_one_generator_know_of_each_other():
    generator = (x for x in [1])
    assert asyncio.run(read_all(Iterable(generator))) == [1]
    with pytest.raises(FlowError, match="generator"):
        asyncio.run(read_all(Iterable(generator)))
    gone = weakref.ref(generator)
    del generator
    gc.collect()
    assert gone() is None


def test_what_is_made_anew_can_be_read_by_many_runs_and_from_the_middle():
    for items in ([*range(50)], range(50), lambda: range(50), lambda: iter(range(50))):
        source = Iterable(items)
        assert source.replayable

        async def second_half(source=source):
            first = await source.open()
            taken = 0
            while taken < 20:
                taken += len(await first.read(4))
            place = first.position()
            await first.close()
            reader = await source.open()
            await reader.seek(place)
            batch, found = await reader.read(100), []
            while batch is not None:
                found += batch
                batch = await reader.read(100)
            await reader.close()
            return taken, found

        taken, found = asyncio.run(second_half())
        assert found == list(range(taken, 50))
    assert not Iterable(iter([])).replayable


@pytest.mark.parametrize("wrong", [5, None, lambda x: [x], print(end="")])
def test_what_is_no_iterable_is_refused_when_described(wrong):
    with pytest.raises(FlowError):
        Iterable(wrong)


def test_async_things_are_refused_with_the_fix():
    async def agen():
        yield 1

    async def coro():
        return [1]

    for wrong in (agen, agen(), coro):
        with pytest.raises(FlowError, match=r"AsyncIterable|async"):
            Iterable(wrong)
    with pytest.raises(FlowError, match="AsyncIterable"):
        asyncio.run(read_all(Iterable(lambda: agen())))


def test_a_thread_hands_over_what_it_has_and_waits_when_nobody_reads():
    release, pulled = threading.Semaphore(0), []

    def blocking():
        for number in range(100):
            release.acquire()
            pulled.append(number)
            yield number

    async def main():
        reader = await Iterable(blocking, on_thread=True).open()
        reading = asyncio.ensure_future(reader.read(8))
        await asyncio.sleep(0)
        assert not reading.done()
        release.release()
        assert list(await reading) == [0]
        reading = asyncio.ensure_future(reader.read(8))
        await asyncio.sleep(0)
        reading.cancel()  # loses nothing
        with pytest.raises(asyncio.CancelledError):
            await reading
        release.release(100)
        found = [0]
        while (batch := await reader.read(8)) is not None:
            found += batch
            assert len(pulled) <= len(found) + 9  # one batch ahead, and the item in its hands
        assert found == list(range(100))
        await reader.close()

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() == before


def test_a_thread_delivers_an_error_after_the_items_before_it():
    def broken():
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(read_all(Iterable(broken, on_thread=True)))


def test_draining_a_thread_delivers_what_it_has_pulled():
    async def main():
        reader = await Iterable(iter(range(1000)), on_thread=True).open()
        found = list(await reader.read(10))
        more = reader.drain()
        while more and (batch := await reader.read(10)) is not None:
            found += batch
        await reader.close()
        assert found == list(range(len(found)))

    asyncio.run(main())


def test_an_item_that_comes_while_a_thread_is_drained_is_not_lost():
    asked, arrived = threading.Event(), threading.Event()

    def numbers():
        yield 1
        asked.set()
        arrived.wait()
        yield 2
        yield 3

    async def main():
        reader = await Iterable(numbers, on_thread=True).open()
        found = list(await reader.read(10))
        await asyncio.to_thread(asked.wait)
        assert reader.drain()
        asyncio.get_running_loop().call_soon(arrived.set)
        while (batch := await reader.read(10)) is not None:
            found += batch
        await reader.close()
        assert found == [1, 2]

    asyncio.run(main())


def test_a_thread_that_never_returns_is_given_up_and_named(monkeypatch, caplog):
    monkeypatch.setattr(threaded, "GRACE", 0.01)
    never = threading.Event()

    def hanging():
        never.wait()
        yield 1

    async def main():
        reader = await Iterable(hanging, on_thread=True).open()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await reader.read(1)
        await reader.close()
        return reader

    reader = asyncio.run(main())
    assert "has not returned from next()" in reader.abandoned
    assert "abandoned" in caplog.text
    never.set()
    for thread in threading.enumerate():
        if thread.name.startswith("streamflow-"):
            thread.join()


def test_pulling_costs_little_more_than_the_iterator():
    def seconds(function):
        times = []
        for _ in range(5):
            began = time.perf_counter()
            function()
            times.append(time.perf_counter() - began)
        return min(times)

    def ours():
        reader = asyncio.run(Iterable(iter(range(200_000))).open())
        while reader.pull(1024) is not None:
            pass

    assert seconds(ours) < 6 * seconds(lambda: list(iter(range(200_000))))
