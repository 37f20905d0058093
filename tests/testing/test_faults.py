"""Faulty parts go wrong exactly where they were told, and remember what was called."""

from __future__ import annotations

import asyncio
import dataclasses
import doctest
from typing import Any

import pytest

from streamflow.model.errors import RecordError
from streamflow.model.positions import Position
from streamflow.testing import CallLog, FaultySink, FaultySource, InjectedError, LoopDeadlock, faults, run


async def drained(source: FaultySource[Any], limit: int = 100) -> list[Any]:
    reader = await source.open()
    found: list[Any] = []
    try:
        while (batch := await reader.read(limit)) is not None:
            found += batch
    finally:
        await reader.close()
    return found


async def taken(sink: FaultySink[Any], *batches: list[Any]) -> None:
    writer = await sink.open(bounded=True)
    try:
        for batch in batches:
            await writer.write(batch)
        await writer.finish()
    except BaseException:
        await writer.abort()
        raise
    finally:
        await writer.close()


def test_the_examples_run() -> None:
    assert doctest.testmod(faults).failed == 0


def test_without_a_fault_they_are_plain_parts() -> None:
    source, sink = FaultySource([1, None, 3]), FaultySink[Any]()
    assert run(drained(source)) == [1, None, 3]
    run(taken(sink, [1, None], [3]))
    assert sink.log.items == sink.log.visible == [1, None, 3]
    assert (sink.log.opened, sink.log.finished, sink.log.aborted, sink.log.closed) == (1, 1, 0, 1)
    source.log.check()
    sink.log.check()


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_source_fails_in_place_of_that_item(place: int, limit: int) -> None:
    source = FaultySource(range(4), fail_at=place)
    if place == 4:  # there is no such item; the end is no item
        with pytest.raises(InjectedError):
            run(drained(source, limit))
    else:
        with pytest.raises(InjectedError, match=f"item {place}"):
            run(drained(source, limit))
    assert source.log.items == list(range(place))
    assert (source.log.faults, source.log.closed) == (1, 1)


@pytest.mark.parametrize("place", range(4))
def test_a_sink_fails_in_place_of_that_item(place: int) -> None:
    sink = FaultySink[int](fail_at=place)
    with pytest.raises(InjectedError, match=f"item {place}"):
        run(taken(sink, [0, 1], [2, 3]))
    assert sink.log.items == list(range(place))
    assert sink.log.visible == []
    assert (sink.log.finished, sink.log.aborted, sink.log.closed) == (0, 1, 1)


def test_a_sink_says_how_much_of_the_batch_it_took() -> None:
    async def main() -> int:
        writer = await FaultySink[int](fail_at=3).open(bounded=True)
        await writer.write([0])
        with pytest.raises(InjectedError):
            await writer.write([1, 2, 3, 4])
        await writer.abort()
        await writer.close()
        return writer.written

    assert run(main) == 2


def test_a_disconnect_is_a_connection_error() -> None:
    with pytest.raises(ConnectionError):
        run(drained(FaultySource([1], disconnect_at=0)))
    with pytest.raises(ConnectionError):
        run(taken(FaultySink(disconnect_at=0), [1]))


def test_an_error_given_as_an_instance_is_that_instance() -> None:
    mine = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        run(drained(FaultySource([1], fail_at=0, error=mine)))
    assert caught.value is mine


def test_a_fault_that_happens_once_lets_the_same_item_pass_then() -> None:
    async def main() -> list[int]:
        reader = await FaultySource([1, 2, 3], fail_at=1, times=1).open()
        found = list(await reader.read(10) or ())
        with pytest.raises(InjectedError):
            await reader.read(10)
        found += await reader.read(10) or ()
        await reader.close()
        return found

    assert run(main) == [1, 2, 3]


def test_a_fault_that_happens_once_spares_the_next_run() -> None:
    source = FaultySource([1, 2, 3], fail_at=1, times=1)
    with pytest.raises(InjectedError):
        run(drained(source))
    assert run(drained(source)) == [1, 2, 3]


def test_a_hang_ends_by_cancellation_only() -> None:
    source = FaultySource([1, 2], hang_at=1)
    with pytest.raises(LoopDeadlock):
        run(drained(source))

    async def main() -> None:
        async with asyncio.timeout(1000):
            await drained(FaultySource([1, 2], hang_at=1, log=source.log))

    source.log.cancelled = 0
    with pytest.raises(TimeoutError):
        run(main)
    assert source.log.cancelled == 1
    source.log.check()


@pytest.mark.parametrize("method", ["open", "write", "finish", "close"])
def test_a_sink_fails_or_hangs_in_any_method(method: str) -> None:
    sink = FaultySink[int](fail_in=method)
    with pytest.raises(InjectedError, match=f"in {method}"):
        run(taken(sink, [1]))
    sink.log.check()
    with pytest.raises(LoopDeadlock):
        run(taken(FaultySink(hang_in=method), [1]))


def test_a_source_fails_in_open_and_seek() -> None:
    source = FaultySource([1], fail_in="open")
    with pytest.raises(InjectedError):
        run(drained(source))
    source.log.check()

    async def main() -> None:
        reader = await FaultySource([1], fail_in="seek").open()
        with pytest.raises(InjectedError):
            await reader.seek(reader.position())
        await reader.close()

    run(main)


def test_a_source_that_cannot_seek_says_so() -> None:
    async def main() -> None:
        source = FaultySource([1], can_seek=False)
        assert not source.replayable
        reader = await source.open()
        with pytest.raises(RecordError):
            await reader.seek(Position("faulty", index=0))
        await reader.close()

    run(main)


def test_an_endless_source_waits_at_the_end() -> None:
    source = FaultySource([1, 2], endless=True)
    assert not source.bounded
    with pytest.raises(LoopDeadlock):
        run(drained(source))
    assert source.log.items == [1, 2]


def test_a_delay_is_in_the_time_of_the_loop() -> None:
    async def main() -> float:
        await drained(FaultySource([1, 2, 3], batch=1, delay=10))
        return asyncio.get_running_loop().time()

    assert run(main) == 40.0


def test_a_commit_shows_what_was_prepared_and_an_abort_nothing_more() -> None:
    sink = FaultySink[int]()

    async def main() -> None:
        writer = await sink.open(bounded=True)
        await writer.write([1])
        await writer.prepare(1)
        await writer.write([2])
        await writer.commit(1)
        assert sink.log.visible == [1]
        await writer.prepare(2)
        await writer.abort()
        await writer.close()

    run(main)
    assert sink.log.visible == [1]
    assert (sink.log.prepared, sink.log.committed) == (2, 1)
    sink.log.check()


def test_descriptions_are_frozen_and_copies_share_the_log() -> None:
    source = FaultySource([1])
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.batch = 3  # type: ignore[misc]
    assert dataclasses.replace(source, batch=3).log is source.log
    assert FaultySource((1,)) == FaultySource((1,))


# the log


def broken_by(*steps: str) -> list[str]:
    sink = FaultySink[int]()

    async def main() -> None:
        writer = await sink.open(bounded=True)
        for step in steps:
            await getattr(writer, step)(*([[1]] if step == "write" else []))

    run(main)
    with pytest.raises(AssertionError):
        sink.log.check()
    return sink.log.violations


def test_the_log_notes_what_the_contract_forbids() -> None:
    assert broken_by("close") == ["1: close without finish or abort"]
    assert broken_by("finish", "close", "close") == ["1: close after close"]
    assert broken_by("finish", "write", "close") == ["1: write after finish"]
    assert broken_by("abort", "finish", "close") == ["1: finish after abort"]
    assert broken_by("finish") == [], "it is the missing close that check() names"


def test_the_log_notes_concurrent_calls() -> None:
    source = FaultySource([1, 2], delay=1)

    async def main() -> None:
        reader = await source.open()
        await asyncio.gather(reader.read(1), reader.read(1))
        await reader.close()

    run(main)
    assert source.log.violations == ["1: read while read was running"]


def test_the_log_tells_lives_apart() -> None:
    source = FaultySource([1])
    run(drained(source))
    run(drained(source))
    assert source.log.methods(1) == source.log.methods(2) == ["open", "read", "read", "close"]
    assert isinstance(source.log, CallLog)
